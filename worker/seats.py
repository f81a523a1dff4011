"""Permission to call a model that is served on this machine: a seat, and then a permit.

Such a server tells no limit and refuses nothing: what it cannot answer at once would wait at its
door until it times out. It is held apart from the provider's model of the same name, if any.
"""

import asyncio

from worker.gateway.faults import Fault, LimitHeaders
from worker.gateway.local import LocalGateway
from worker.limiter import Flow, Limiter, Permit
from worker.limiter.limiter import SERVED


class Seated:
    """A permit with its seat; both are given back with the first outcome."""

    __slots__ = ("_permit", "_seat")

    def __init__(self, permit: Permit, seat: asyncio.Semaphore) -> None:
        self._permit = permit
        self._seat: asyncio.Semaphore | None = seat

    def settle(self, *, tokens: int, limits: LimitHeaders | None) -> None:
        """As `Permit.settle`."""
        self._rise()
        self._permit.settle(tokens=tokens, limits=limits)

    def refused(self, fault: Fault) -> None:
        """As `Permit.refused`."""
        self._rise()
        self._permit.refused(fault)

    def abandon(self) -> None:
        """As `Permit.abandon`."""
        self._rise()
        self._permit.abandon()

    def _rise(self) -> None:
        seat, self._seat = self._seat, None
        if seat is not None:
            seat.release()


class Seats:
    """A limiter for models that are served here."""

    def __init__(self, limiter: Limiter, local: LocalGateway) -> None:
        self._limiter = limiter
        self._local = local

    async def acquire(self, model: str, tokens: int, *, priority: int, flow: Flow) -> Seated:
        """As `Limiter.acquire`; seats go to who came first."""
        seat = self._local.seats(model)
        await seat.acquire()
        try:
            permit = await self._limiter.acquire(
                SERVED + model, tokens, priority=priority, flow=flow
            )
        except BaseException:
            seat.release()
            raise
        return Seated(permit, seat)
