"""The limiter over a fake and a real Redis-protocol server: the same tests for both."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import fakeredis
import pytest
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from models.limits import Limit
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.limiter import Limiter, ModelUse, Permit
from worker.limiter.beliefs import TOKEN_BURST_S
from worker.limiter.shared import HORIZON_S, SPAN_S, Ask, Grant, SharedState
from worker.limiter.waiting import Slot

MODEL = "small"


@pytest.fixture(params=["fake", "real"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A client of an empty server. Afterwards no key may be without a TTL."""
    if request.param == "fake":
        client: Any = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    else:
        url = request.getfixturevalue("redis_url")
        client = Redis(connection_pool=BlockingConnectionPool.from_url(url, socket_timeout=3))
    yield client
    for key in await client.keys("*"):
        assert await client.ttl(key) > 0, f"{key} has no TTL"
    await client.aclose()
    await client.connection_pool.disconnect()


def shared(redis: Redis, worker: str = "w1") -> SharedState:
    """The reservations as one process sees them."""
    return SharedState(redis, "account", worker)


async def opened(stack: AsyncExitStack, redis: Redis, **settings: Any) -> Limiter:
    """A limiter that is closed with the stack."""
    return await stack.enter_async_context(Limiter(redis, "account", random=Random(1), **settings))


async def acquired(limiter: Limiter, *, within: float = 30.0, priority: int = 5) -> Permit:
    """A permit that must come soon."""
    async with asyncio.timeout(within):
        return await limiter.acquire(MODEL, 10, priority=priority)


def use(limiter: Limiter) -> ModelUse:
    """What the limiter says of the model."""
    return limiter.snapshot()[0]


async def until(limiter: Limiter, what: str, seconds: float = 30.0) -> None:
    """Wait until `what`, an expression over the model's use `u`, holds."""
    for _ in range(int(seconds / 0.01)):
        if eval(what, {"u": use(limiter)}):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {seconds} s: {what}; it is {use(limiter)}")


# The script


async def test_slots_are_spaced_and_follow_each_other(redis: Redis) -> None:
    """Whoever asks, the next slot is one spacing after the last."""
    state, other = shared(redis), shared(redis, "w2")
    first = await state.reserve(MODEL, Ask(slots=5, rate=40.0, sign=1))
    ask = Ask(slots=5, rate=40.0, version=first.version, sign=1)
    second = await other.reserve(MODEL, ask)
    starts = [*first.starts, *second.starts]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert gaps == pytest.approx([0.025] * 9, abs=1e-4)
    assert (second.seq, second.processes) == (10, 2)


async def test_nothing_is_promised_far_ahead(redis: Redis) -> None:
    """A block lies within its span, all slots within the horizon."""
    state, granted = shared(redis), []
    version = 0
    for _ in range(10):
        grant = await state.reserve(MODEL, Ask(slots=20, rate=10.0, version=version))
        version = grant.version
        granted.append(grant)
    assert all(g.starts[-1] - g.starts[0] <= SPAN_S + 1e-3 for g in granted if g.starts)
    assert all(start - g.now <= HORIZON_S for g in granted for start in g.starts)
    assert granted[-1].starts == ()
    assert granted[-1].wait_s > 0


async def test_tokens_delay_requests(redis: Redis) -> None:
    """A full burst at first, then at the rate of tokens; estimates are settled later."""
    state = shared(redis)
    ask = Ask(slots=1, tokens=1000, token_rate=1000.0, rate=5.0)
    first = await state.reserve(MODEL, ask)
    ask = Ask(slots=1, tokens=1000, token_rate=1000.0, rate=5.0, version=first.version)
    second = await state.reserve(MODEL, ask)
    assert second.starts == pytest.approx([first.starts[0] + 0.2], abs=0.01)
    third = await state.reserve(MODEL, ask)
    assert third.starts[0] - first.starts[0] == pytest.approx(2 - TOKEN_BURST_S, abs=0.05)
    back = Ask(slots=0, settled=-2000, token_rate=1000.0, rate=5.0, version=first.version)
    assert (await state.reserve(MODEL, back)).ttat == pytest.approx(third.ttat - 2, abs=0.01)


async def test_who_is_modest_leaves_the_slots_to_who_is_in_line(redis: Redis) -> None:
    """Nothing while another's slots reach ahead; all that others leave."""
    state, other = shared(redis), shared(redis, "w2")
    first = await state.reserve(MODEL, Ask(slots=10, rate=100.0))
    ask = Ask(slots=10, rate=100.0, version=first.version, is_modest=True)
    refused = await other.reserve(MODEL, ask)
    assert refused.starts == ()
    assert 0 < refused.wait_s <= 0.1
    for _ in range(100):
        await asyncio.sleep(0.01)
        if (grant := await other.reserve(MODEL, ask)).starts:
            break
    assert grant.starts
    assert grant.starts[0] >= first.starts[-1] + 0.0099


async def test_a_call_larger_than_the_limit_is_not_held_for_ever(redis: Redis) -> None:
    """A sliding minute is over after a minute."""
    state = shared(redis)
    ask = Ask(slots=1, tokens=10_000_000, token_rate=1.0)
    first = await state.reserve(MODEL, ask)
    assert len(first.starts) == 1
    assert first.ttat - first.now <= 60.01


async def test_only_the_newest_version_may_propose(redis: Redis) -> None:
    """The loser is told what the winner believes."""
    state, other = shared(redis), shared(redis, "w2")
    first = await state.reserve(MODEL, Ask(slots=0, belief="A", rate=10.0))
    won = await state.reserve(
        MODEL, Ask(slots=0, belief="B", rate=20.0, proposes=True, version=first.version)
    )
    lost = await other.reserve(
        MODEL, Ask(slots=2, belief="C", rate=99.0, proposes=True, version=first.version)
    )
    assert (first.belief, won.belief, lost.belief) == (None, None, "B")
    assert lost.version == won.version == first.version + 1
    assert lost.starts[1] - lost.starts[0] == pytest.approx(0.05, abs=1e-3)


async def test_a_hold_holds_everybody(redis: Redis) -> None:
    """Nothing is promised behind it."""
    state, other = shared(redis), shared(redis, "w2")
    first = await state.reserve(MODEL, Ask(slots=1, rate=10.0))
    held = Ask(slots=0, hold=first.now + 5, rate=10.0, version=first.version)
    await state.reserve(MODEL, held)
    grant = await other.reserve(MODEL, Ask(slots=1, rate=10.0, version=first.version))
    assert grant.starts == ()
    assert grant.wait_s == pytest.approx(5, abs=0.5)


async def test_a_raised_rate_pulls_the_next_slot_near(redis: Redis) -> None:
    """Reservations at a very slow old rate delay the new one by a second at most."""
    state = shared(redis)
    slow = await state.reserve(MODEL, Ask(slots=1, rate=0.1))
    grant = await state.reserve(MODEL, Ask(slots=1, rate=100.0, version=slow.version))
    assert grant.starts[0] - slow.starts[0] < 1.1


async def test_slots_at_a_raised_rate_come_after_those_given_before(redis: Redis) -> None:
    """Else the second in which both meet holds more calls than the new limit allows."""
    state, other = shared(redis), shared(redis, "w2")
    first = await state.reserve(MODEL, Ask(slots=1, rate=10.0))
    slow = [
        await state.reserve(MODEL, Ask(slots=1, version=first.version, rate=10.0)) for _ in "123"
    ]
    fast = await other.reserve(MODEL, Ask(slots=2, rate=20.0, version=first.version))
    given = [*first.starts, *(start for grant in slow for start in grant.starts)]
    gaps = [later - earlier for earlier, later in pairwise([*given, *fast.starts])]
    assert gaps == pytest.approx([0.1] * len(given) + [0.05] * (len(fast.starts) - 1), abs=1e-3)


async def test_after_a_loss_the_knowledge_of_the_caller_is_the_seed(redis: Redis) -> None:
    """And nothing is saved up: slots given before are still on their way."""
    state = shared(redis)
    before = await state.reserve(MODEL, Ask(slots=1, rate=10.0, token_rate=100.0))
    await redis.flushall()
    ask = Ask(
        slots=5,
        rate=10.0,
        token_rate=100.0,
        version=before.version,
        belief="known",
        known_tat=before.tat,
        known_ttat=before.ttat,
    )
    after = await state.reserve(MODEL, ask)
    assert after.starts == () or after.starts[0] > before.tat + 0.3
    assert after.ttat >= after.now + TOKEN_BURST_S - 0.01
    other = await shared(redis, "w2").reserve(MODEL, Ask(slots=0))
    assert other.belief == "known"


async def test_lateness_moves_later_slots_once(redis: Redis) -> None:
    """The largest of a second counts, not the sum."""
    state = shared(redis)
    first = await state.reserve(MODEL, Ask(slots=1, rate=10.0))
    once = await state.reserve(MODEL, Ask(slots=0, rate=10.0, late_s=0.03, version=first.version))
    twice = await state.reserve(MODEL, Ask(slots=0, rate=10.0, late_s=0.02, version=first.version))
    assert once.tat - first.tat == pytest.approx(0.03, abs=0.005)
    assert twice.tat == once.tat


class Dropping:
    """A script whose server does what it is asked, and goes away before its first answer."""

    def __init__(self, script: Any) -> None:
        self._script, self.asked = script, 0

    async def __call__(self, **told: Any) -> Any:
        self.asked += 1
        answer = await self._script(**told)
        if self.asked == 1:
            raise RedisConnectionError("gone")
        return answer


async def test_tokens_given_back_in_an_answer_that_is_lost_are_given_back_once(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they were handed out twice; used ones may be counted twice, which takes from nobody."""
    state = shared(redis)
    ask = Ask(slots=1, tokens=30_000, token_rate=1000.0, rate=5.0)
    first = await state.reserve(MODEL, ask)
    for settled, moved in ((-5_000, -5), (2_000, 4)):
        before = await state.reserve(MODEL, replace(ask, slots=0, version=first.version))
        told = replace(ask, slots=0, version=first.version, settled=settled)
        dropping = Dropping(state._script)
        with monkeypatch.context() as patched:
            patched.setattr(state, "_script", dropping)
            after = await state.reserve(MODEL, told)
        assert dropping.asked == 2
        assert after.ttat - before.ttat == pytest.approx(moved, abs=0.01)


async def trip(state: SharedState, ask: Grant, seconds: float, sent: float) -> Grant:
    """Open the circuit for a call sent at `sent`."""
    return await state.reserve(
        MODEL, Ask(slots=0, version=ask.version, trip_s=seconds, trip_sent=sent)
    )


async def test_a_circuit_lets_one_probe_through_and_closes(redis: Redis) -> None:
    """Calls sent before it opened neither open it further nor close it."""
    state = shared(redis)
    first = await state.reserve(MODEL, Ask(slots=1))
    opened = await trip(state, first, 0.1, first.now + 0.000001)
    again = await trip(state, first, 9.0, first.now)
    assert (opened.level, again.level) == (1, 1)
    await asyncio.sleep(0.12)
    probe = await state.reserve(MODEL, Ask(slots=5, version=first.version))
    others = await state.reserve(MODEL, Ask(slots=5, version=first.version))
    assert (len(probe.starts), len(others.starts)) == (1, 0)
    stale = Ask(slots=0, version=first.version, answered_sent=first.now)
    assert (await state.reserve(MODEL, stale)).level == 1
    works = Ask(slots=5, version=first.version, answered_sent=probe.starts[0])
    closed = await state.reserve(MODEL, works)
    assert (closed.level, len(closed.starts)) == (0, 5)


async def test_a_probe_that_fails_opens_it_further(redis: Redis) -> None:
    """One level up; one that was never sent frees the way for another."""
    state = shared(redis)
    first = await state.reserve(MODEL, Ask(slots=1))
    await trip(state, first, 0.05, first.now + 0.000001)
    await asyncio.sleep(0.06)
    probe = await state.reserve(MODEL, Ask(slots=1, version=first.version))
    assert (await trip(state, first, 0.05, probe.starts[0])).level == 2
    await asyncio.sleep(0.06)
    assert (await state.reserve(MODEL, Ask(slots=1, version=first.version))).starts
    back = Ask(slots=1, version=first.version, probe_back=True)
    assert (await state.reserve(MODEL, back)).starts


async def test_a_process_that_leaves_counts_no_more(redis: Redis) -> None:
    """Shares of the others grow."""
    state, other = shared(redis), shared(redis, "w2")
    await state.reserve(MODEL, Ask(slots=0, sign=1))
    assert (await other.reserve(MODEL, Ask(slots=0, sign=1))).processes == 2
    assert (await other.reserve(MODEL, Ask(slots=0, sign=-1))).processes == 1


# The limiter


async def test_permits_come_at_the_limit(redis: Redis) -> None:
    """Forty calls at 50/s take most of a second, and no more than one."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(50 * 60)})
        (await acquired(limiter)).settle(tokens=10, limits=None)
        start = loop.time()
        permits = await asyncio.gather(*(acquired(limiter) for _ in range(40)))
        took = loop.time() - start
        assert took >= 39 / 50 - 0.05
        assert use(limiter).in_flight == 40
        for permit in permits:
            permit.abandon()
        assert use(limiter).in_flight == 0


async def test_a_header_seen_by_one_process_is_known_to_all(redis: Redis) -> None:
    """And to the database, once."""
    learnt: list[tuple[str, Limit]] = []

    def on_learnt(model: str, limit: Limit) -> None:
        learnt.append((model, limit))

    async with AsyncExitStack() as stack:
        one = await opened(stack, redis, on_learnt=on_learnt)
        two = await opened(stack, redis, on_learnt=on_learnt)
        first, second = await acquired(one), await acquired(two)
        first.settle(tokens=10, limits=LimitHeaders(limit_requests_minute=6000))
        await until(one, "u.limit and u.limit.requests_per_minute == 6000")
        await until(two, "u.limit and u.limit.source == 'header'")
        second.settle(tokens=10, limits=LimitHeaders(limit_requests_minute=6000))
        (await acquired(two)).settle(tokens=1, limits=None)
    assert learnt == [(MODEL, Limit(6000, None, "header"))]


async def test_a_limit_without_figures_needs_no_slot(redis: Redis) -> None:
    """Thousands at once."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={"*": Limit(None, None)})
        permits = await asyncio.gather(*(acquired(limiter) for _ in range(3000)))
        assert use(limiter).granted == 3000
        for permit in permits:
            permit.settle(tokens=1, limits=None)


async def test_a_cancelled_waiter_loses_no_slot(redis: Redis) -> None:
    """The next in line gets it."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(5 * 60)})
        waiting = [asyncio.create_task(acquired(limiter)) for _ in range(30)]
        await asyncio.sleep(0.1)
        for task in waiting[5:25]:
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        granted = [permit for permit in done if isinstance(permit, Permit)]
        assert len(granted) == 10
        assert use(limiter).waiting == 0
        seq = await redis.hget("maestrale:limit:{account}:small", "seq")  # type: ignore[misc]
        assert float(seq or 0) <= 12


async def test_cancelled_in_the_moment_of_being_granted(redis: Redis) -> None:
    """The slot was given, the caller is gone: the next one has it."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(100 * 60)})
        first = asyncio.create_task(acquired(limiter))
        second = asyncio.create_task(acquired(limiter))
        await asyncio.sleep(0)
        pacer = limiter._pacers[MODEL]
        future, take_due = pacer._waiters._lines[""].heap[0].future, pacer._slots.take_due

        def cancelling(now: float) -> Slot | None:
            slot = take_due(now)
            asyncio.get_running_loop().call_soon(lambda: future.done() and first.cancel())
            return slot

        pacer._slots.take_due = cancelling  # type: ignore[method-assign] # just before it wakes
        with pytest.raises(asyncio.CancelledError):
            await first
        assert isinstance(await second, Permit)
        assert use(limiter).in_flight == 1


async def test_urgent_calls_go_first(redis: Redis) -> None:
    """Lower priority figures are served before, whenever they came."""
    order: list[int] = []

    async def call(limiter: Limiter, priority: int) -> None:
        await acquired(limiter, priority=priority)
        order.append(priority)

    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(4 * 60)})
        await acquired(limiter)
        await asyncio.gather(*(call(limiter, priority) for priority in (5, 5, 9, 1)))
    assert order == [1, 5, 5, 9]


async def test_a_refusal_with_retry_after_holds_all_processes(redis: Redis) -> None:
    """For as long as the server said."""
    async with AsyncExitStack() as stack:
        one = await opened(stack, redis, told={MODEL: Limit(1000)})
        two = await opened(stack, redis, told={MODEL: Limit(1000)})
        permit = await acquired(one)
        await acquired(two)
        permit.refused(Fault(FaultKind.QUOTA, "slow down", 429, retry_after_s=30))
        await until(one, "u.hold_s > 25")
        waiting = asyncio.create_task(acquired(two, within=60))
        await until(two, "u.hold_s > 25")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert use(one).refusals == 1


async def test_want_of_capacity_opens_the_circuit_for_all(redis: Redis) -> None:
    """Unlimited models too; the first answer closes it."""
    async with AsyncExitStack() as stack:
        free = {MODEL: Limit(None, None)}
        one, two = [await opened(stack, redis, told=free) for _ in range(2)]
        permits = [await acquired(one) for _ in range(3)]
        await acquired(two)
        await until(one, "u.processes >= 1")
        for permit in permits:
            permit.refused(Fault(FaultKind.CAPACITY, "busy", 429, code="3505"))
        await until(one, "u.circuit_level == 1")
        probe = await acquired(one)
        blocked = asyncio.create_task(acquired(one, within=30))
        await asyncio.sleep(0.1)
        assert not blocked.done()
        probe.settle(tokens=1, limits=None)
        await until(one, "u.circuit_level == 0")
        assert isinstance(await blocked, Permit)
        assert isinstance(await acquired(two), Permit)


async def test_a_storm_of_transient_faults_opens_it_as_well(redis: Redis) -> None:
    """Single ones do not."""
    fault = Fault(FaultKind.TRANSIENT, "bad gateway", 502)
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(None, None)})
        permits = [await acquired(limiter) for _ in range(30)]
        for permit in permits[:5]:
            permit.refused(fault)
        await asyncio.sleep(0.05)
        assert use(limiter).circuit_level == 0
        for permit in permits[5:]:
            permit.refused(fault)
        await until(limiter, "u.circuit_level == 1")
        (await acquired(limiter)).settle(tokens=1, limits=None)
        await until(limiter, "u.circuit_level == 0")


async def test_a_seed_spares_the_slow_start(redis: Redis) -> None:
    """What was learnt in an earlier life is where the next one begins."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis)
        limiter.seed(MODEL, Limit(12_000, None, "found"))
        await acquired(limiter)
        rate = use(limiter).rate
        assert rate is not None
        assert 180 < rate < 200


async def test_close_ends_all_waiting(redis: Redis) -> None:
    """Whoever waits is cancelled, and nothing stays behind."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(1)})
        await acquired(limiter)
        waiting = asyncio.create_task(acquired(limiter))
        await asyncio.sleep(0.05)
        await limiter.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_close_ends_even_if_the_client_swallows_the_cancellation(redis: Redis) -> None:
    """An answer that comes in the same moment can do that."""
    async with AsyncExitStack() as stack:
        limiter = await opened(stack, redis, told={MODEL: Limit(6000)})
        await acquired(limiter)
        reserve, called = limiter._reservations.reserve, asyncio.Event()

        async def swallowing(model: str, ask: Ask, now: float, processes: int) -> Grant:
            called.set()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)
            return await reserve(model, ask, now, processes)

        limiter._reservations.reserve = swallowing  # type: ignore[method-assign] # such a client
        waiting = asyncio.create_task(acquired(limiter))
        await called.wait()
        async with asyncio.timeout(30):
            await limiter.close()
        await asyncio.gather(waiting, return_exceptions=True)
