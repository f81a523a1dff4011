"""What holds while Redis is away: each process alone, at half its share, and not for long."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from worker.limiter.adaptive import UNKNOWN_RATE
from worker.limiter.shared import SPAN_S, Ask, Grant, SharedState

REDIS_TIMEOUT_S = 1.0
RETRY_S = 1.0
ALONE_AT_MOST_S = 300.0
"""Then nothing is sent until Redis answers: knowledge of who else sends has grown too old."""
SHARE_ALONE = 0.5

_log = logging.getLogger(__name__)


class LocalState:
    """One model's reservations when there is nobody to ask: the same terms, on a local clock."""

    def __init__(self) -> None:
        self._tat = 0.0
        self._hold = 0.0

    def reserve(self, ask: Ask, now: float, processes: int, *, paused: bool) -> Grant:
        """Slots at half of this process's share of the limit; none while `paused`."""
        self._hold = max(self._hold, ask.hold, now + ask.trip_s if ask.trip_s else 0.0)
        self._tat = max(self._tat, min(ask.known_tat, now + SPAN_S))
        wanted = 0 if paused else ask.slots
        spacing = _spacing(ask, SHARE_ALONE / processes)
        starts: list[float] = []
        wait = 1.0 if paused else 0.0
        for _ in range(wanted):
            at = max(now, self._tat, self._hold)
            if at - now > SPAN_S:
                wait = at - now - SPAN_S
                break
            starts.append(at)
            self._tat = at + spacing
        return self._grant(ask, now, processes, wait, starts)

    def _grant(
        self, ask: Ask, now: float, processes: int, wait: float, starts: list[float]
    ) -> Grant:
        return Grant(
            now=now,
            version=ask.version,
            belief=None,
            seq=0,
            refused=0,
            held_until=self._hold,
            level=0,
            processes=processes,
            born=now,
            tat=self._tat,
            ttat=ask.known_ttat,
            wait_s=wait,
            starts=tuple(starts),
            is_local=True,
        )


def _spacing(ask: Ask, share: float) -> float:
    rate = ask.rate or (None if ask.is_free else UNKNOWN_RATE)
    by_requests = 1 / (rate * share) if rate else 0.0
    by_tokens = ask.tokens / (ask.token_rate * share) if ask.token_rate else 0.0
    return max(by_requests, by_tokens)


class Reservations:
    """Redis if it answers, else the local state; back by itself. One per process."""

    def __init__(self, shared: SharedState, clock: Callable[[], float], timeout_s: float) -> None:
        self._shared, self._clock, self._timeout_s = shared, clock, timeout_s
        self._local: dict[str, LocalState] = {}
        self._away_since: float | None = None
        self._next_try = 0.0
        self._trial: asyncio.Task[None] | None = None
        self._came_back: list[Callable[[], None]] = []

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer last time."""
        return self._away_since is not None

    @property
    def is_paused(self) -> bool:
        """Whether Redis has been away for too long to go on alone."""
        return self._away_since is not None and self._clock() - self._away_since > ALONE_AT_MOST_S

    def on_return(self, call: Callable[[], None]) -> None:
        """Call this whenever Redis answers again."""
        self._came_back.append(call)

    async def reserve(self, model: str, ask: Ask, now: float, processes: int) -> Grant:
        """Slots from Redis, or local ones; never raises. `now`: Redis time as estimated here."""
        if not self.is_away:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._shared.reserve(model, ask)
            except Exception as error:  # whatever the client raises: who waits must be served
                self._leave(error)
        self._try_again(model, ask)
        state = self._local.setdefault(model, LocalState())
        return state.reserve(ask, now, processes, paused=self.is_paused)

    async def close(self) -> None:
        """Stop trying."""
        if self._trial:
            self._trial.cancel()
            await asyncio.gather(self._trial, return_exceptions=True)

    def _leave(self, error: Exception) -> None:
        _log.warning("limiter: Redis is away (%s); going on alone", type(error).__name__)
        self._away_since = self._clock()
        self._next_try = self._away_since + RETRY_S

    def _try_again(self, model: str, ask: Ask) -> None:
        if self._clock() < self._next_try or (self._trial and not self._trial.done()):
            return
        self._next_try = self._clock() + RETRY_S
        self._trial = asyncio.create_task(self._probe(model, replace(ask, slots=0, returns=True)))

    async def _probe(self, model: str, ask: Ask) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._shared.reserve(model, ask)
        except Exception:  # as above: it is tried again
            return
        _log.warning("limiter: Redis is back")
        self._away_since = None
        for call in self._came_back:
            call()
