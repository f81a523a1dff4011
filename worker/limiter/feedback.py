"""What outcomes of calls mean: for the belief, for the circuit, for the next report."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from models.limits import Limit
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.limiter import beliefs
from worker.limiter.circuit import LONGEST_CAPACITY_S, LONGEST_TRANSIENT_S, Outcomes, hold_for
from worker.limiter.outlook import Outlook
from worker.limiter.waiting import Slot

TOKEN_HOLD_S = 2.0
"""Pause after a refusal for tokens: the 60 s window moves on by 3%."""


@dataclass(slots=True)
class Report:
    """What happened since the last call to Redis; the fields are those of `Ask`."""

    settled: float = 0.0
    refused: int = 0
    hold: float = 0.0
    late_s: float = 0.0
    trip_s: float = 0.0
    trip_sent: float = 0.0
    answered_sent: float = 0.0
    probe_back: bool = False
    is_urgent: bool = False


class Feedback:
    """Takes permits back, for one model in one process.

    `measure(at)` tells how many calls were let through in the second before `at`; `poke()` has
    an urgent report sent.
    """

    def __init__(
        self,
        outlook: Outlook,
        told: Limit | None,
        random: Random,
        measure: Callable[[float], float],
        poke: Callable[[], None],
    ) -> None:
        self._outlook, self._told, self._random = outlook, told, random
        self._measure, self._poke = measure, poke
        self._outcomes = Outcomes()
        self._tripped_at = 0.0
        self.report = Report()
        self.level = 0
        self.in_flight = 0
        self.refusals = 0
        self.answered = False

    def take_report(self) -> Report:
        """All since the last time."""
        report, self.report = self.report, Report()
        return report

    def settled(self, slot: Slot, used: int, reserved: int, limits: LimitHeaders | None) -> None:
        """An answer: the model works, and its headers say the limit."""
        self.in_flight -= 1
        self.answered = True
        self.report.settled += used - reserved
        self._works(slot)
        if limits is not None:
            self._learn(limits)

    def was_refused(self, slot: Slot, reserved: int, fault: Fault) -> None:
        """A fault: each kind in its own way."""
        self.in_flight -= 1
        if not fault.maybe_paid:
            self.report.settled -= reserved
        if fault.limits is not None:
            self._learn(fault.limits)
        match fault.kind:
            case FaultKind.QUOTA:
                self._works(slot)
                self._quota(slot, fault)
            case FaultKind.CAPACITY:
                self._trip(slot, max(LONGEST_CAPACITY_S, fault.retry_after_s or 0), fault)
            case FaultKind.TRANSIENT | FaultKind.TIMEOUT:
                self._fails(slot, fault)
            case _:
                self._works(slot)

    def abandoned(self, slot: Slot, reserved: int) -> None:
        """Never sent: nothing was learnt."""
        self.in_flight -= 1
        self.report.settled -= reserved
        if self.level:
            self.report.probe_back = True
            self._urge()

    def _works(self, slot: Slot) -> None:
        if slot.sent >= self._tripped_at:
            self._outcomes.record(failed=False)
        if self.level:
            self.report.answered_sent = max(self.report.answered_sent, slot.sent)
            self._urge()

    def _fails(self, slot: Slot, fault: Fault) -> None:
        if slot.sent < self._tripped_at:
            return
        self._outcomes.record(failed=True)
        if self.level or self._outcomes.is_storm():
            self._trip(slot, LONGEST_TRANSIENT_S, fault)

    def _trip(self, slot: Slot, longest: float, fault: Fault) -> None:
        """Open the circuit, unless the call was sent before it last opened."""
        if slot.sent < self._tripped_at or self.report.trip_s:
            return
        hold = hold_for(self.level, longest, self._random)
        self.report.trip_s = max(hold, fault.retry_after_s or 0.0)
        self.report.trip_sent = slot.sent
        self._outcomes.clear()
        self._urge()

    def opened(self, at: float) -> None:
        """The circuit opened at `at` (Redis time): calls sent before prove nothing any more."""
        self._tripped_at = max(self._tripped_at, at)
        self._outcomes.clear()

    def _quota(self, slot: Slot, fault: Fault) -> None:
        self.refusals += 1
        self.report.refused += 1
        if fault.retry_after_s:
            self.report.hold = max(self.report.hold, slot.sent + fault.retry_after_s)
        if _is_about_tokens(fault.limits):
            self.report.hold = max(self.report.hold, slot.sent + TOKEN_HOLD_S)
        else:
            self._slow_down(slot.sent)
        if self.report.hold:
            self._urge()

    def _slow_down(self, sent: float) -> None:
        change = partial(
            beliefs.refused,
            at=sent,
            measured=self._measure(sent),
            told=self._told,
            random=self._random,
        )
        if self._outlook.change(change):
            self._urge()

    def _learn(self, limits: LimitHeaders) -> None:
        if self._outlook.change(partial(beliefs.learn, limits=limits)):
            self._urge()

    def _urge(self) -> None:
        self.report.is_urgent = True
        self._poke()


def _is_about_tokens(limits: LimitHeaders | None) -> bool:
    """Whether the headers of a refusal show room for requests and none for tokens."""
    if limits is None or limits.remaining_tokens_minute is None:
        return False
    cost = limits.tokens_query_cost or 0
    return limits.remaining_tokens_minute <= cost and limits.remaining_requests_minute != 0
