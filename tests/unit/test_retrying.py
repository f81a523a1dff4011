"""What is done about each fault: as a table, and as properties over many seeded runs."""

from collections.abc import Iterator
from random import Random

import pytest

from models.states import FailureCode
from worker.gateway.faults import Fault, FaultKind
from worker.retrying import (
    Again,
    Decision,
    GiveUp,
    PauseJob,
    RetryBudget,
    RetryPolicy,
    Tries,
    decide,
)

POLICY = RetryPolicy()
HOLD = RetryPolicy(on_uncertain="hold")
PAID_KINDS = (FaultKind.TIMEOUT, FaultKind.UNREADABLE, FaultKind.TRANSIENT)


def a_fault(kind: FaultKind = FaultKind.TRANSIENT, **changes: object) -> Fault:
    """A fault with a message."""
    return Fault(kind, "the server failed", **changes)  # type: ignore[arg-type] # by field names


def decisions(fault: Fault, policy: RetryPolicy = POLICY, seed: int = 0) -> Iterator[Decision]:
    """What is decided when one call meets the same fault until it is given up."""
    random, tries = Random(seed), Tries()
    while True:
        decision = decide(fault, tries, policy, random)
        yield decision
        if not isinstance(decision, Again):
            return
        tries = tries.after(fault, decision)


def waits(fault: Fault, policy: RetryPolicy = POLICY, seed: int = 0) -> list[float]:
    """The seconds waited between the calls."""
    return [d.after_s for d in decisions(fault, policy, seed) if isinstance(d, Again)]


@pytest.mark.parametrize(
    ("fault", "decision"),
    [
        (a_fault(FaultKind.MONEY), PauseJob("money", "the server failed")),
        (a_fault(FaultKind.ACCOUNT), PauseJob("account", "the server failed")),
        (
            a_fault(FaultKind.REJECTED),
            GiveUp(FailureCode.REQUEST_REJECTED, "the server failed"),
        ),
        (
            a_fault(FaultKind.REJECTED, code="guardrail"),
            GiveUp(FailureCode.REFUSED, "the server failed"),
        ),
    ],
)
def test_what_cannot_succeed_is_not_tried_again(fault: Fault, decision: Decision) -> None:
    """Neither are paid calls repeated nor keys locked out."""
    assert list(decisions(fault)) == [decision]


def test_a_quota_costs_no_attempt_and_only_a_jitter() -> None:
    """The limiter holds everyone; a second wait here would only lose time."""
    decision = next(decisions(a_fault(FaultKind.QUOTA, retry_after_s=300.0)))
    assert isinstance(decision, Again)
    assert not decision.counts_as_attempt
    assert decision.after_s <= POLICY.jitter_s


def test_a_quota_that_never_opens_pauses_the_job() -> None:
    """No row is failed for a month's limit."""
    *again, last = decisions(a_fault(FaultKind.QUOTA))
    assert len(again) == POLICY.refusals
    assert isinstance(last, PauseJob)
    assert last.reason == "quota"


def test_a_shortage_is_waited_for_in_tens_of_seconds() -> None:
    """Many times, and never in a hurry."""
    *again, last = decisions(a_fault(FaultKind.CAPACITY))
    assert isinstance(last, GiveUp)
    assert len(again) == POLICY.capacity_attempts - 1
    assert all(POLICY.capacity_base_s / 2 <= wait for wait in waits(a_fault(FaultKind.CAPACITY)))
    assert all(isinstance(d, Again) and not d.counts_as_attempt for d in again)


def test_a_transient_fault_is_tried_as_often_as_the_job_says() -> None:
    """`attempts` counts the first call."""
    *again, last = decisions(a_fault(), RetryPolicy(attempts=3))
    assert len(again) == 2
    assert last == GiveUp(FailureCode.SERVER_ERROR, "after 3 calls: the server failed")


@pytest.mark.parametrize("kind", PAID_KINDS)
def test_at_most_two_calls_are_perhaps_paid_in_vain_and_repeated(kind: FaultKind) -> None:
    """However many attempts the job allows."""
    *again, last = decisions(a_fault(kind, maybe_paid=True), RetryPolicy(attempts=50))
    assert len(again) == 2
    assert isinstance(last, GiveUp)
    assert last.code is FailureCode.SERVER_ERROR


@pytest.mark.parametrize("kind", PAID_KINDS)
def test_hold_repeats_no_call_that_may_have_been_paid(kind: FaultKind) -> None:
    """And repeats all others."""
    (only,) = decisions(a_fault(kind, maybe_paid=True), HOLD)
    assert isinstance(only, GiveUp)
    assert only.code is FailureCode.UNCERTAIN
    assert len(waits(a_fault(kind), HOLD)) == POLICY.attempts - 1


def test_doubts_are_counted_across_kinds() -> None:
    """A time-out, a cut answer and a reset are three doubts of one call."""
    random, tries = Random(1), Tries()
    for kind in (FaultKind.TIMEOUT, FaultKind.UNREADABLE):
        fault = a_fault(kind, maybe_paid=True)
        again = decide(fault, tries, POLICY, random)
        assert isinstance(again, Again)
        tries = tries.after(fault, again)
    assert isinstance(decide(a_fault(maybe_paid=True), tries, POLICY, random), GiveUp)
    assert isinstance(decide(a_fault(), tries, POLICY, random), Again)


@pytest.mark.parametrize("kind", [FaultKind.TRANSIENT, FaultKind.CAPACITY])
def test_an_hour_lost_is_enough(kind: FaultKind) -> None:
    """Slow failures use up the deadline as waits do."""
    fault = a_fault(kind)
    tries = Tries().after(fault, Again(0.0, counts_as_attempt=False), took_s=POLICY.deadline_s)
    assert isinstance(decide(fault, tries, POLICY, Random(0)), GiveUp)


@pytest.mark.parametrize("seed", range(50))
def test_every_series_of_waits_is_bounded_and_none_is_negative(seed: int) -> None:
    """Whatever faults come in whatever order, one call loses a bounded time and comes to an end."""
    random, tries, total = Random(seed), Tries(), 0.0
    for _ in range(POLICY.attempts + POLICY.capacity_attempts + POLICY.refusals):
        kind = random.choice([FaultKind.QUOTA, FaultKind.CAPACITY, *PAID_KINDS])
        fault = a_fault(kind, retry_after_s=random.choice([None, 0.0, 5.0, 300.0]))
        decision = decide(fault, tries, POLICY, random)
        if not isinstance(decision, Again):
            break
        assert 0 <= decision.after_s <= 300 + POLICY.jitter_s
        tries = tries.after(fault, decision)
        total += decision.after_s
    else:
        pytest.fail("it never came to an end")
    assert total == pytest.approx(tries.lost_s)
    assert total <= POLICY.deadline_s + 300 + POLICY.jitter_s


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [FaultKind.CAPACITY, *PAID_KINDS])
def test_retry_after_is_honoured_and_spread(kind: FaultKind, seed: int) -> None:
    """Never earlier than told, and not everybody in the same instant."""
    first = waits(a_fault(kind, retry_after_s=70.0), seed=seed)[0]
    assert 70.0 <= first <= 70.0 + POLICY.jitter_s
    assert first != waits(a_fault(kind, retry_after_s=70.0), seed=seed + 1000)[0]


def test_the_jitter_is_full_and_the_window_doubles() -> None:
    """Waits fill the whole window 0..min(cap, base * 2^n)."""
    for place, window in enumerate([1, 2, 4, 8, 10, 10, 10]):
        seen = [waits(a_fault(), seed=seed)[place] for seed in range(300)]
        assert max(seen) <= window
        assert min(seen) < window * 0.1
        assert max(seen) > window * 0.9


def test_the_budget_lets_small_jobs_retry_at_will() -> None:
    """Fifty quick retries are always there, and none of them is touched."""
    budget, again = RetryBudget(), Again(0.5, counts_as_attempt=True)
    assert [budget.temper(again, POLICY, Random(0), 0.0) for _ in range(50)] == [again] * 50
    assert budget.left(0.0) == 0


def test_beyond_the_budget_retries_slow_down_and_are_not_failed() -> None:
    """A brown-out of a big job is sat out at a slow pace."""
    budget, random = RetryBudget(floor=2), Random(3)
    again = Again(0.5, counts_as_attempt=True)
    for _ in range(2):
        budget.temper(again, POLICY, random, 0.0)
    slowed = budget.temper(again, POLICY, random, 0.0)
    assert isinstance(slowed, Again)
    assert not slowed.counts_as_attempt
    assert POLICY.cap_s / 2 <= slowed.after_s <= POLICY.cap_s
    late = budget.temper(Again(300.0, counts_as_attempt=True), POLICY, random, 0.0)
    assert isinstance(late, Again)
    assert late.after_s == 300.0


def test_the_budget_grows_with_the_calls_and_forgets_after_its_window() -> None:
    """A fifth of the last minute's calls may be retries."""
    budget = RetryBudget()
    for second in range(60):
        for _ in range(10):
            budget.called(float(second))
    assert budget.left(59.0) == 120
    for _ in range(120):
        budget.temper(Again(0.0, counts_as_attempt=True), POLICY, Random(0), 59.0)
    assert budget.left(59.0) == 0
    assert budget.left(200.0) == 50


@pytest.mark.parametrize(
    "decision",
    [
        Again(0.5, counts_as_attempt=False),
        GiveUp(FailureCode.SERVER_ERROR, "x"),
        PauseJob("money", "x"),
    ],
)
def test_the_budget_leaves_other_decisions_alone(decision: Decision) -> None:
    """Waiting for a quota is not retrying."""
    budget = RetryBudget(floor=0)
    assert budget.temper(decision, POLICY, Random(0), 0.0) is decision


def test_a_job_in_a_long_brown_out_fails_nothing_for_most_of_an_hour() -> None:
    """Over the budget only the deadline ends a row's patience."""
    budget, random, tries, now = RetryBudget(floor=0), Random(5), Tries(), 0.0
    fault = a_fault()
    while isinstance(decision := decide(fault, tries, POLICY, random), Again):
        slowed = budget.temper(decision, POLICY, random, now)
        assert isinstance(slowed, Again)
        tries = tries.after(fault, slowed)
        now += slowed.after_s
    assert now >= POLICY.deadline_s
    assert isinstance(decision, GiveUp)
