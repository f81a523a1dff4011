"""A process's door to its database: transactions run on threads, so that the loop goes on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from models.store.engine import Store

T = TypeVar("T")


class Database:
    """The store with the threads that wait for it."""

    def __init__(self, store: Store, threads: Executor) -> None:
        self.store = store
        self._threads = threads

    async def read(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Runs `function(connection, ...)` on a snapshot, off the loop; waits for no writer."""
        return await self._off_the_loop(partial(self._on_snapshot, function, *args, **named))

    async def write(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Runs `function(connection, ...)` in one transaction, off the loop."""
        return await self._off_the_loop(partial(self._in_transaction, function, *args, **named))

    async def _off_the_loop(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _on_snapshot(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        with self.store.read() as connection:
            return function(connection, *args, **named)

    def _in_transaction(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        with self.store.write() as connection:
            return function(connection, *args, **named)
