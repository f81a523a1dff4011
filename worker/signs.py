"""The sign of life: that a process is there, how it stands, and what its calls did since the last.

All of it is one short transaction every few seconds. What could not be told is told with the next
sign, of the time when it happened.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from models.errors import MaestraleError
from models.settings import Settings
from models.store import fleet, pulses
from models.store.fleet import LimiterSign
from models.store.pulses import Beat
from worker.call_counts import CallCounts
from worker.database import Database
from worker.ledger.ledger import Ledger
from worker.limiter import Limiter, ModelUse
from worker.shards import Shards

log = logging.getLogger(__name__)


class Signs:
    """Given by the clock. Belongs to its event loop."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        shards_here: Shards,
        ledger: Ledger,
        limiter: Limiter,
        figures: CallCounts,
        owner: str,
    ) -> None:
        self._settings = settings
        self._database = database
        self._shards = shards_here
        self._ledger = ledger
        self._limiter = limiter
        self._figures = figures
        self._owner = owner
        self._giving: asyncio.Task[None] | None = None
        self._ahead_s = 0.0
        """The database's clock less ours (`time.monotonic`)."""
        self._taken_at = time.monotonic()
        self._granted: dict[str, int] = {}

    async def give(self) -> None:
        """One sign. Begun, it is ended, though the caller be cancelled: no beat counts twice."""
        if self._giving is None or self._giving.done():
            self._giving = asyncio.get_running_loop().create_task(self._give())
        await asyncio.shield(self._giving)

    async def close(self) -> None:
        """Tells of the last calls and says goodbye; if the database is away, to the log alone."""
        if self._giving is not None:
            await asyncio.wait({self._giving})
        try:
            await self.give()
            await self._database.write(fleet.gone, self._owner)
        except MaestraleError as error:
            log.warning("left without a goodbye: %s", error)

    async def _give(self) -> None:
        now, before = time.monotonic(), self._taken_at
        self._taken_at = now
        beats = self._figures.take(self._ahead_s + (now + before) / 2)
        uses = self._limiter.snapshot()
        standing = {
            "slots": self._settings.shards_in_flight,
            "rows_in_flight": self._shards.places.taken,
            "spool_bytes": self._ledger.spool_bytes,
            "backlog": self._ledger.writer.backlog,
            "limiter": [self._of_model(use, now - before) for use in uses],
        }
        at = await self._database.write(_tell, self._owner, beats, standing)
        self._ahead_s = at - time.monotonic()
        self._figures.told()

    def _of_model(self, use: ModelUse, seconds: float) -> LimiterSign:
        sent = use.granted - self._granted.get(use.model, 0)
        self._granted[use.model] = use.granted
        return LimiterSign(
            model=use.model,
            account=self._settings.account,
            limit=use.limit,
            rate_per_s=use.rate,
            calls_per_s=sent / seconds if seconds > 0 else 0.0,
            hold_s=use.hold_s,
            in_flight=use.in_flight,
            waiting=use.waiting,
            refusals=use.refusals,
            redis_away=use.redis_away,
        )


def _tell(
    connection: Connection, owner: str, beats: Sequence[Beat], standing: dict[str, Any]
) -> float:
    pulses.add(connection, beats)  # first: jobs are locked before all else
    return fleet.sign_of_life(connection, owner, **standing)
