"""The queue of one model in one process: between jobs by weight, within a job in order."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from worker.limiter.portion import AHEAD_S, REMEMBERED_S, Portion, Right
from worker.limiter.waiting import UNTIDY, Flow, Waiter, Waiters

A, B = Flow("a", 10.0), Flow("b", 1.0)


def add(waiters: Waiters, flow: Flow, count: int = 1, priority: int = 0) -> list[Waiter]:
    """So many calls of a flow."""
    loop = asyncio.get_running_loop()
    return [waiters.add(10, priority, loop.create_future(), flow) for _ in range(count)]


def served(waiters: Waiters, count: int) -> Counter[float]:
    """The weights of the next ones' flows, who all leave the queue."""
    return Counter(popped(waiters).line.weight for _ in range(count))


def popped(waiters: Waiters, takes: Callable[[float], float] = lambda _: 1.0) -> Waiter:
    """The next one, who must be there."""
    waiter = waiters.pop(takes)
    assert waiter is not None
    return waiter


async def test_calls_are_granted_by_weight() -> None:
    """10:1, and nobody is starved: of any 12 one is of the light flow."""
    waiters = Waiters()
    add(waiters, B, 500)
    add(waiters, A, 500)
    for _ in range(30):
        assert served(waiters, 11)[B.weight] == 1


async def test_equal_flows_take_turns() -> None:
    """However many calls the first one has in front."""
    waiters = Waiters()
    add(waiters, Flow("one", 5.0), 1000)
    served(waiters, 200)
    other = add(waiters, Flow("two", 5.0), 100)
    for _ in range(100):
        served(waiters, 2)
    gone = sum(waiter not in other for waiter in [waiters.pop()])
    assert (gone, len(waiters)) == (1, 1000 - 200 - 100 - 1)


async def test_who_was_idle_has_saved_up_nothing() -> None:
    """After a long rest it gets its share, not all."""
    waiters = Waiters()
    add(waiters, A, 1)
    add(waiters, B, 300)
    served(waiters, 200)
    add(waiters, A, 300)
    assert served(waiters, 110)[B.weight] == pytest.approx(10, abs=1)


async def test_who_comes_and_goes_gets_no_more_than_its_share() -> None:
    """Leaving the queue for a moment does not wipe out what was had."""
    waiters = Waiters()
    add(waiters, A, 500)
    light = 0
    for _ in range(220):
        if not any(line.weight == B.weight and line.waiting for line in waiters._lines.values()):
            add(waiters, B, 1)
        light += served(waiters, 1)[B.weight]
    assert light == pytest.approx(20, abs=1)


async def test_a_new_weight_counts_at_once() -> None:
    """A priority changed while the job runs."""
    waiters = Waiters()
    add(waiters, A, 300)
    add(waiters, B, 300)
    served(waiters, 50)
    add(waiters, Flow("b", 10.0))
    before = [line.waiting for line in waiters._lines.values()]
    for _ in range(100):
        waiters.pop()
    after = [line.waiting for line in waiters._lines.values()]
    assert [b - a for b, a in zip(before, after, strict=True)] == pytest.approx([50, 50], abs=11)


async def test_within_a_job_rows_under_way_go_first_then_in_order() -> None:
    """Second steps before first ones, whatever the other job does."""
    waiters = Waiters()
    begun = add(waiters, A, 2, priority=1)
    under_way = add(waiters, A, 2, priority=0)
    add(waiters, B, 5)
    order = [waiter for waiter in (popped(waiters) for _ in range(9)) if waiter.line.weight == 10]
    assert order == [*under_way, *begun]


async def test_large_calls_use_up_more_of_a_share() -> None:
    """Where tokens are the limit, shares are of tokens."""
    waiters, loop = Waiters(), asyncio.get_running_loop()
    for _ in range(300):
        waiters.add(100, 0, loop.create_future(), Flow("large"))
        waiters.add(10, 0, loop.create_future(), Flow("small"))
    sizes = Counter(popped(waiters, float).tokens for _ in range(220))
    assert sizes[10] == pytest.approx(200, abs=2)


@pytest.mark.parametrize("seed", range(10))
async def test_whoever_comes_and_leaves_the_counts_are_right(seed: int) -> None:
    """Random additions, cancellations and grants: all who stayed are served once, no garbage."""
    waiters, random, waiting = Waiters(), Random(seed), []
    for _ in range(3000):
        match random.choice(["add", "add", "leave", "pop"]):
            case "add":
                flow = Flow(str(random.randrange(4)), random.choice([1.0, 5.0, 10.0]))
                waiting += add(waiters, flow, 1, random.randrange(2))
            case "leave" if waiting:
                gone = waiting.pop(random.randrange(len(waiting)))
                gone.future.cancel()
                waiters.leave(gone)
            case "pop" if waiting:
                waiting.remove(popped(waiters))
        assert len(waiters) == len(waiting)
        assert waiters.mean_tokens == (10 if waiting else 0)
    kept = sum(len(line.heap) for line in waiters._lines.values())
    assert kept <= 2 * len(waiting) + 5 * UNTIDY
    assert {id(waiters.pop()) for _ in list(waiting)} == {id(waiter) for waiter in waiting}
    assert waiters.pop() is None


def test_a_process_goes_first_until_its_share_is_used_up() -> None:
    """Half of a limit of 10/s: five calls a second by right, a little ahead."""
    portion = Portion(share=0.5)
    right, now, by_right = Right(portion), 100.0, 0
    for _ in range(1000):
        if not right.is_used_up(now):
            right.use(now, 0.1)
            by_right += 1
        now += 0.01
    assert by_right == pytest.approx(10 * 5 + AHEAD_S * 5, abs=1)
    portion.share = None
    assert not right.is_used_up(now)
    assert (right.part(4, modest=False), Right(Portion(0.5)).part(4, modest=False)) == (0.25, 0.5)


def test_leftovers_do_not_use_up_the_right_for_long() -> None:
    """A minute of all that others left: when they come back, the process has its share soon."""
    right, now = Right(Portion(share=0.1)), 100.0
    for _ in range(600):
        right.use(now, 0.1, modest=True)
        now += 0.1
    assert right.is_used_up(now), "just now others go first"
    assert not right.is_used_up(now + REMEMBERED_S)
    assert right.due_at(now) <= now + REMEMBERED_S


def test_a_share_that_grew_counts_for_what_was_used_before() -> None:
    """A process without work has next to no share; its first calls do not bind it for long."""
    portion = Portion(share=0.0)
    right = Right(portion)
    right.use(100.0, 0.5)
    assert right.is_used_up(150.0), "half a second of the limit is much for nothing"
    portion.share = 0.5
    assert not right.is_used_up(101.0)
