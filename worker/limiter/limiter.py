"""One limiter for all worker processes of an account: the door."""

import asyncio
import os
from collections.abc import Callable, Mapping
from random import Random
from types import TracebackType
from typing import Self
from uuid import uuid4

from redis.asyncio import Redis

from models.limits import Limit, limit_for
from worker.limiter.beliefs import Belief
from worker.limiter.fallback import REDIS_TIMEOUT_S, Reservations
from worker.limiter.pacer import Learnt, Pacer
from worker.limiter.permit import Permit
from worker.limiter.portion import Portion
from worker.limiter.room import NO_BOUND, Room
from worker.limiter.shared import SharedState
from worker.limiter.timing import ServerClock
from worker.limiter.usage import ModelUse
from worker.limiter.waiting import ALONE, Flow

SERVED = "served:"
"""Before the name of a model that is served on this machine: what is said of the provider's model
of that name, or of all its models, does not hold for it."""


class Limiter:
    """Permission to call, for one process; all processes of the account share the limits.

    `redis` must have a socket time-out. `told`: limits by model, `*` for all others; a `Limit` with
    neither requests nor tokens means: none. `processes`: how many share the account until Redis
    says so. `calls_in_flight`: the most at once in this process; of models served here, seats bound
    them. `on_learnt` is called when this process has found a limit or seen it in headers.
    """

    def __init__(
        self,
        redis: Redis,
        account: str,
        told: Mapping[str, Limit] | None = None,
        *,
        processes: int = 1,
        calls_in_flight: int = NO_BOUND,
        on_learnt: Learnt | None = None,
        random: Random | None = None,
        clock: Callable[[], float] | None = None,
        redis_timeout_s: float = REDIS_TIMEOUT_S,
    ) -> None:
        self._told = dict(told or {})
        self._processes = max(1, processes)
        self._on_learnt = on_learnt
        self._random = random or Random()  # noqa: S311 # jitter
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        worker = f"{os.getpid()}-{uuid4().hex[:8]}"
        shared = SharedState(redis, account, worker)
        self._reservations = Reservations(shared, self._clock, redis_timeout_s)
        self._server = ServerClock()
        self._seeds: dict[str, Belief] = {}
        self._pacers: dict[str, Pacer] = {}
        self._room, self._room_here = Room(calls_in_flight), Room()
        self.portion = Portion()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop all tasks; calls that still wait are cancelled."""
        for pacer in self._pacers.values():
            await pacer.close()
        self._pacers.clear()
        await self._reservations.close()

    def seed(self, model: str, limit: Limit) -> None:
        """Start `model` from a limit learnt earlier; what Redis or a header says goes before."""
        self._seeds[model] = Belief.from_limit(limit)

    async def acquire(
        self, model: str, tokens: int, *, priority: int = 0, flow: Flow = ALONE
    ) -> Permit:
        """Wait for a slot for one call of about `tokens` tokens, input and output.

        Flows that wait share the slots by weight; within one, lower `priority` goes first, then
        first come first served. Raises only `CancelledError`.
        """
        return await self._pacer(model).acquire(tokens, priority, flow)

    def snapshot(self) -> list[ModelUse]:
        """Every model used by this process so far."""
        return [pacer.snapshot() for pacer in self._pacers.values()]

    def _pacer(self, model: str) -> Pacer:
        pacer = self._pacers.get(model)
        if pacer is None:
            pacer = self._pacers[model] = Pacer(
                model,
                self._limit_told(model),
                self._seeds.get(model, Belief()),
                self._reservations,
                self._server,
                self._processes,
                self._random,
                self._on_learnt,
                self.portion,
                self._room_here if model.startswith(SERVED) else self._room,
            )
        return pacer

    def _limit_told(self, model: str) -> Limit | None:
        """What the user said; of a model served here nothing else is known: it has no limit."""
        name = model.removeprefix(SERVED)
        return limit_for(model, self._told) if name == model else self._told.get(name, Limit())
