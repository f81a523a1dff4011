"""The permission to make one call: a lease, given back with its outcome on every path."""

from typing import Protocol

from worker.gateway.faults import Fault, LimitHeaders
from worker.limiter.room import Part
from worker.limiter.waiting import Slot


class Lender(Protocol):
    """Who takes permits back."""

    def settled(self, slot: Slot, used: int, reserved: int, limits: LimitHeaders | None) -> None:
        """The call was answered."""

    def was_refused(self, slot: Slot, reserved: int, fault: Fault) -> None:
        """The call failed."""

    def abandoned(self, slot: Slot, reserved: int) -> None:
        """The call was never sent."""


class Permit:
    """One slot for one call, and its room. The first outcome counts, further calls do nothing."""

    __slots__ = ("_lender", "_part", "_slot", "tokens")

    def __init__(self, lender: Lender, slot: Slot, tokens: int, part: Part) -> None:
        self._lender: Lender | None = lender
        self._part = part
        self._slot = slot
        self.tokens = tokens

    def settle(self, *, tokens: int, limits: LimitHeaders | None) -> None:
        """The call succeeded with this actual usage; learn from its headers."""
        if lender := self._close():
            lender.settled(self._slot, tokens, self.tokens, limits)
            self._part.leave()

    def refused(self, fault: Fault) -> None:
        """The call failed. A quota fault slows all processes down, one for want of capacity (or a
        storm of transient ones) stops the model for a while; others only give the slot back."""
        if lender := self._close():
            lender.was_refused(self._slot, self.tokens, fault)
            self._part.leave()

    def abandon(self) -> None:
        """The call was never sent: its tokens go to others."""
        if lender := self._close():
            lender.abandoned(self._slot, self.tokens)
            self._part.leave()

    def _close(self) -> Lender | None:
        lender, self._lender = self._lender, None
        return lender
