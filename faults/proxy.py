"""A TCP proxy on 127.0.0.1 that stands before a server and hurts what goes through it.

It runs on a loop and thread of its own and is steered by method calls, which return once the new
way holds for every connection, old and new.
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from random import Random
from typing import Any

CHUNK = 64 * 1024
HOST = "127.0.0.1"


class Proxy:
    """What is between clients and the server at `target`, a port of this machine."""

    def __init__(self, random: Random) -> None:
        self.target = self.port = 0
        self.cuts_made = 0
        """Replies that were thrown away after the server had carried out what was asked."""
        self.random = random
        """Chooses the replies that are cut; a world tells its own, which has the run's seed."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._share_cut = self._delay_s = 0.0
        self._clients: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    # -- steering ------------------------------------------------------------------------------

    def passes(self) -> None:
        """Everything goes through, also what a black hole has swallowed and nobody gave up."""
        self._call(self._steer())

    def swallows(self) -> None:
        """A black hole: connections are taken, and nothing comes of them, nor of the older ones."""
        self._call(self._steer(is_open=False))

    def refuses(self) -> None:
        """Nobody listens any more, and connections break."""
        self._call(self._steer(listens=False))

    def cuts(self, share: float) -> None:
        """This share of the replies is thrown away, and their connections are reset."""
        self._call(self._steer(share_cut=share))

    def delays(self, seconds: float) -> None:
        """Each piece takes so long, in both directions."""
        self._call(self._steer(delay_s=seconds))

    async def _steer(
        self,
        *,
        is_open: bool = True,
        listens: bool = True,
        share_cut: float = 0.0,
        delay_s: float = 0.0,
    ) -> None:
        self._share_cut, self._delay_s = share_cut, delay_s
        (self._open.set if is_open else self._open.clear)()
        if listens and self._server is None:
            self._server = await asyncio.start_server(self._take, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        elif not listens and self._server is not None:
            self._server.close()
            self._server = None
            self._break_off()

    # -- its life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Listens on a free port; everything goes through."""
        self._thread.start()
        self.passes()

    def stop(self) -> None:
        """Breaks all connections and ends the thread."""
        self._call(self._steer(listens=False))
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _end(self) -> None:
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    def _break_off(self) -> None:
        for client in self._clients:
            client.transport.abort()

    # -- what goes through ---------------------------------------------------------------------

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        self._clients.add(client)
        with suppress(OSError):
            await self._open.wait()
            answers, server = await asyncio.open_connection(HOST, self.target)
            there = asyncio.create_task(self._ask(reader, server))
            await self._answer(answers, client)
            there.cancel()
            server.transport.abort()
        client.transport.abort()
        self._clients.discard(client)
        self._carrying.discard(task)

    async def _ask(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        """From the client to the server; the end of one is the end of the other."""
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._hold_up()
                server.write(data)
                await server.drain()
        server.transport.abort()

    async def _answer(self, answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """From the server to the client, unless the reply is cut."""
        while data := await answers.read(CHUNK):
            await self._hold_up()
            if self.random.random() < self._share_cut:
                self.cuts_made += 1
                return
            client.write(data)
            await client.drain()

    async def _hold_up(self) -> None:
        await asyncio.sleep(self._delay_s)
        await self._open.wait()


@contextmanager
def proxy() -> Iterator[Proxy]:
    """A running proxy; tell it its `target`, and the `random` of what it cuts."""
    made = Proxy(Random(0))  # of faults
    made.start()
    try:
        yield made
    finally:
        made.stop()
