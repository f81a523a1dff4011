"""The database as pages ask it: on threads of its own, and never for longer than a few seconds."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from models.errors import StoreBusyError
from models.store.engine import Store

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[Connection, P], T]

THREADS = 4
"""Not Flower's own: a database that hangs takes these, and Flower's pages go on."""
PATIENCE_S = 8.0


class Database:
    """The one store of this process, opened on first use."""

    def __init__(self, opening: Callable[[], Store], *, patience_s: float = PATIENCE_S) -> None:
        """`opening` may raise `SetupError`; it is tried again with the next question."""
        self._opening = opening
        self._patience_s = patience_s
        self._store: Store | None = None
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="database")

    async def read(self, query: Query[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What `query(connection, ...)` answers from one consistent snapshot.

        Raises `SetupError` or `StoreBusyError`, which a view shows as a page with status 503.
        """

        def ask() -> T:
            with self.store().read() as connection:
                return query(connection, *args, **named)

        return await self.in_thread(ask)

    async def write(self, query: Query[P, T], *args: P.args, **named: P.kwargs) -> T:
        """The same in one transaction that may write."""

        def change() -> T:
            with self.store().write() as connection:
                return query(connection, *args, **named)

        return await self.in_thread(change)

    def store(self) -> Store:
        """The store, open. For code that already runs on a thread."""
        with self._lock:
            if self._store is None:
                self._store = self._opening()
            return self._store

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Runs what would hold up the event loop."""
        waiting = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.wait_for(waiting, self._patience_s)
        except TimeoutError:
            raise StoreBusyError(
                f"the database did not answer within {self._patience_s:.0f} s: try again, and look "
                "first whether what you asked for was done"
            ) from None
