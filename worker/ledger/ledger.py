"""The ledger as the askers see it: find what is paid, note intents, answers and doubts."""

import asyncio
import secrets
from itertools import count
from pathlib import Path

from models.crashing import crash_point
from models.errors import MaestraleError
from models.payloads import CallRecord, DoubtRecord, RowSettled
from models.store.engine import Store
from worker.ledger.claims import Claims
from worker.ledger.lookups import Lookups
from worker.ledger.sanitising import storable_call, storable_doubt
from worker.ledger.spool import Segment, Spool
from worker.ledger.writer import Writer

HELD_ELSEWHERE_S = 0.5
"""How often to look for the answer of a call that another process is making."""


class Intent:
    """A call about to be sent, on record until it is `paid`, `ended` or `doubtful`."""

    __slots__ = ("doubt", "segment")

    def __init__(self, doubt: DoubtRecord, segment: Segment) -> None:
        self.doubt = doubt
        self.segment = segment


class Ledger:
    """Belongs to one event loop. First `find`, then `intend`, then one of the three endings."""

    def __init__(self, store: Store, spool_folder: Path, claims: Claims) -> None:
        self._spool = Spool(spool_folder)
        self._claims = claims
        self._lookups = Lookups(store, claims)
        self._uncommitted: dict[str, CallRecord] = {}
        self._life, self._intents = secrets.token_hex(8), count()
        self.writer = Writer(store)

    def open(self) -> None:
        """Starts the writer on the running loop."""
        self.writer.open()

    async def close(self) -> None:
        """Commits what waits; the spool stays on disk if not all of it could be committed."""
        await self.writer.close()
        self._spool.close()
        self._lookups.close()

    @property
    def spool_bytes(self) -> int:
        """Size of the spool on disk."""
        return self._spool.bytes

    async def find(self, key: str) -> CallRecord | None:
        """The paid call under `key`. None: it is ours to pay for; waits while another pays."""
        while True:
            if record := self._uncommitted.get(key):
                return record
            try:
                record, held_elsewhere = await self._lookups.find(key)
            except MaestraleError:  # the database is away: no reason to fail a row
                record, held_elsewhere = None, True
            if record is not None or not held_elsewhere:
                return record
            await asyncio.sleep(HELD_ELSEWHERE_S)

    async def is_doubtful(self, key: str) -> bool:
        """Whether an earlier attempt at this call may have been paid."""
        while True:
            try:
                return await self._lookups.is_doubtful(key)
            except MaestraleError:
                await asyncio.sleep(HELD_ELSEWHERE_S)

    def intend(self, key: str, job_id: str, model: str, cost_nano: int | None) -> Intent:
        """Puts a call on record before it is sent; raises OSError when the disk is full."""
        nonce = f"{self._life}-{next(self._intents):x}"
        doubt = DoubtRecord(key, job_id, model, "crash", cost_nano, nonce)
        return Intent(doubt, self._spool.intend(doubt))

    def paid(self, intent: Intent, record: CallRecord) -> "asyncio.Future[bool]":
        """The answer came: to the spool at once, to the database with the next group.

        Resolves when it is committed; cancelled: it is left to whoever adopts the spool.
        """
        record = storable_call(record)
        self._uncommitted[record.key] = record
        crash_point("call.answered")
        segment = self._spool_answer(intent, record)
        crash_point("call.spooled")

        def committed(stored: "asyncio.Future[bool]") -> None:
            self._uncommitted.pop(record.key, None)
            self._claims.drop(record.key)
            if stored.cancelled():  # the spool keeps it for an adopter
                return
            self._spool.release(intent.segment)
            if segment is not None:
                self._spool.release(segment)

        stored = self.writer.put(record)
        stored.add_done_callback(committed)
        return stored

    def ended(self, intent: Intent) -> None:
        """The call was not paid."""
        self._close_intent(intent)

    def doubtful(self, intent: Intent, reason: str) -> "asyncio.Future[bool]":
        """The call may have been paid: into the table of doubts. Resolves as `paid` does."""
        noted = intent.doubt
        doubt = DoubtRecord(
            noted.key, noted.job_id, noted.model, reason, noted.cost_nano, noted.nonce
        )

        def committed(stored: "asyncio.Future[bool]") -> None:
            if not stored.cancelled():
                self._close_intent(intent)

        stored = self.writer.put(storable_doubt(doubt))
        stored.add_done_callback(committed)
        return stored

    def give_up(self, key: str, *, is_unsent: bool = False) -> None:
        """Nobody here wants the call any more; the claim on a paid one is kept to its commit.

        `is_unsent`: it was surely not paid, and another process may make it at once.
        """
        if is_unsent:
            self._claims.free(key)
        elif key not in self._uncommitted:
            self._claims.drop(key)

    def settle_row(self, row: RowSettled) -> "asyncio.Future[bool]":
        """Queues a row's outcome behind its calls; resolves to False if the lease was lost."""
        return self.writer.put(row)

    async def refresh_claims(self) -> None:
        """Keeps other processes from paying for what we are about to."""
        await self._claims.refresh()

    def _spool_answer(self, intent: Intent, record: CallRecord) -> Segment | None:
        try:
            return self._spool.paid(intent.doubt.nonce, record)
        except OSError:  # a full disk: the answer is in memory and on its way to the database
            self.writer.pause_calling()
            return None

    def _close_intent(self, intent: Intent) -> None:
        try:
            self._spool.ended(intent.doubt.nonce)
        except OSError:
            self.writer.pause_calling()
        self._spool.release(intent.segment)
