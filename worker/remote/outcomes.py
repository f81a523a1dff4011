"""What the handler of an operation answers: values, not exceptions."""

from dataclasses import dataclass
from typing import Protocol

from models.states import RemoteState
from models.store.remote import InHand
from worker.gateway.faults import Fault
from worker.gateway.remote import RemoteJob
from worker.remote.statuses import Standing


@dataclass(frozen=True, slots=True)
class Sent:
    """The remote job is there, made just now or found again."""

    job: RemoteJob


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing can be said yet: ask again after so many seconds. No failure."""

    after_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It will never run: the provider said so, or what it needs is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """How it stands over there."""

    job: RemoteJob
    standing: Standing


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of it is stored; the final state it ends in, and why if that needs a word.

    `is_lost`: it ran, and what it answered cannot be had any more: its calls may have been paid.
    """

    state: RemoteState
    reason: str = ""
    is_lost: bool = False


class Handler(Protocol):
    """One kind of operation. A step may be repeated after a death, and then repeats no payment."""

    async def send(self, hand: InHand) -> Sent | Later | Refused | Fault:
        """Starts it, unless it is there already (looked for by its metadata)."""

    async def look(self, hand: InHand) -> Seen | Fault:
        """Asks how it stands."""

    async def cancel(self, hand: InHand) -> Fault | None:
        """Asks the provider to stop it; once a look until it is over."""

    async def fetch(self, hand: InHand) -> Fetched | Fault:
        """Stores what came of it, also of one that failed or was cancelled."""

    async def end(self, hand: InHand, fetched: Fetched) -> None:
        """Ends it here, with all that waited for it, in one transaction."""
