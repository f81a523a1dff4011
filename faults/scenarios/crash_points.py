"""Processes that die between two stores, at every point of `models.crashing.POINTS`.

A process is started with the point in its environment, does its work until it is there, and is
dead; then it is started again without, as a supervisor would. `DYING` says which scenario dies
where; together they are all points (a test holds them to it).
"""

import time
from collections.abc import Iterable, Sequence

from faults import hurt_worker
from faults.scenarios.processes import LATENCY, RECOVERED_S, submitting
from faults.scenarios.registry import Begin, scenario
from faults.victims import VICTIM, death, victim
from faults.world import World
from models.crashing import EXIT_CODE, VARIABLE
from models.payloads import Options
from models.states import JobState
from models.tables import Job

ROWS = 24
SHORT = 2
"""Seconds of a lease, where the rescue is not what is tried."""

DYING: dict[str, tuple[str, ...]] = {
    "producer_dies": ("job.written", "job.committed"),
    "worker_dies_with_a_shard": ("shard.claimed", "shard.worked", "shard.settled"),
    "worker_dies_with_a_call": (
        "call.intended",
        "call.answered",
        "group.written",
        "group.committed",
    ),
    "worker_dies_with_a_spool": ("call.spooled", "spool.adopting", "spool.adopted"),
    "worker_dies_with_an_event": (
        "event.committed",
        "event.relayed",
        "webhook.claimed",
        "webhook.posted",
    ),
    "worker_dies_with_a_batch": (
        "remote.uploaded",
        "remote.posted",
        "batch.downloaded",
        "batch.settled",
        "remote.noted",
    ),
    "conductor_dies": (
        "stage.claimed",
        "stage.done",
        "dataset.swapping",
        "report.kept",
        "run.collected",
    ),
    "commands_die": (
        "model.registered",
        "export.drafted",
        "copy.swapping",
        "review.written",
        "report.writing",
    ),
}


@scenario(11)
def producer_dies(begin: Begin) -> None:
    """A producer dies before its commit (no job, no cost), and after it, before it rings."""
    with begin(*LATENCY, workers=1) as world:
        client, rows = world.on.client, world.rows(ROWS)
        before, after = DYING["producer_dies"]
        die(world, before, submitting(rows))
        asked = world.on.stats()["executed"]
        world.expect(not client.jobs() and not asked, f"{len(client.jobs())} jobs, {asked} calls")
        die(world, after, submitting(rows))
        committed = time.monotonic()
        (job,) = client.jobs()
        world.accepted(job, rows)
        world.until(lambda: client.get(job.id).state != JobState.QUEUED, "a sweeper rings")
        took_s, lease_s = time.monotonic() - committed, client.settings.lease_s
        world.expect(took_s < 2 * lease_s, f"a sweeper rang {took_s:.1f} s later ({lease_s:g})")
        with victim(world, "again", submitting(rows)) as child:
            world.expect(child.wait(60) == 0, "handed in again under its key: taken")
        world.settled(job.id)
        world.expect(len(client.jobs()) == 1, "it is one job")


@scenario(11)
def worker_dies_with_a_shard(begin: Begin) -> None:
    """A worker dies after a shard's claim, after its rows' commit, and before it rings again."""
    _die_in_turn(begin, DYING["worker_dies_with_a_shard"])


@scenario(11)
def worker_dies_with_a_call(begin: Begin) -> None:
    """A worker dies around the commit of what it paid for; each time it is started again."""
    _die_in_turn(begin, DYING["worker_dies_with_a_call"])


@scenario(11)
def worker_dies_with_a_spool(begin: Begin) -> None:
    """A worker dies with answers in its spool, and two die one after the other adopting it."""
    with begin(*LATENCY, workers=0, MAESTRALE_LEASE=SHORT) as world:
        job = world.submit(world.rows(ROWS))
        first, *adopting = DYING["worker_dies_with_a_spool"]
        for point in (f"{first}:5", *adopting):
            die(world, point, hurt_worker.command(VICTIM, SHORT_CLAIMS))
        _heal(world, [job])


def _die_in_turn(begin: Begin, points: Sequence[str]) -> None:
    """Two deaths, then a worker that heals both: a third would make its rows suspects."""
    with begin(*LATENCY, workers=0, MAESTRALE_LEASE=SHORT) as world:
        for at in range(0, len(points), 2):
            if at:
                world.kill("worker1")
            some, jobs = points[at : at + 2], []
            for number, point in enumerate(some, start=at):
                jobs.append(world.submit(world.rows(ROWS, start=ROWS * number)))
                die(world, point, hurt_worker.command(VICTIM, SHORT_CLAIMS))
            _heal(world, jobs, " and ".join(some))


# --------------------------------------------------------------------------- told, and there


@scenario(11)
def worker_dies_with_an_event(begin: Begin) -> None:
    """A worker dies with an event that is not relayed, with one that is, and with one delivered."""
    with begin(*LATENCY, workers=0) as world:
        job = world.submit(world.rows(ROWS))
        for point in DYING["worker_dies_with_an_event"]:
            die(world, point, hurt_worker.command(VICTIM, SHORT_CLAIMS))
        _heal(world, [job])


@scenario(11)
def worker_dies_with_a_batch(begin: Begin) -> None:
    """Workers die around the upload, the start and the fetching of batches; one heals them all.

    A claim on remote work lives for seconds here, and a list that may lag is waited for as short.
    """
    points = DYING["worker_dies_with_a_batch"]
    with begin(*LATENCY, workers=0, MAESTRALE_LEASE=SHORT) as world:
        jobs = []
        for number, point in enumerate(points):
            rows = world.rows(ROWS, start=ROWS * number)
            jobs.append(world.submit(rows, options=Options(via="batch")))
            die(world, point, hurt_worker.command(VICTIM, HASTE))
        _heal(world, jobs, "all batches", HASTE, within_s=2 * RECOVERED_S)  # five, one by one
        made = world.on.stats()["batch_jobs_created"]
        world.expect(made == len(points), f"{made} batches over there for {len(points)} jobs")


HASTE, SHORT_CLAIMS = "haste=5", "claims=6"

# --------------------------------------------------------------------------- dying and healing


def die(world: World, point: str, command: Sequence[str]) -> None:
    """Starts a process that dies at `point`, and waits until it is dead."""
    world.fault("a point to die at", point=point)
    with victim(world, VICTIM, command, **{VARIABLE: point}) as child:
        code = death(world, child, f"who dies at {point}")
    world.expect(code == EXIT_CODE, f"died at {point}, exit code {code}")


def _heal(
    world: World,
    jobs: Iterable[Job],
    what: str = "it",
    *hurts: str,
    within_s: float = RECOVERED_S,
) -> None:
    """Starts a worker as it should be, and waits until the jobs are done."""
    began = time.monotonic()
    world.on.services.spawn("worker1", hurt_worker.command("worker1", *hurts))
    for job in jobs:
        world.settled(job.id)
    took_s = time.monotonic() - began
    world.expect(took_s < within_s, f"{what}: all done {took_s:.1f} s after the next start")
