"""Places for rows in flight: a bound, fair between jobs, and left at once by who is stopped."""

import asyncio

from models.payloads import JobSpec
from models.states import JobKind
from worker.jobs import JobInHand, ShardInHand
from worker.row_places import Places


def a_shard(job_id: str, priority: int = 5) -> ShardInHand:
    """A shard of a job of its own."""
    return JobInHand(job_id, JobKind.GENERATE, JobSpec(), priority, lambda *_: None).take()


async def in_line(places: Places, shard: ShardInHand, count: int) -> list[asyncio.Task[bool]]:
    """So many rows that want a place."""
    tasks = [asyncio.create_task(places.take(shard)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def placed(tasks: list[asyncio.Task[bool]]) -> int:
    """How many have one."""
    return sum(task.done() and task.result() for task in tasks)


async def test_a_job_alone_takes_all_places_and_no_more() -> None:
    """The next row waits until one is given back."""
    places, shard = Places(10), a_shard("one")
    rows = await in_line(places, shard, 12)
    assert (placed(rows), places.taken) == (10, 10)
    places.give_back("one")
    await asyncio.sleep(0)
    assert (placed(rows), places.taken) == (11, 10)
    shard.stop("enough")
    await asyncio.gather(*rows)


async def test_a_newcomer_does_not_wait_behind_the_rows_of_others() -> None:
    """It gets its fair part at once, and freed places until it has it."""
    places, old, new = Places(10), a_shard("old"), a_shard("new")
    theirs = await in_line(places, old, 50)
    ours = await in_line(places, new, 20)
    assert (placed(theirs), placed(ours)) == (10, 5)
    for _ in range(5):
        places.give_back("old")
    await asyncio.sleep(0)
    assert (placed(theirs), placed(ours), places.taken) == (10, 5, 10)
    for _ in range(4):
        places.give_back("old")
        await asyncio.sleep(0)
    assert placed(theirs) + placed(ours) == 19
    old.stop("enough")
    new.stop("enough")
    await asyncio.gather(*theirs, *ours)


async def test_who_is_stopped_leaves_the_line_and_nothing_behind() -> None:
    """No place is lost, whenever the stop comes."""
    places, old, new = Places(2), a_shard("old"), a_shard("new", priority=0)
    theirs = await in_line(places, old, 4)
    ours = await in_line(places, new, 4)
    places.give_back("old")  # a place is on its way to a row
    old.stop("paused")
    new.stop("paused")
    has_place = await asyncio.gather(*theirs, *ours)
    for shard, tasks in ((old, theirs), (new, ours)):
        for _ in range(placed(tasks) - (shard is old)):
            places.give_back(shard.job.id)
    assert (len(has_place), places.taken, places._parts) == (8, 0, {})
    assert not await places.take(old)
