"""The small pure parts: clocks and counts, the circuit's times, queues, the local fallback."""

import asyncio
from random import Random

import pytest

from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.limiter.circuit import FEWEST, Outcomes, hold_for
from worker.limiter.fallback import ALONE_AT_MOST_S, SHARE_ALONE, LocalState, Reservations
from worker.limiter.permit import Permit
from worker.limiter.room import Room
from worker.limiter.shared import Ask, Grant
from worker.limiter.timing import Curve, ServerClock
from worker.limiter.waiting import Slot, Slots, Waiters


def test_the_least_delayed_answer_sets_the_clock() -> None:
    """Slow answers move no slot."""
    clock = ServerClock()
    clock.observe(sent=10.0, server=1010.001, received=10.002)
    clock.observe(sent=11.0, server=1011.001, received=11.5)
    assert clock.to_local(1020.0) == pytest.approx(20.001)
    assert clock.to_server(20.001) == pytest.approx(1020.0)


@pytest.mark.parametrize("jump", [7200.0, -7200.0])
def test_a_jump_of_redis_time_is_followed(jump: float) -> None:
    """A failover to a server with another clock must not stop anything."""
    clock = ServerClock()
    clock.observe(sent=10.0, server=1010.0, received=10.001)
    clock.observe(sent=20.0, server=1020.0 + jump, received=20.001)
    assert clock.to_local(1021.0 + jump) == pytest.approx(21.0, abs=0.01)


def test_a_curve_counts_between_two_moments() -> None:
    """Linear between what is known, flat outside."""
    curve = Curve()
    for at, count in ((0.0, 0), (1.0, 10), (2.0, 10), (3.0, 40)):
        curve.add(at, count)
    assert curve.rate(0.5, 1.0) == pytest.approx(10)
    assert curve.rate(1.5, 2.5) == pytest.approx(15)
    assert curve.at(99) == 40
    curve.add(4.0, 1)
    assert curve.at(3.5) == 1


def test_a_curve_forgets_what_is_old() -> None:
    """A process runs for weeks."""
    curve = Curve(span=1.0)
    for tick in range(5000):
        curve.add(tick / 100, tick)
    assert len(curve._times) < 1000
    assert curve.rate(48.9, 49.9) == pytest.approx(100, rel=0.02)


def test_holds_grow_to_their_longest_with_jitter() -> None:
    """Between a fifth and all of 1, 2, 4 ... 30 seconds."""
    for level in range(12):
        holds = [hold_for(level, 30.0, Random(seed)) for seed in range(50)]
        base = min(30.0, 2.0**level)
        assert all(0.2 * base <= hold <= base for hold in holds)
        assert len(set(holds)) > 10


def test_half_of_the_calls_failing_is_no_storm_more_is() -> None:
    """And a few calls prove nothing."""
    outcomes = Outcomes()
    for number in range(FEWEST - 1):
        outcomes.record(failed=True)
        assert not outcomes.is_storm(), number
    outcomes.record(failed=True)
    assert outcomes.is_storm()
    for _ in range(FEWEST):
        outcomes.record(failed=False)
    assert not outcomes.is_storm()


async def test_waiters_go_by_priority_then_arrival() -> None:
    """Lower priority figures first; the cancelled are passed over."""
    waiters, loop = Waiters(), asyncio.get_running_loop()
    late, early, urgent, gone = [
        waiters.add(tokens, priority, loop.create_future())
        for tokens, priority in ((10, 5), (20, 5), (30, 1), (40, 0))
    ]
    gone.future.cancel()
    waiters.leave(gone)
    assert len(waiters) == 3
    assert waiters.mean_tokens == 20
    assert [waiters.pop() for _ in range(4)] == [urgent, late, early, None]
    assert len(waiters) == 0


def test_slots_are_taken_when_due() -> None:
    """Not before; and one given back is first again."""
    slots = Slots()
    for at in (1.0, 2.0, 3.0):
        slots.add(Slot(at, at, tokens=5))
    assert slots.take_due(0.9) is None
    first = slots.take_due(1.1)
    assert first is not None
    slots.give_back(first)
    assert slots.first_at == 1.0
    assert slots.drop_before(2.5) == 10
    assert len(slots) == 1


def test_alone_each_process_keeps_to_half_of_its_share() -> None:
    """Whatever it asks for."""
    state, now, granted = LocalState(), 0.0, 0
    while now < 20:
        ask = Ask(slots=20, rate=100.0, tokens=10)
        granted += len(state.reserve(ask, now, processes=4, paused=False).starts)
        now += 0.05
    assert granted == pytest.approx(20 * 100 / 4 * SHARE_ALONE, rel=0.05)


def test_alone_tokens_are_kept_to_as_well() -> None:
    """The stricter of both counts."""
    state = LocalState()
    ask = Ask(slots=20, rate=100.0, token_rate=1000.0, tokens=1000)
    grant = state.reserve(ask, 50.0, processes=1, paused=False)
    assert len(grant.starts) == 1
    assert state.reserve(ask, 51.0, processes=1, paused=False).starts == ()


def test_paused_means_nothing_at_all() -> None:
    """Redis away for too long: never fail open."""
    grant = LocalState().reserve(Ask(slots=5), 1.0, processes=1, paused=True)
    assert grant.starts == ()
    assert grant.wait_s > 0


class Flaky:
    """Shared reservations that can be out of reach."""

    def __init__(self, error: Exception | None = None) -> None:
        self.is_away = True
        self.error = error or ConnectionError()

    async def reserve(self, model: str, ask: Ask) -> Grant:
        if self.is_away:
            raise self.error
        return LocalState().reserve(ask, 1.0, 1, paused=False)


async def test_alone_for_at_most_five_minutes_then_back_by_itself() -> None:
    """Half a share while Redis is away, nothing after that, all of it when it answers."""
    times, shared = [0.0], Flaky()
    reservations = Reservations(shared, lambda: times[0], timeout_s=1.0)  # type: ignore[arg-type] # a fake
    ask = Ask(slots=1, rate=10.0)

    async def granted(at: float) -> int:
        times[0] = at
        grant = await reservations.reserve("m", ask, at, 1)
        await asyncio.sleep(0.01)
        return len(grant.starts)

    assert await granted(1.0) == 1
    assert reservations.is_away
    assert await granted(ALONE_AT_MOST_S - 1) == 1
    assert await granted(ALONE_AT_MOST_S + 2) == 0
    shared.is_away = False
    assert await granted(ALONE_AT_MOST_S + 5) == 0
    assert not reservations.is_away
    assert await granted(ALONE_AT_MOST_S + 6) == 1
    await reservations.close()


async def test_whatever_the_client_raises_the_calls_go_on() -> None:
    """Else the task that asks for slots would be gone, and everybody who waits for them hang."""
    times, shared = [0.0], Flaky(RuntimeError("not of Redis's own"))
    reservations = Reservations(shared, lambda: times[0], timeout_s=1.0)  # type: ignore[arg-type] # a fake
    for times[0] in (1.0, 3.0, 5.0):
        grant = await reservations.reserve("m", Ask(slots=1, rate=10.0), times[0], 1)
        await asyncio.sleep(0.01)
        assert (len(grant.starts), reservations.is_away) == (1, True)
    await reservations.close()


class Listening:
    """Takes permits back and notes how."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def settled(self, slot: Slot, used: int, reserved: int, limits: LimitHeaders | None) -> None:
        self.heard.append(f"settled {used} of {reserved}")

    def was_refused(self, slot: Slot, reserved: int, fault: Fault) -> None:
        self.heard.append(f"refused {fault.kind}")

    def abandoned(self, slot: Slot, reserved: int) -> None:
        self.heard.append("abandoned")


def test_a_permit_is_given_back_exactly_once() -> None:
    """The first outcome counts."""
    lender = Listening()
    permit = Permit(lender, Slot(0.0, 0.0), 100, Room().part(lambda: None))
    permit.settle(tokens=70, limits=None)
    permit.refused(Fault(FaultKind.QUOTA, "no"))
    permit.abandon()
    permit.settle(tokens=1, limits=None)
    assert lender.heard == ["settled 70 of 100"]
