"""What to do about a `Fault`: ask again and when, give the row up, or pause the job. Pure.

Which faults may be asked again, how often and after how long:

quota       no attempt, no wait of its own beyond a jitter: the limiter was told and holds everyone
capacity    tens of seconds, many times: the provider's shortage is not the row's fault
transient   full jitter over a doubling window, up to `attempts` calls in all
perhaps paid (time-outs, cut answers, resets): the same, but `doubts` times at most, or not at all
money, account   the job is paused: no row of it could succeed
rejected    the row fails with the API's words
"""

from collections import deque
from dataclasses import dataclass, replace
from random import Random
from typing import Literal, assert_never

from models.states import FailureCode
from worker.gateway.faults import Fault, FaultKind

PauseReason = Literal["money", "account", "quota", "budget", "price", "store"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient a job is. `attempts` counts calls, the first among them; `_s` are seconds."""

    attempts: int = 8
    on_uncertain: Literal["retry", "hold"] = "retry"
    """`hold`: a call that may have been paid is never sent again by itself."""
    doubts: int = 2
    """Calls sent again although the one before may have been paid; bounds what is paid twice."""
    base_s: float = 1.0
    cap_s: float = 10.0
    """After a brown-out every waiting row is back within this time."""
    capacity_attempts: int = 40
    capacity_base_s: float = 10.0
    capacity_cap_s: float = 60.0
    refusals: int = 120
    """429s of one call before the job is paused: a monthly limit never opens again by waiting."""
    jitter_s: float = 1.0
    deadline_s: float = 3600.0
    """Time one call may lose to faults, its waits among them, before the row is given up."""


@dataclass(frozen=True, slots=True)
class Again:
    """Ask again after `after_s` seconds, through the limiter as always."""

    after_s: float
    counts_as_attempt: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The row fails with this code and detail."""

    code: FailureCode
    detail: str


@dataclass(frozen=True, slots=True)
class PauseJob:
    """No row can succeed until somebody acts; the row stays open."""

    reason: PauseReason
    detail: str


Decision = Again | GiveUp | PauseJob


@dataclass(frozen=True, slots=True)
class Tries:
    """What one call went through so far; the newest fault is not in it yet."""

    attempts: int = 0
    refused: int = 0
    crowded: int = 0
    doubts: int = 0
    lost_s: float = 0.0

    def after(self, fault: Fault, again: Again, took_s: float = 0.0) -> "Tries":
        """With `fault` and the wait decided on it added; `took_s`: how long the call itself ran.

        Time spent in the limiter's queue is nobody's loss and is not counted.
        """
        return replace(
            self,
            attempts=self.attempts + again.counts_as_attempt,
            refused=self.refused + (fault.kind is FaultKind.QUOTA),
            crowded=self.crowded + (fault.kind is FaultKind.CAPACITY),
            doubts=self.doubts + fault.maybe_paid,
            lost_s=self.lost_s + took_s + again.after_s,
        )


def decide(fault: Fault, tries: Tries, policy: RetryPolicy, random: Random) -> Decision:
    """What to do about `fault`, after what `tries` tells."""
    match fault.kind:
        case FaultKind.MONEY:
            return PauseJob("money", fault.message)
        case FaultKind.ACCOUNT:
            return PauseJob("account", fault.message)
        case FaultKind.REJECTED:
            return _reject(fault)
        case FaultKind.QUOTA:
            return _wait_for_quota(fault, tries, policy, random)
        case FaultKind.CAPACITY:
            return _wait_for_capacity(fault, tries, policy, random)
        case FaultKind.TRANSIENT | FaultKind.TIMEOUT | FaultKind.UNREADABLE:
            return _try_again(fault, tries, policy, random)
        case _:
            assert_never(fault.kind)


def _reject(fault: Fault) -> GiveUp:
    refused = fault.code == "guardrail"
    return GiveUp(FailureCode.REFUSED if refused else FailureCode.REQUEST_REJECTED, fault.message)


def _wait_for_quota(fault: Fault, tries: Tries, policy: RetryPolicy, random: Random) -> Decision:
    if tries.refused >= policy.refusals or tries.lost_s >= policy.deadline_s:
        refused = f"one call was refused {tries.refused + 1} times"
        return PauseJob("quota", f"{refused}; a monthly limit may be used up: {fault.message}")
    return Again(random.uniform(0, policy.jitter_s), counts_as_attempt=False)


def _wait_for_capacity(fault: Fault, tries: Tries, policy: RetryPolicy, random: Random) -> Decision:
    if tries.crowded + 1 >= policy.capacity_attempts or tries.lost_s >= policy.deadline_s:
        return _outlasted(fault, tries)
    window = _window(policy.capacity_base_s, policy.capacity_cap_s, tries.crowded)
    wait = random.uniform(window / 2, window)  # never near zero: hammering prolongs a shortage
    return Again(_honouring(fault, wait, policy, random), counts_as_attempt=False)


def _try_again(fault: Fault, tries: Tries, policy: RetryPolicy, random: Random) -> Decision:
    if fault.maybe_paid and policy.on_uncertain == "hold":
        return GiveUp(FailureCode.UNCERTAIN, f"the call may have been paid: {fault.message}")
    spent = tries.attempts + 1 >= policy.attempts or tries.lost_s >= policy.deadline_s
    if spent or (fault.maybe_paid and tries.doubts >= policy.doubts):
        return _outlasted(fault, tries)
    wait = random.uniform(0, _window(policy.base_s, policy.cap_s, tries.attempts))
    return Again(_honouring(fault, wait, policy, random), counts_as_attempt=True)


def _outlasted(fault: Fault, tries: Tries) -> GiveUp:
    calls = tries.attempts + tries.refused + tries.crowded + 1
    return GiveUp(FailureCode.SERVER_ERROR, f"after {calls} calls: {fault.message}")


def _window(base_s: float, cap_s: float, tried: int) -> float:
    return float(min(cap_s, base_s * 2 ** min(tried, 30)))


def _honouring(fault: Fault, wait_s: float, policy: RetryPolicy, random: Random) -> float:
    """At least `Retry-After`, and then not all at once."""
    if fault.retry_after_s is None:
        return wait_s
    return max(wait_s, fault.retry_after_s + random.uniform(0, policy.jitter_s))


class RetryBudget:
    """One job's allowance of quick retries: the larger of 50 and 20% of its calls, per minute.

    Retries beyond it are neither failed nor hurried: they wait the policy's longest wait and cost
    no attempt, so that a brown-out is sat out at a slow pace. Times are seconds of any clock that
    does not go back. Not shared between processes: each has its own share of the job's calls.
    """

    def __init__(self, *, floor: int = 50, share: float = 0.2, window_s: float = 60.0) -> None:
        self._floor = floor
        self._share = share
        self._slot_s = window_s / _SLOTS
        self._slots: deque[_Slot] = deque(maxlen=_SLOTS)

    def called(self, now_s: float) -> None:
        """A call was sent, first or repeated."""
        self._slot(now_s).calls += 1

    def temper(
        self, decision: Decision, policy: RetryPolicy, random: Random, now_s: float
    ) -> Decision:
        """`decision` as it is, or with the long wait when it is a retry beyond the allowance."""
        if not isinstance(decision, Again) or not decision.counts_as_attempt:
            return decision
        slot = self._slot(now_s)
        if self.left(now_s) > 0:
            slot.retries += 1
            return decision
        wait = max(decision.after_s, random.uniform(policy.cap_s / 2, policy.cap_s))
        return Again(wait, counts_as_attempt=False)

    def left(self, now_s: float) -> int:
        """Quick retries still allowed in the window that ends now."""
        self._slot(now_s)
        calls = sum(slot.calls for slot in self._slots)
        retries = sum(slot.retries for slot in self._slots)
        return max(self._floor, int(self._share * calls)) - retries

    def _slot(self, now_s: float) -> "_Slot":
        number = int(now_s // self._slot_s)
        if not self._slots or self._slots[-1].number < number:
            self._slots.append(_Slot(number))
        while self._slots[0].number <= number - _SLOTS:
            self._slots.popleft()
        return self._slots[-1]


_SLOTS = 12


@dataclass(slots=True)
class _Slot:
    """What happened in one twelfth of the window."""

    number: int
    calls: int = 0
    retries: int = 0
