"""Endpoints in the database, and servers behind them: for tests and benchmarks of webhooks."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import orjson
from aiohttp import web
from sqlalchemy import func, select, update

from models.sealing import Sealer
from models.settings import Settings
from models.states import DeliveryState
from models.store import deliveries, endpoints
from models.store.engine import Store

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = "a key for tests"
LOOPBACK = {
    "MAESTRALE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "MAESTRALE_WEBHOOK_HTTP": True,
    "MAESTRALE_WEBHOOK_PORTS": "*",
    "MAESTRALE_SECRET_KEY": KEY,
}
"""Settings under which sinks on this machine can be endpoints."""
_numbers = count(1)


def sealer(key: str = KEY) -> Sealer:
    """Seals as a worker with this key would."""
    return Sealer(Settings(_env_file=None, MAESTRALE_SECRET_KEY=key))


def an_endpoint(
    store: Store,
    url: str = "https://example.com/hook",
    *,
    patterns: tuple[str, ...] = (),
    job_id: str | None = None,
    secret: str = SECRET,
    key: str = KEY,
) -> str:
    """The id of an active endpoint."""
    endpoint_id = f"ep_{next(_numbers):06d}"
    with store.write() as connection:
        endpoints.create(
            connection,
            endpoint_id,
            url=url,
            secret=sealer(key).seal(secret),
            patterns=patterns,
            job_id=job_id,
        )
    return endpoint_id


def states_of(store: Store, endpoint_id: str | None = None) -> dict[str, int]:
    """How many deliveries of an endpoint (of all) are in each state that occurs."""
    table = deliveries.deliveries
    query = select(table.c.state, func.count()).group_by(table.c.state)
    if endpoint_id is not None:
        query = query.where(table.c.endpoint_id == endpoint_id)
    with store.read() as connection:
        return {DeliveryState(state).value: n for state, n in connection.execute(query)}


def due_now(store: Store) -> None:
    """Time flies: everything pending is due, claims have run out."""
    table = deliveries.deliveries
    with store.write() as connection:
        connection.execute(update(table).where(table.c.state == "pending").values(next_at=0.0))


@dataclass
class Received:
    """One request as it came in."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def seq(self) -> int:
        return int(orjson.loads(self.body)["data"]["seq"])


@dataclass
class Sink:
    """What a server received, and how it answers."""

    url: str = ""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def ok(_request: web.Request) -> web.StreamResponse:
    """204."""
    return web.Response(status=204)


def status(number: int, text: str = "", **headers: str) -> Answer:
    """Always this status."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=number, text=text, headers=headers)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One after another; the last one from then on."""
    left = list(answers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


async def never(_request: web.Request) -> web.StreamResponse:
    """Answers when the test is long over."""
    await asyncio.sleep(3600)
    return web.Response()


async def dripping(request: web.Request) -> web.StreamResponse:
    """A head at once, then a byte of the body now and then, without end."""
    response = web.StreamResponse(status=200)
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.05)


async def a_gigabyte(request: web.Request) -> web.StreamResponse:
    """A body that does not end before a GB."""
    response = web.StreamResponse(status=500)
    await response.prepare(request)
    for _ in range(1024):
        await response.write(b"x" * 1024 * 1024)
    return response


async def reset(request: web.Request) -> web.StreamResponse:
    """RST instead of an answer."""
    assert request.transport is not None
    raw = request.transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def a_sink(
    answer: Answer = ok, ssl: object = None, host: str = "127.0.0.1"
) -> AsyncIterator[Sink]:
    """A running server that notes every request and answers it so."""
    sink = Sink()

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        sink.received.append(Received(headers, await request.read(), time.time()))
        sink._at_once += 1
        sink.most_at_once = max(sink.most_at_once, sink._at_once)
        try:
            return await answer(request)
        finally:
            sink._at_once -= 1

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=ssl)  # type: ignore[arg-type]
    await site.start()
    sink.port = int(runner.addresses[0][1])
    sink.url = f"{'https' if ssl else 'http'}://{host}:{sink.port}/hook"
    try:
        yield sink
    finally:
        await runner.cleanup()
