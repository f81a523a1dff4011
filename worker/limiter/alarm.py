"""A wait for a moment that may come nearer while it is waited for."""

import asyncio
from collections.abc import Callable


class Alarm:
    """One task waits; anybody may have it look again. Belongs to the running loop."""

    def __init__(self) -> None:
        self._poked: asyncio.Future[None] | None = None

    def poke(self) -> None:
        """Has who waits look again at when it is due."""
        if self._poked is not None and not self._poked.done():
            self._poked.set_result(None)

    async def until(self, due_at: Callable[[], float | None]) -> None:
        """Waits until the loop's time that `due_at` tells; None: not before a poke."""
        loop = asyncio.get_running_loop()
        while True:
            due = due_at()
            if due is not None and due <= loop.time():
                return
            self._poked = loop.create_future()
            timer = None if due is None else loop.call_at(due, self.poke)
            await self._poked
            if timer:
                timer.cancel()
