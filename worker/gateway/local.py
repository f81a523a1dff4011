"""Calls for models that are served on this machine: to their server, without our key.

What such a server says of limits is not the provider's, and is not passed on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from models.served import Served
from worker.gateway.dropped import NO_CONNECTION
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply
from worker.gateway.routes import Routes

NO_KEY = SecretStr("")
LOADING_S = 300
"""A model may take so long to load."""


class LocalGateway:
    """The servers of this machine, each behind a pool of its own that knows no key."""

    def __init__(self, routes: Routes, *, timeout_s: float) -> None:
        self._routes = routes
        self._timeout_s = timeout_s
        self._open: dict[str, Gateway] = {}
        self._seats: dict[Served, asyncio.Semaphore] = {}

    def identity(self, model: str) -> str | None:
        """What answers are known by, if calls for the model go to a server of this machine."""
        server = self._routes.server_of(model)
        return None if server is None else server.identity(model)

    def seats(self, model: str) -> asyncio.Semaphore:
        """As many as the model's server answers at once: others wait here, not at its door."""
        server = self._routes.server_of(model)
        if server is None:
            return asyncio.Semaphore(1)
        return self._seats.setdefault(server, asyncio.Semaphore(server.parallel))

    async def chat(self, body: Mapping[str, Any]) -> Reply | Fault:
        """As `Gateway.chat`."""
        return await self._ask(str(body["model"]), lambda gateway: gateway.chat(body))

    async def embed(self, body: Mapping[str, Any]) -> Reply | Fault:
        """As `Gateway.embed`."""
        return await self._ask(str(body["model"]), lambda gateway: gateway.embed(body))

    async def close(self) -> None:
        """Closes all pools, and cuts what is under way."""
        for gateway in self._open.values():
            await gateway.close()
        self._open.clear()

    async def _ask(
        self, model: str, call: Callable[[Gateway], Awaitable[Reply | Fault]]
    ) -> Reply | Fault:
        """Once it listens: a server that loads its model refuses connections, and is alive."""
        waited_s = 0
        while True:
            gateway = await self._of(model)
            if isinstance(gateway, Fault):
                return gateway
            told = await call(gateway)
            is_loading = isinstance(told, Fault) and told.message.startswith(NO_CONNECTION)
            if not is_loading or waited_s >= LOADING_S:
                return _limitless(told)
            await asyncio.sleep(1)
            waited_s += 1

    async def _of(self, model: str) -> Gateway | Fault:
        server = self._routes.server_of(model)
        if server is None:  # it has ended since the call was asked for
            return Fault(FaultKind.ACCOUNT, serve_first(model))
        return self._open.get(server.url) or await self._opened(server)

    async def _opened(self, server: Served) -> Gateway:
        gateway = Gateway(server.url, NO_KEY, timeout_s=self._timeout_s)
        self._open[server.url] = gateway  # before anything is awaited: one pool per server
        return await gateway.open()


def serve_first(model: str) -> str:
    """What to do about a model that nobody serves."""
    return (
        f"nobody serves the model {model}: `maestrale models serve {model}` first, "
        "then resume the job"
    )


def _limitless(told: Reply | Fault) -> Reply | Fault:
    return replace(told, limits=None)
