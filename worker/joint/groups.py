"""A group of texts on its way: it waits for one permit, is one request, and tells each its part.

Members join while the permit is waited for; then each notes its own intent and arrives, or leaves,
and what has arrived is sent. The permit is given back once, by the group, with the request's
outcome. A group without members ends itself at whatever point it is.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from models.embedding import MOST_TEXTS, MOST_TOKENS
from models.payloads import Usage
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.gateway.gateway import Gateway
from worker.gateway.local import LocalGateway
from worker.gateway.replies import Reply
from worker.joint.parts import divided, parts
from worker.limiter import Flow, Limiter, Permit
from worker.seats import Seated, Seats

log = logging.getLogger(__name__)

LINGER_S = 0.01
"""Where nothing has to be waited for, texts of this long still travel together."""
ARRIVE_S = 5.0
"""Who was let in and neither comes nor leaves within this time is not waited for any more."""
DIVISIVE = frozenset({FaultKind.REJECTED, FaultKind.UNREADABLE})
"""What one text may have brought upon the others: they are asked again in smaller groups."""

Party = tuple[int, ...]
"""Who keeps to themselves: a half of a group that was refused. Empty: nobody in particular."""


@dataclass(frozen=True, slots=True)
class Apart:
    """The group was refused, perhaps for the sake of another text, and nothing was paid."""


Outcome = Reply | Fault | Apart


@dataclass(frozen=True, slots=True)
class Terms:
    """What the texts of a group have in common. `fields`: the request's, but for its input."""

    limiter: Limiter | Seats
    gateway: Gateway | LocalGateway
    fields: dict[str, Any]
    priority: int
    flow: Flow
    number: int
    usual_tokens: int = 0
    """What the model's last group took: who joins later is reserved for, too."""

    @property
    def model(self) -> str:
        """The model asked for."""
        return str(self.fields["model"])


class Place:
    """One text's place in a group: to its payer, the permit."""

    __slots__ = ("admitted", "answer", "group", "has_arrived", "party", "text", "tokens")

    def __init__(self, group: "Group", text: str, tokens: int) -> None:
        loop = asyncio.get_running_loop()
        self.group = group
        self.text = text
        self.tokens = tokens
        self.admitted: asyncio.Future[None] = loop.create_future()
        self.answer: asyncio.Future[Outcome] = loop.create_future()
        self.has_arrived = False
        self.party: Party = ()
        """With whom to be asked again."""

    async def enter(self) -> None:
        """Waits for the group's permit."""
        try:
            await self.admitted
        except BaseException:
            self.abandon()
            raise

    async def arrive(self) -> Outcome:
        """This text may be sent; its part of the group's outcome."""
        self.has_arrived = True
        self.group.look()
        return await self.answer

    def settle(self, *, tokens: int, limits: LimitHeaders | None) -> None:
        """The group has given its permit back."""

    def refused(self, fault: Fault) -> None:
        """The group has given its permit back."""

    def abandon(self) -> None:
        """This text is not to be sent, or nobody waits for its answer any more."""
        self.group.leave(self)

    def tell(self, outcome: Outcome) -> None:
        """What became of it, if its payer still waits."""
        if not self.answer.done():
            self.answer.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        """Hands on what went wrong to where this text's payer waits."""
        future: asyncio.Future[Any] = self.answer if self.admitted.done() else self.admitted
        if future.done():
            return
        if isinstance(error, asyncio.CancelledError):
            future.cancel()
        else:
            future.set_exception(error)


class Group:
    """One request in the making. `on_closed`: called with it when nobody may join any more."""

    def __init__(self, terms: Terms, on_closed: "Callable[[Group], None]") -> None:
        self.terms = terms
        self._on_closed = on_closed
        self._places: list[Place] = []
        self.tokens = 0
        self._full = asyncio.Event()
        self._all_here = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="joint call")

    def has_room(self, tokens: int) -> bool:
        """Whether a text of so many tokens may join."""
        fits = len(self._places) < MOST_TEXTS and self.tokens + tokens <= MOST_TOKENS
        return fits or not self._places

    def join(self, text: str, tokens: int) -> Place:
        """One more text, while `has_room`."""
        place = Place(self, text, tokens)
        self._places.append(place)
        self.tokens += tokens
        if not self.has_room(1):
            self._full.set()
            self._on_closed(self)
        return place

    def leave(self, place: Place) -> None:
        """A text is taken out, or if it was sent, its answer is not waited for any more."""
        if place not in self._places:
            return
        self._places.remove(place)
        self.tokens -= place.tokens
        if not self._places:
            self._on_closed(self)
            self._task.cancel()
        self.look()

    def look(self) -> None:
        """Goes on if everybody is here."""
        if all(place.has_arrived for place in self._places):
            self._all_here.set()

    async def _run(self) -> None:
        terms = self.terms
        try:
            await self._linger()
            permit = await terms.limiter.acquire(
                terms.model,
                max(self.tokens, terms.usual_tokens),
                priority=terms.priority,
                flow=terms.flow,
            )
        except BaseException as error:
            self._fail(error)
            return
        finally:
            self._on_closed(self)
        try:
            sent = await self._gathered()
            outcome = await terms.gateway.embed(_joined(terms, sent))
            told = _told(sent, outcome)
        except BaseException as error:
            permit.abandon()
            self._fail(error)
            return
        _give_back(permit, outcome)
        if isinstance(outcome, Fault) and outcome.kind in DIVISIVE:
            _divide(sent, terms.number)
        for place, part in zip(sent, told, strict=True):
            place.tell(part)

    async def _linger(self) -> None:
        try:
            async with asyncio.timeout(LINGER_S):
                await self._full.wait()
        except TimeoutError:
            return

    async def _gathered(self) -> list[Place]:
        """Lets everybody in; those who have arrived. Whoever leaves later is sent all the same."""
        for place in self._places:
            if not place.admitted.done():
                place.admitted.set_result(None)
        try:
            async with asyncio.timeout(ARRIVE_S):
                await self._all_here.wait()
        except TimeoutError:
            self._lock_out()
        if not self._places:
            raise asyncio.CancelledError
        return list(self._places)

    def _lock_out(self) -> None:
        for place in [one for one in self._places if not one.has_arrived]:
            log.error("a text that was let in did not come: its group goes without it")
            place.answer.set_result(Apart())
            self._places.remove(place)

    def _fail(self, error: BaseException) -> None:
        """Everybody hears of it; a task that nobody waits for has nobody to raise to."""
        for place in self._places:
            place.fail(error)


def _joined(terms: Terms, sent: list[Place]) -> dict[str, Any]:
    return {**terms.fields, "input": [place.text for place in sent]}


def _give_back(permit: Permit | Seated, outcome: Reply | Fault) -> None:
    if isinstance(outcome, Reply):
        permit.settle(tokens=outcome.usage.total, limits=outcome.limits)
    else:
        permit.refused(outcome)


def _divide(sent: list[Place], number: int) -> None:
    """From now on each keeps to its half; who is alone already has nobody to be told from."""
    if len(sent) > 1:
        for at, place in enumerate(sent):
            place.party = (number, 2 * at // len(sent))


def _told(sent: list[Place], outcome: Reply | Fault) -> list[Outcome]:
    weights = [place.tokens for place in sent]
    if isinstance(outcome, Fault):
        return _faults(outcome, weights)
    from worker.gateway.mistral import to_vectors  # noqa: PLC0415 # see its docstring

    return [*parts(outcome, to_vectors(outcome.answer), weights)]


def _faults(fault: Fault, weights: list[int]) -> list[Outcome]:
    """What each is told: a refusal for good concerns one of them, nobody knows yet which."""
    if fault.kind is FaultKind.REJECTED and not fault.maybe_paid and len(weights) > 1:
        return [Apart()] * len(weights)
    shares: list[Usage | None] = [None] * len(weights)
    if fault.usage is not None:
        shares = [*divided(fault.usage, weights)]
    return [replace(fault, usage=share) for share in shares]
