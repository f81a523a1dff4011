"""Any sequence of faults comes to an end: a bounded number of calls in a bounded time."""

from random import Random

from drawn import some
from hypothesis import given
from hypothesis import strategies as st

from models.states import DeliveryState, FailureCode
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.headers import LONGEST_RETRY_AFTER_S, read_retry_after
from worker.retrying import Again, GiveUp, PauseJob, RetryBudget, RetryPolicy, Tries, decide
from worker.webhooks.schedule import GONE, JITTER, LONGEST_S, WAITS_S, asked_s, judge

POLICY = RetryPolicy()
PAID_KINDS = (FaultKind.TRANSIENT, FaultKind.TIMEOUT, FaultKind.UNREADABLE)
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(list(FaultKind)[:5]),  # those that may be asked again
    message=st.just("it failed"),
    retry_after_s=st.none() | st.floats(0, LONGEST_RETRY_AFTER_S),
    maybe_paid=st.booleans(),
)
TOOK = st.floats(0, 120)
LONGEST_STEP_S = 120 + LONGEST_RETRY_AFTER_S + POLICY.capacity_cap_s
HEADERS = st.one_of(
    st.text(max_size=40),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT")),
    st.sampled_from(["86400", "-1", "Mon, 01 Jan 0001 00:00:00 +9999", "1e9", "\u0663", "1_0"]),
)


def _end_of(faults: list[tuple[Fault, float]], policy: RetryPolicy) -> tuple[object, Tries, int]:
    """The last decision when the faults come round and round, and what led to it."""
    random, tries, budget, now_s, calls = Random(0), Tries(), RetryBudget(floor=2), 0.0, 0
    while True:
        fault, took_s = faults[calls % len(faults)]
        calls += 1
        budget.called(now_s)
        decision = budget.temper(decide(fault, tries, policy, random), policy, random, now_s)
        if not isinstance(decision, Again):
            return decision, tries, calls
        assert decision.after_s >= (fault.retry_after_s or 0.0) or fault.kind is FaultKind.QUOTA
        tries = tries.after(fault, decision, took_s)
        now_s += took_s + decision.after_s


@some(200)
@given(st.lists(st.tuples(FAULTS, TOOK), min_size=1, max_size=12))
def test_a_call_ends_whatever_it_meets(faults: list[tuple[Fault, float]]) -> None:
    """By number or by time; what may be paid twice is bounded by itself."""
    end, tries, calls = _end_of(faults, POLICY)
    assert isinstance(end, GiveUp | PauseJob)
    assert tries.lost_s <= POLICY.deadline_s + LONGEST_STEP_S
    slow = POLICY.deadline_s / (POLICY.cap_s / 2)  # retries beyond the allowance wait so long
    assert calls <= POLICY.attempts + POLICY.refusals + POLICY.capacity_attempts + slow + 1
    doubtful = sum(fault.maybe_paid for fault, _ in faults if fault.kind in PAID_KINDS)
    if doubtful == len(faults):
        assert calls <= POLICY.doubts + 1


@some(100)
@given(st.lists(st.tuples(FAULTS, TOOK), min_size=1, max_size=12))
def test_on_hold_nothing_that_may_be_paid_is_sent_again(faults: list[tuple[Fault, float]]) -> None:
    """The first such fault ends the call, by name."""
    end, _, calls = _end_of(faults, RetryPolicy(on_uncertain="hold"))
    unsure = [n for n, (fault, _) in enumerate(faults) if _is_unsure(fault)]
    if unsure and calls > unsure[0]:
        assert calls == unsure[0] + 1
        assert isinstance(end, GiveUp) and end.code is FailureCode.UNCERTAIN


def _is_unsure(fault: Fault) -> bool:
    return fault.maybe_paid and fault.kind in PAID_KINDS


@some(300)
@given(HEADERS)
def test_no_retry_after_makes_a_call_wait_for_long(header: str) -> None:
    """Numbers, dates and garbage: up to 300 s, or none of our business."""
    waits = read_retry_after({"retry-after": header})
    assert waits is None or 0 <= waits <= LONGEST_RETRY_AFTER_S


@some(300)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(100, 599), st.none() | HEADERS, st.floats(0, 1)),
        min_size=len(WAITS_S),
        max_size=len(WAITS_S),
    ),
    st.floats(0, 4e9),
)
def test_a_delivery_ends_whatever_it_is_answered(
    answers: list[tuple[int | None, str | None, float]], now: float
) -> None:
    """Ten attempts at most, each within its jitter or as late as the endpoint asks: a day."""
    tries = 0
    while True:
        status, header, chance = answers[tries]
        tries += 1
        verdict = judge(tries, status, retry_after=header, now=now, chance=chance)
        if verdict.state != DeliveryState.PENDING:
            break
        least, wished = WAITS_S[tries], min(asked_s(header, now), LONGEST_S)
        assert verdict.after_s >= max(least, wished)
        assert verdict.after_s <= max(least * (1 + JITTER), wished)
    good = status is not None and 200 <= status < 300
    assert (verdict.state == DeliveryState.DELIVERED) == good
    assert (verdict.state == DeliveryState.DISABLED) == (status == GONE)
    assert (verdict.state == DeliveryState.EXHAUSTED) == (not good and status != GONE)
    assert verdict.state != DeliveryState.EXHAUSTED or tries == len(WAITS_S)
