"""Ledger lookups in groups: thousands of rows ask, one query every few milliseconds answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from models.payloads import CallRecord
from models.store import calls
from models.store.engine import Store
from worker.ledger.claims import Claims

GATHER_S = 0.004
"""Lookups of this long share one query."""
MOST_KEYS = 400

Finding = tuple[CallRecord | None, bool]
"""The paid call if there is one, and whether another process is paying for it just now."""


class Lookups:
    """Belongs to one event loop."""

    def __init__(self, store: Store, claims: Claims) -> None:
        self._store = store
        self._claims = claims
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="ledger-reader")
        self._wanted: dict[str, list[asyncio.Future[Finding]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Ends the reading threads once they are idle."""
        self._threads.shutdown(wait=False)

    async def find(self, key: str) -> Finding:
        """Looks `key` up with the next group, claiming it if it is not paid yet."""
        loop = asyncio.get_running_loop()
        finding: asyncio.Future[Finding] = loop.create_future()
        self._wanted.setdefault(key, []).append(finding)
        if len(self._wanted) >= MOST_KEYS:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(GATHER_S, self._flush)
        return await finding

    async def is_doubtful(self, key: str) -> bool:
        """Whether an earlier attempt at this call may have been paid."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read_doubt, key)

    def _read_doubt(self, key: str) -> bool:
        with self._store.read() as connection:
            return bool(calls.in_doubt(connection, [key]))

    def _read_calls(self, keys: list[str]) -> dict[str, CallRecord]:
        with self._store.read() as connection:
            return calls.find(connection, keys)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wanted, self._wanted = self._wanted, {}
        if wanted:
            task = asyncio.get_running_loop().create_task(self._look_up(wanted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_up(self, wanted: dict[str, list["asyncio.Future[Finding]"]]) -> None:
        keys = list(wanted)
        try:
            # claim first, look second: who held the claim before us has committed by then
            held_elsewhere = await self._claims.take(keys)
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, self._read_calls, keys)
        except Exception as error:  # handed to every waiter, who can name the row
            for key in keys:
                self._claims.drop(key)
            _fail_all(wanted, error)
            return
        for key, waiters in wanted.items():
            record = found.get(key)
            if record is not None:
                self._claims.drop(key)
            elif all(waiter.done() for waiter in waiters):
                self._claims.free(key)  # nobody is left who wants it
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result((record, key in held_elsewhere))


def _fail_all(wanted: dict[str, list["asyncio.Future[Finding]"]], error: Exception) -> None:
    for waiters in wanted.values():
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)
