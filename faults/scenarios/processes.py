"""Processes that die: workers, trainers' children, producers that ask twice."""

import os
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from faults import hurt_worker
from faults.history import read
from faults.leases import held_by, taken_up
from faults.payments import in_flight_at_kills
from faults.scenarios.registry import Begin, scenario
from faults.victims import last_word_at, note_death, victim
from faults.world import World
from models.errors import DuplicateJobError
from models.states import SETTLED, FailureCode, JobState
from models.store import trainings
from models.tables import Job
from models.training.plan import Planned, plan
from producers import training_jobs
from proving.fake_trainer import as_python
from proving.training_builders import a_dataset, a_spec
from worker.clock import SWEEP_S

KEY = "an idempotency key"
LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6", "--limit", "*=6000")
PACE, KILLS, APART_S = 40, 4, (2.0, 3.0)
"""Calls per second, and the kills of workers that make them."""
RECOVERED_S = 30.0
"""By then a fault has healed, says the list."""


@scenario(1)
def killed_workers(begin: Begin) -> None:
    """kill -9 of a whole worker, again and again, 2 s and more apart; each is started again."""
    with begin(*LATENCY[:-1], f"*={60 * PACE}", workers=2) as world:
        rows = world.rows(PACE * 25)
        job = world.submit(rows)
        for _ in range(KILLS):
            time.sleep(world.random.uniform(*APART_S))
            _goes_on(world, job.id)
            _kill_one_at_work(world)
            world.open_yet(job)
            world.on.restart_workers()
        job = world.settled(job.id)
        lost = len(in_flight_at_kills(read(world.log.path.parent)))
        world.expect(lost >= KILLS, f"{lost} calls were in flight at {KILLS} kills")
        world.again(job, rows)


def _goes_on(world: World, job_id: str) -> None:
    done = world.on.client.get(job_id).rows_done
    world.until(lambda: world.on.client.get(job_id).rows_done > done, "work goes on", 30)


def _kill_one_at_work(world: World) -> None:
    """One of the two, once it has calls of its own: who was started just now imports first."""
    name = world.random.choice(["worker1", "worker2"])
    world.until(lambda: len(world.connections(world.on.pids(name)[0])) > 1, f"{name} asks", 30)
    world.kill(name)


# --------------------------------------------------------------------------- killed for memory


@scenario(2)
def killed_for_memory(begin: Begin) -> None:
    """The kernel's OOM killer takes a worker, which nobody starts again, and a trainer's child.

    There are no pool children here: the workers of a process are threads around one loop, so what
    the kernel can take is the whole process with its leases, or the child that a training is.
    """
    with tempfile.TemporaryDirectory() as folder:
        python = str(as_python(Path(folder)))
        with begin(*LATENCY, workers=2, MAESTRALE_TRAIN_PYTHON=python) as world:
            _kill_the_trainers_child(world, Path(folder))
            _kill_a_worker_for_good(world)


def _kill_a_worker_for_good(world: World) -> None:
    client = world.on.client
    job = world.submit(world.rows(400))
    world.until(lambda: client.get(job.id).rows_done > 20, "work has begun")
    (pid,) = world.on.pids("worker1")
    world.note_kill(pid, "worker1")
    lost = held_by(world, pid)
    world.on.kill("worker1")
    killed = time.monotonic()
    world.until(lambda: taken_up(world, lost), "the other worker takes up what it held")
    rescued_s, most_s = time.monotonic() - killed, 2 * client.settings.lease_s + SWEEP_S
    world.settled(job.id)
    world.expect(
        lost and rescued_s < most_s,
        f"its {len(lost)} shards were taken up by the other after {rescued_s:.1f} s (two leases "
        f"and a sweep: {most_s:g} s)",
    )


def _kill_the_trainers_child(world: World, folder: Path) -> None:
    trainer = world.on.services.start_trainer()
    job = _train(world, folder)

    def checkpoint() -> bool:
        with world.on.client.store.read() as connection:
            return any(point.checkpoint for point in trainings.of_job(connection, job.id))

    world.until(checkpoint, "the run has a checkpoint")
    (child,) = psutil.Process(trainer.pid).children()
    world.fault("kill -9 of the trainer's child", pid=child.pid)
    child.kill()
    job = world.settled(job.id)
    with world.on.client.store.read() as connection:
        steps = [point.step for point in trainings.of_job(connection, job.id)]
    world.expect(
        job.state == JobState.SUCCEEDED and len(steps) == len(set(steps)),
        f"the training {job.state}, went on from its checkpoint and told steps {steps}",
    )


def _train(world: World, folder: Path) -> Job:
    spec = a_spec(a_dataset(folder), name="slow")
    run = Planned(spec, plan(spec))
    job, _ = training_jobs.submit(
        world.on.client.store, [run], training_jobs.Submission(), sweep=""
    )
    world.on.client.ring_for(job.id)
    world.producer.write("submitted", job=job.id, rows=[job.name], asks=False)
    return job


# --------------------------------------------------------------------------- told to stop

IN_FLIGHT = 500


@scenario(3, is_alone=True)
def told_to_stop(begin: Begin) -> None:
    """SIGTERM to a worker with 500 calls in flight: it drains, and what has not begun goes back."""
    many = {"MAESTRALE_SHARDS_IN_FLIGHT": 64, "MAESTRALE_ROWS_IN_FLIGHT": 600}
    slow = ("--latency-median", "3", "--latency-p95", "5", "--limit", "*=60000")
    with begin(*slow, workers=1, **many) as world:
        job = world.submit(world.rows(1200))
        world.until(lambda: world.on.stats()["in_flight"] >= IN_FLIGHT, "500 calls are in flight")
        (pid,) = world.on.pids("worker1")
        in_flight = world.on.stats()["in_flight"]
        world.fault("SIGTERM", hangs_up=True, pid=pid, in_flight=in_flight)
        told = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        world.until(lambda: not world.on.pids("worker1"), "it has ended")
        took_s = time.monotonic() - told
        world.on.restart_workers()
        world.healed("a worker is there again")
        job = world.settled(job.id)
        drain_s = world.on.client.settings.drain_s
        world.expect(
            took_s < drain_s, f"{in_flight} in flight drained in {took_s:.1f} s ({drain_s:g})"
        )
        twice = world.on.stats()["duplicates"]
        world.expect(
            twice == job.calls_doubtful == 0,
            f"{twice} calls paid twice, {job.calls_doubtful} in doubt",
        )


# --------------------------------------------------------------------------- a row that kills

POISON = "POISON"
MOST_DEATHS = 3


@scenario(17)
def poison_row(begin: Begin) -> None:
    """A row that kills its worker each time: parked after 3 deaths, and the others go on."""
    with begin(*LATENCY, workers=0, MAESTRALE_LEASE=2) as world:
        rows = world.rows(20)
        lines = rows.read_text().split("\n")
        lines[17] = '{"id": "r17", "text": "' + POISON + '"}'
        rows.write_text("\n".join(lines))
        job = world.submit(rows)
        deaths = _supervised(
            world, job, hurt_worker.command("worker1", f"poison={POISON}", "claims=6")
        )
        world.settled(job.id, may_fail=1)
        failures = [(one["row_id"], one["code"]) for one in world.on.client.failures(job.id)]
        world.expect(
            deaths == MOST_DEATHS and failures == [("r17", FailureCode.POISON)],
            f"{deaths} workers died of it; failed: {failures}",
        )


def _supervised(world: World, job: Job, command: list[str]) -> int:
    """Starts the worker again whenever it died, until the job ends; answers how often it died."""
    for deaths in range(2 * MOST_DEATHS):
        service = world.on.services.spawn("worker1", command)
        world.until(
            lambda: not world.on.pids("worker1") or world.on.client.get(job.id).state in SETTLED,
            "it dies, or the job ends",
        )
        if world.on.pids("worker1"):
            return deaths
        note_death(world, service.pid, "worker1", stopped=last_word_at(world, "worker1"))
    return 2 * MOST_DEATHS


# --------------------------------------------------------------------------- the same again


PRODUCERS = 3


@scenario(22)
def submitted_twice(begin: Begin) -> None:
    """One file handed in by three processes at once under one key, and then otherwise."""
    with begin(*LATENCY, workers=1) as world, ExitStack() as stack:
        rows, client = world.rows(40), world.on.client
        began = [
            stack.enter_context(victim(world, f"producer{number}", submitting(rows)))
            for number in range(PRODUCERS)
        ]
        codes = [child.wait(60) for child in began]
        jobs = client.jobs()
        world.expect(
            codes == [0] * PRODUCERS and len(jobs) == 1,
            f"{PRODUCERS} processes at once: {len(jobs)} job, exit codes {codes}",
        )
        world.accepted(jobs[0], rows)
        world.expect(*refused(world, world.rows(41)))
        world.expect(*refused(world, rows, max_failed_share=0.5))
        world.settled(jobs[0].id)
        late = client.generate(rows, recipe="translate", idempotency_key=KEY)
        world.expect(late.id == jobs[0].id and len(client.jobs()) == 1, "after its end: the same")


def submitting(rows: Path) -> list[str]:
    """The command that hands in a job and goes, under a key."""
    words = [str(rows), "--recipe=translate", "--detach", f"--idempotency-key={KEY}"]
    return [sys.executable, "-P", "-m", "producers.generate", *words]


def refused(world: World, rows: Path, **how: Any) -> tuple[bool, str]:
    """Whether the key is refused for another wish, and in which words."""
    try:
        made = world.on.client.generate(rows, recipe="translate", idempotency_key=KEY, **how)
    except DuplicateJobError as error:
        return True, f"refused: {str(error)[:60]}..."
    return False, f"another wish under the same key was answered with {made.id}"
