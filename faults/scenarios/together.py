"""Several faults in one world: the minute of the campaign that `make test` takes.

Each fault has its own scenario, which hurts longer and asks for more. Here they meet: what heals
one of them must not undo the healing of another.
"""

import time

from faults import hurt_worker
from faults.leases import all_of
from faults.scenarios.messages import delete_messages, stopped
from faults.scenarios.money import expect_used, submitted_with_budget
from faults.scenarios.processes import refused, submitting
from faults.scenarios.registry import POSTGRESQL, SQLITE, Begin, scenario
from faults.victims import VICTIM, death, victim
from faults.world import World
from models.crashing import EXIT_CODE, VARIABLE
from models.nano import NANO
from models.states import JobState
from models.tables import Job

LATENCY = ("--latency-median", "0.2", "--latency-p95", "0.4", "--limit", "*=6000")
LOST = 0.1
"""Of the answers, after they were paid for."""
POINT = "call.answered"
WORKERS = 2
SOME = 0.6
"""Of so small a budget that one call's estimate is a quarter of it."""


@scenario(24, in_slice=(SQLITE, POSTGRESQL))
def all_together(begin: Begin) -> None:
    """A little of all: killed, lost, doubled, cut off, refused, out of money, submitted twice."""
    with begin(*LATENCY, workers=WORKERS, MAESTRALE_LEASE=3) as world:
        world.subscribe("busy")
        world.sink.statuses["busy"] = lambda number: 503 if number == 1 else 204
        jobs = [_killed_and_dead(world)]  # what they had in hand is free again after 15 s
        jobs += [_submitted_twice(world), _lost_messages(world), _answers_lost(world)]
        for job in jobs:
            world.settled(job.id, may_fail=2)  # three lost answers in a row are too many
        world.on.steer("faults")
        _out_of_money(world)


def _killed_and_dead(world: World) -> Job:
    """A third worker dies with the first answer that it has paid for, and another one is killed."""
    client = world.on.client
    world.fault("a point to die at", point=POINT)
    with victim(world, VICTIM, hurt_worker.command(VICTIM), **{VARIABLE: POINT}) as child:
        world.on.workers = WORKERS + 1
        world.on.workers_ready()
        job = world.submit(world.rows(200, start=3000))
        code = death(world, child, f"who dies at {POINT}")
    world.expect(code == EXIT_CODE, f"died at {POINT}, exit code {code}")
    world.until(lambda: client.get(job.id).rows_done > 10, "work goes on")
    world.kill(world.random.choice(["worker1", "worker2"]))
    world.on.workers = WORKERS
    world.on.restart_workers()
    return job


def _submitted_twice(world: World) -> Job:
    """Two processes hand in one file under one key, and then there is another file under it."""
    rows, client = world.rows(60), world.on.client
    before = {job.id for job in client.jobs()}
    with (
        victim(world, "producer1", submitting(rows)) as one,
        victim(world, "producer2", submitting(rows)) as other,
    ):
        codes = [one.wait(60), other.wait(60)]
    found = [job for job in client.jobs() if job.id not in before]
    world.expect(codes == [0, 0] and len(found) == 1, f"twice: {len(found)} job, {codes}")
    world.accepted(found[0], rows)
    world.expect(*refused(world, world.rows(61)))
    return found[0]


def _lost_messages(world: World) -> Job:
    """All messages of a job vanish while the workers sleep; nothing rings for it but a sweeper."""
    with stopped(world, "worker1", "worker2"):
        job = world.submit(world.rows(60, start=1000))
        lost = delete_messages(world)
    shards = len(all_of(world, job.id))
    world.expect(lost >= shards, f"{lost} messages lost, all those of {shards} shards among them")
    return job


def _answers_lost(world: World) -> Job:
    """A tenth of the answers, from now on; and each message of the next job arrives twice."""
    world.on.steer("faults", rates={"reset_after": LOST})
    world.fault("answers are lost after they were paid for")
    with hurt_worker.sending_twice():
        return world.submit(world.rows(60, start=2000))


def _out_of_money(world: World) -> None:
    """A budget is used up and kept; with more of it the job goes on."""
    client, since = world.on.client, time.time()
    job = submitted_with_budget(world, world.rows(120, start=4000), since=since)
    world.until(lambda: client.get(job.id).state == JobState.PAUSED, "the budget is reached")
    expect_used(world, job.id, least=SOME)
    world.log.write("budget", nano=NANO, since=since)
    client.resume(job.id, budget="1USD")
    world.settled(job.id)
