"""A webhook endpoint that notes what it gets: whose signature is good, and how it was answered."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from faults.history import Log

Answer = Callable[[int], int]
"""The status for request number n."""


@dataclass
class Sink:
    """A server on a loop and thread of its own; each path is an endpoint with its secret."""

    log: Log
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    """By path, without the slash; told once the endpoint was added."""
    statuses: dict[str, Answer] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        """Notes a delivery, and answers it as told."""
        path, body = request.path.strip("/"), await request.read()
        number = self._counts[path] = self._counts.get(path, 0) + 1
        status = self.statuses.get(path, lambda _: 204)(number)
        verified = _verified(request.headers, body, self.secrets.get(path, ""))
        if status < 300:  # what it refuses, it has not taken
            told = json.loads(body)
            event = f"{told['data'].get('job_id', '')}:{told['data']['seq']}"
            self.log.write(
                "received", endpoint=path, event=event, type=told["type"], verified=verified
            )
        return web.Response(status=status)


def _verified(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Standard Webhooks, by the specification alone: HMAC-SHA256 over id, timestamp and body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return wanted in headers["webhook-signature"].split(" ")


@contextmanager
def sink(log: Log) -> Iterator[Sink]:
    """A running sink."""
    made, started, loop = Sink(log), threading.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", made.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()

    def run() -> None:
        loop.create_task(serve())  # noqa: RUF006 # the loop lives as long as it
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
