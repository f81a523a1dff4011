"""The group-committing writer: one thread and one transaction at a time per process.

What cannot be stored for its own sake (a value the database refuses) is found by halving the
group, so that one bad value never takes paid results down with it. What fails because the
database does not answer is tried again until it does; meanwhile the event `healthy` is cleared
and nothing new is paid for.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy.exc import DataError, IntegrityError

from models.crashing import crash_point
from models.errors import MaestraleError
from models.payloads import CallRecord, DoubtRecord, Failed, RowSettled
from models.states import FailureCode
from models.store import calls, jobs, rows, shards
from models.store.engine import Store

log = logging.getLogger(__name__)

WINDOW_S = 0.03
"""How long a group gathers. A dead machine (not process) may lose what is younger."""
GROUP = 500
RETRY_S = 0.5
PAUSE_S = 1.0
CLOSE_S = 5.0
"""How long a closing writer waits for a database that is away."""
REFUSED_VALUE = (DataError, IntegrityError, ValueError, OverflowError, TypeError)
"""What a value can be refused with; all else is the database's trouble and passes."""


@dataclass(slots=True, eq=False)
class Item:
    """One thing to store; `stored` resolves to whether it was (False: fenced off).

    Calls and doubts that a closing writer could not store are cancelled: the spool keeps them.
    """

    what: CallRecord | DoubtRecord | RowSettled
    stored: "asyncio.Future[bool]" = field(repr=False)
    tried: bool = False
    """It was in a group that failed: perhaps it is stored all the same."""


class Writer:
    """Belongs to one event loop; `put` never blocks."""

    def __init__(self, store: Store, *, window_s: float = WINDOW_S, group: int = GROUP) -> None:
        self._store = store
        self._window_s = window_s
        self._group = group
        self._waiting: list[Item] = []
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-writer")
        self._task: asyncio.Task[None] | None = None
        self.healthy = asyncio.Event()
        self.healthy.set()
        self._failing = False
        self._pauses = 0
        self._closed = False

    def open(self) -> None:
        """Starts the committing task on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ledger-writer")

    async def close(self, *, patience_s: float = CLOSE_S) -> None:
        """Commits what waits and stops; gives up after a while if the database stays away."""
        if self._task is None:
            return
        deadline = time.monotonic() + patience_s
        while self._waiting and not (self._failing and time.monotonic() > deadline):
            await asyncio.sleep(self._window_s)
        self._closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)
        for item in self._waiting:
            _leave(item)
        self._waiting.clear()

    def pause_calling(self) -> None:
        """The disk refused the spool: nothing new is paid for until a moment later."""
        self._pauses += 1
        self._judge()
        asyncio.get_running_loop().call_later(PAUSE_S, self._resume_calling)

    def _resume_calling(self) -> None:
        self._pauses -= 1
        self._judge()

    def _judge(self) -> None:
        if self._failing or self._pauses:
            self.healthy.clear()
        else:
            self.healthy.set()

    @property
    def backlog(self) -> int:
        """Items that are not committed yet, for the metrics."""
        return len(self._waiting)

    def put(self, what: CallRecord | DoubtRecord | RowSettled) -> "asyncio.Future[bool]":
        """Queues one thing for the next group commit."""
        item = Item(what, asyncio.get_running_loop().create_future())
        if self._closed:
            _leave(item)
            return item.stored
        self._waiting.append(item)
        self._wake.set()
        if len(self._waiting) >= self._group:
            self._full.set()
        return item.stored

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._gather_group()
            group = self._waiting[: self._group]  # it leaves the queue when it is committed
            try:
                fenced = await loop.run_in_executor(self._thread, self._commit, group)
                crash_point("group.committed")
            except Exception as error:  # whatever it is: what was paid for is never dropped
                await self._wait_for_the_database(group, error)
                continue
            del self._waiting[: len(group)]
            self._failing = False
            self._judge()
            for item in group:
                if not item.stored.done():
                    item.stored.set_result(item not in fenced)

    async def _gather_group(self) -> None:
        if not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        if len(self._waiting) < self._group:
            self._full.clear()
            try:
                await asyncio.wait_for(self._full.wait(), self._window_s)
            except TimeoutError:
                return

    async def _wait_for_the_database(self, group: list[Item], error: Exception) -> None:
        if not self._failing:
            log.error(
                "the database takes nothing (%s): calling stops until it does",
                error,
                exc_info=not isinstance(error, MaestraleError),
            )
        self._failing = True
        self._judge()
        for item in group:
            item.tried = True
        await asyncio.sleep(RETRY_S)

    def _commit(self, group: Sequence[Item]) -> set[Item]:
        """Runs in the writer's thread; answers the items that were fenced off or unstorable."""
        try:
            return self._commit_whole(group)
        except REFUSED_VALUE as error:
            if len(group) > 1:
                middle = len(group) // 2
                return self._commit(group[:middle]) | self._commit(group[middle:])
            return self._commit_unstorable(group[0], error)

    def _commit_whole(self, group: Sequence[Item]) -> set[Item]:
        settled = [item for item in group if isinstance(item.what, RowSettled)]
        with self._store.write() as connection:
            jobs.lock(connection, (item.what.job_id for item in group))
            paid = [(i.what, i.tried) for i in group if isinstance(i.what, CallRecord)]
            calls.store(connection, [record for record, tried in paid if not tried])
            calls.replay(connection, [record for record, tried in paid if tried])
            calls.doubt(connection, [i.what for i in group if isinstance(i.what, DoubtRecord)])
            if not settled:
                return set()
            held = {
                (i.what.job_id, i.what.shard_no) for i in settled if isinstance(i.what, RowSettled)
            }
            tokens = shards.tokens_in_force(connection, held)
            fenced = {item for item in settled if not _is_ours(item.what, tokens)}
            rows.settle(
                connection,
                [i.what for i in settled if i not in fenced and isinstance(i.what, RowSettled)],
            )
            crash_point("group.written")
        return fenced

    def _commit_unstorable(self, item: Item, error: Exception) -> set[Item]:
        log.error("the database refused one value: %s", type(error).__name__)
        match item.what:
            case RowSettled(job_id, shard_no, token, seq):
                detail = f"the database refused the result ({type(error).__name__})"
                failed = RowSettled(
                    job_id, shard_no, token, seq, Failed(FailureCode.INTERNAL, detail)
                )
                return {item} if self._commit_whole([Item(failed, item.stored)]) else set()
            case CallRecord() | DoubtRecord():
                return {item}


def _leave(item: Item) -> None:
    if not isinstance(item.what, RowSettled):
        item.stored.cancel()
    elif not item.stored.done():
        item.stored.set_result(False)


def _is_ours(what: object, tokens: dict[tuple[str, int], int]) -> bool:
    return isinstance(what, RowSettled) and tokens.get((what.job_id, what.shard_no)) == what.token
