"""A webhook endpoint that notes what it gets: whose signature is good, and how it was answered."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from faults.history import Log

FRESH_S = 60.0
"""A timestamp further off is somebody's replay, or a clock gone wrong; receivers allow minutes."""
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
        status = self.statuses.get(path, _taken)(number)
        secret = self.secrets.get(path, "")
        note_delivery(self.log, path, status, request.headers, body, secret)
        return web.Response(status=status)


def _taken(_number: int) -> int:
    return 204


def note_delivery(
    log: Log, path: str, status: int, headers: Mapping[str, str], body: bytes, secret: str
) -> None:
    """Writes an attempt down; what is refused (no 2xx) was not taken. 0: no answer at all."""
    told = json.loads(body)
    subject = told["data"].get("job_id") or told["data"].get("endpoint_id")
    log.write(
        "received" if 200 <= status < 300 else "refused",
        endpoint=path,
        event=f"{subject}:{told['data']['seq']}",
        type=told["type"],
        id=headers["webhook-id"],
        status=status,
        verified=_verified(headers, body, secret),
    )


def _verified(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """Standard Webhooks, by the specification alone: HMAC-SHA256 over id, timestamp and body, at
    a time that a receiver believes."""
    if abs(time.time() - int(headers["webhook-timestamp"])) > FRESH_S:
        return False
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
        loop.create_task(serve())  # the loop lives as long as it
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
