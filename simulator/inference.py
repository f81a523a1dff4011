"""One inference request from arrival to answer: read, admit, execute, go wrong if it is to."""

import asyncio
import socket
import struct
import time
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import web

from models.errors import BadInputError
from simulator.content.taught import Taught
from simulator.endpoints import Call, Endpoint, PromptCache
from simulator.fault_plan import FaultPlan
from simulator.faults import Damaged, Fault, Hang, Instead, Malformed, Reset
from simulator.journal import Journal
from simulator.latency import Latency
from simulator.limits import Admission, Gates
from simulator.replies import JSON, UNAUTHORIZED, Reply, invalid_request, rate_limited
from simulator.settings import Config
from simulator.stats import Stats

_FOREVER_S = 86_400.0
NUMBER = web.RequestKey("maestrale.number", int)
"""Under which a request carries its number in the journal."""
# SO_LINGER on, 0 s: closing sends RST at once, as a dying peer or proxy would.
_NO_LINGER = struct.pack("ii", 1, 0)
_REFUSALS = {
    Admission.TOO_MANY_REQUESTS: rate_limited(),
    Admission.TOO_MANY_TOKENS: rate_limited("Rate limit exceeded: tokens per minute"),
    Admission.NOT_ON_PLAN: rate_limited("This model is not part of your plan"),
}


class Simulation:
    """The simulated account: its limits, faults, latency and statistics."""

    def __init__(self, config: Config) -> None:
        now = time.monotonic()
        self.config = config
        self.models = config.models
        self.taught: dict[str, Taught] = {}
        self.stats = Stats(started=now)
        self.gates = Gates(config.limits)
        self.faults = FaultPlan(config.faults, seed=config.seed, now=now)
        self._latency = Latency(config.latency_median_s, config.latency_p95_s, seed=config.seed + 1)
        self._cache = PromptCache()
        self.journal = Journal(config.journal)

    def knows(self, request: web.Request) -> bool:
        """Whether the request carries a key that is accepted."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and bool(key) and self.config.key in (None, key)

    async def infer(self, request: web.Request, endpoint: Endpoint) -> web.StreamResponse:
        """Answer a request to an inference route, well or badly."""
        now = time.monotonic()
        self.stats.arrived(now)
        request[NUMBER] = number = self.journal.number()
        fault = self.faults.draw(now)
        cuts = isinstance(fault, Damaged | Reset | Hang)
        self.journal.note("arrived", n=number, peer=_port_of(request), cuts=cuts)
        try:
            reply = await self._run(request, endpoint, fault)
            whole = _is_heard(request) and not cuts
            self.journal.note("answered", n=number, status=reply.status, whole=whole)
            return reply
        finally:
            self.stats.left()
            self.journal.note("left", n=number)

    async def _run(
        self, request: web.Request, endpoint: Endpoint, fault: Fault | None
    ) -> web.StreamResponse:
        if isinstance(fault, Reset) and not fault.executed:
            self.stats.faults[fault.name] += 1
            return reset(request)
        if not self.knows(request):
            return self._send(UNAUTHORIZED)
        call = endpoint.read(await request.read(), self.models)
        if isinstance(call, Reply):
            return self._send(call)
        refusal = self._refusal(call)
        if refusal:
            return self._send(refusal)
        return await self._run_admitted(request, call, fault)

    def _refusal(self, call: Call) -> Reply | None:
        now = time.monotonic()
        self.stats.asked(call.model)
        gate = self.gates.gate(call.model)
        admission = gate.admit(now, tokens_limited=call.endpoint.tokens_limited)
        if admission is Admission.GRANTED:
            return None
        return self._refused(call, _REFUSALS[admission])

    def _refused(self, call: Call, reply: Reply) -> Reply:
        self.stats.refused(call.model, time.monotonic())
        return replace(reply, headers={**reply.headers, **self._limit_headers(call, cost=0)})

    async def _run_admitted(
        self, request: web.Request, call: Call, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None:
            self.stats.faults[fault.name] += 1
        match fault:
            case Instead(reply=reply) if reply.status == 429:
                return self._send(self._refused(call, reply))
            case Instead(reply=reply):
                self.stats.accepted(call.model, time.monotonic())
                return self._send(reply)
            case Hang(executed=False):
                self.stats.accepted(call.model, time.monotonic())
                return await _hang()
            case _:
                return await self._execute(request, call, fault)

    async def _execute(
        self, request: web.Request, call: Call, fault: Fault | None
    ) -> web.StreamResponse:
        """Run the call: once there is an answer it is paid, also if the client goes away."""
        self.stats.accepted(call.model, time.monotonic())
        try:
            payload, usage = call.endpoint.answer(call, self._cache, self.taught.get(call.model))
        except BadInputError as problem:
            return self._send(invalid_request(str(problem)))
        self.stats.executed(call.model, call.digest)
        self.stats.used(call.model, usage.prompt, usage.completion, usage.cached or 0)
        self.journal.note("executed", n=request[NUMBER], **call.told(usage))
        try:
            await self._think()
        finally:
            self.gates.gate(call.model).debit(time.monotonic(), usage.limited)
        if isinstance(fault, Malformed):
            _spoil(fault, payload)
        headers = self._limit_headers(call, cost=usage.limited)
        return await self._deliver(
            request, Reply(200, orjson.dumps(payload), headers=headers), fault
        )

    async def _think(self) -> None:
        seconds = self._latency.draw()
        if seconds:
            await asyncio.sleep(seconds)

    async def _deliver(
        self, request: web.Request, reply: Reply, fault: Fault | None
    ) -> web.StreamResponse:
        match fault:
            case Reset():
                return reset(request)
            case Hang():
                return await _hang()
            case Damaged(announced=True):
                self.stats.answered(reply.status)
                return await _send_part(request, reply, fault.kept)
            case Damaged():
                kept = int(len(reply.body) * fault.kept)
                return self._send(replace(reply, body=reply.body[:kept]))
            case _:
                return self._send(reply)

    def _limit_headers(self, call: Call, cost: int) -> dict[str, str]:
        if not self.config.limit_headers:
            return {}
        gate = self.gates.gate(call.model)
        limited = call.endpoint.tokens_limited
        return gate.headers(time.monotonic(), cost, tokens_limited=limited)

    def _send(self, reply: Reply) -> web.Response:
        self.stats.answered(reply.status)
        return response(reply)


def _port_of(request: web.Request) -> int:
    """The client's, by which a call can be told from those of other processes."""
    peer = request.transport and request.transport.get_extra_info("peername")
    return int(peer[1]) if peer else 0


def _is_heard(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def response(reply: Reply) -> web.Response:
    """The reply as aiohttp sends it."""
    headers = {"Content-Type": reply.content_type, **reply.headers}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def answer(payload: object) -> web.Response:
    """A good answer."""
    return response(Reply(200, orjson.dumps(payload)))


def _spoil(fault: Malformed, payload: dict[str, Any]) -> None:
    for choice in payload.get("choices", ()):
        fault.spoil(choice)


def reset(request: web.Request) -> web.StreamResponse:
    """Break the connection off at once, as a dying peer or proxy would."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER
        )
        transport.abort()
    return web.Response()


async def _hang() -> web.StreamResponse:
    await asyncio.sleep(_FOREVER_S)  # cancelled when the client gives up
    return web.Response()


async def _send_part(request: web.Request, reply: Reply, kept: float) -> web.StreamResponse:
    headers = {"Content-Type": JSON, "Content-Length": str(len(reply.body)), **reply.headers}
    stream = web.StreamResponse(headers=headers)
    await stream.prepare(request)
    await stream.write(reply.body[: int(len(reply.body) * kept)])
    if request.transport is not None:
        request.transport.close()
    return stream
