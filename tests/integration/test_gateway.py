"""The gateway against servers that misbehave on the wire, byte by byte."""

import asyncio
import gzip
import socket
from collections.abc import Callable

import orjson
import pytest
from pydantic import SecretStr
from raw_server import (
    ANSWER,
    BODY,
    KEY,
    LIMITS,
    PROMPT,
    a_gateway,
    chat,
    fault_of,
    http,
    read_request,
    reset,
    saying,
    serving,
    told,
)

from models.payloads import Usage
from worker.gateway.bodies import MOST_BYTES
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.gateway.gateway import Gateway
from worker.gateway.replies import ModelList, Reply


async def test_a_good_answer_comes_with_usage_limits_and_latency() -> None:
    """And the request is what the API expects."""
    seen: list[tuple[bytes, bytes]] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(http(body=orjson.dumps(ANSWER)))

    reply = await chat(handler)
    assert isinstance(reply, Reply)
    assert reply.answer == ANSWER
    assert reply.usage == Usage(10, 3, 4)
    assert reply.model == "small-2611"
    assert reply.limits == LimitHeaders(limit_requests_minute=60)
    assert 0 < reply.latency_s < 5
    head, body = seen[0]
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer " + KEY.encode() in head
    assert b"\r\nUser-Agent: maestrale/" in head
    assert orjson.loads(body) == BODY


async def test_no_key_sends_no_authorization() -> None:
    """Local servers take none."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader))[0])
        writer.write(http(body=orjson.dumps(ANSWER)))

    async with serving(handler) as url, Gateway(f"{url}/v1/", SecretStr("")) as gateway:
        assert isinstance(await gateway.chat(BODY), Reply)
    assert b"authorization" not in seen[0].lower()


async def test_embeddings_and_models_are_read_from_any_server() -> None:
    """Without `id` and `usage`, which the SDK would ask for."""
    vectors = {"model": "e", "data": [{"embedding": [0.5], "index": 0}]}
    models = {"object": "list", "data": [{"id": "e"}]}
    handler = saying(*(http(body=orjson.dumps(b)) for b in (vectors, vectors, models, ["x"], 5)))
    async with a_gateway(handler) as gateway:
        reply = await gateway.embed({"model": "e", "input": ["a"]})
        assert isinstance(reply, Reply)
        assert (reply.answer, reply.usage) == (vectors, Usage())
        short = await gateway.embed({"model": "e", "input": ["a", "b"]})
        assert isinstance(short, Fault)
        assert short.kind is FaultKind.UNREADABLE
        assert await gateway.models() == ModelList(("e",), models)
        assert await gateway.models() == ModelList(("x",), ["x"])
        unlisted = await gateway.models()
        assert isinstance(unlisted, Fault)
        assert not unlisted.maybe_paid


async def test_nobody_listening_cost_nothing() -> None:
    """The connection was refused, so the request never left."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with Gateway(url, SecretStr(KEY)) as gateway:
            fault = await gateway.chat(BODY)
    assert isinstance(fault, Fault)
    assert told(fault) == (FaultKind.TRANSIENT, False, None)
    assert "ECONNREFUSED" in fault.message


async def test_a_reset_before_the_request_was_read_may_have_cost() -> None:
    """We cannot see whether it was read."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        reset(writer)

    assert told(await fault_of(handler)) == (FaultKind.TRANSIENT, True, None)


@pytest.mark.parametrize("close", [reset, lambda writer: writer.close()])
async def test_a_connection_dropped_after_the_request_may_have_cost(
    close: Callable[[asyncio.StreamWriter], None],
) -> None:
    """The server had it all, and may have answered into a dead wire."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        close(writer)

    assert told(await fault_of(handler)) == (FaultKind.TRANSIENT, True, None)


GARBAGE = [
    b"SSH-2.0-OpenSSH_9.7\r\n\r\n",
    b"HTTP/1.1 abc X\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA\r\n\r\n",
]
HALF = orjson.dumps(ANSWER)[:100]
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n" % LIMITS


@pytest.mark.parametrize(
    "response",
    [
        http(body=HALF, length=500),
        http(body=HALF),
        CHUNKED + b"64\r\n" + HALF + b"\r\n",
        http(),
        http(body=b"<html>all is well</html>"),
        http(body=b"[]"),
        http(body=b'{"error": {"message": "boom"}}'),
        http(204),
        http(headers=LIMITS + b"Content-Encoding: gzip\r\n", body=b"this is not gzip"),
    ],
)
async def test_an_answer_that_cannot_be_read_may_have_been_paid(response: bytes) -> None:
    """Its head came: status and limits are known, and the limiter hears of them."""
    fault = await fault_of(saying(response))
    assert (fault.kind, fault.maybe_paid) == (FaultKind.UNREADABLE, True)
    assert fault.status in (200, 204)
    assert fault.limits == LimitHeaders(limit_requests_minute=60)
    assert fault.usage is None


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_server_that_speaks_no_http_is_unreadable(garbage: bytes) -> None:
    """A wrong port, or a broken proxy."""
    assert told(await fault_of(saying(garbage))) == (FaultKind.UNREADABLE, True, None)


async def test_a_useless_answer_still_tells_what_it_cost() -> None:
    """Usage is read before the rest is judged."""
    fault = await fault_of(saying(http(body=orjson.dumps({**ANSWER, "choices": "none"}))))
    assert fault.kind is FaultKind.UNREADABLE
    assert fault.usage == Usage(10, 3, 4)
    assert "choices" in fault.message


async def test_silence_ends_at_the_time_out() -> None:
    """No head: nothing is known but that it may have been paid."""

    async def handler(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(60)

    assert told(await fault_of(handler, 1.0)) == (FaultKind.TIMEOUT, True, None)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", http(body=b"{", length=10_000)])
async def test_a_drip_of_bytes_does_not_extend_the_time_out(head: bytes) -> None:
    """Slow headers and slow bodies count against the same total."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.05)

    async with asyncio.timeout(60):  # all bytes would take minutes
        fault = await fault_of(handler, 1.0)
    assert (fault.kind, fault.maybe_paid) == (FaultKind.TIMEOUT, True)
    assert fault.status == (200 if b"10000" in head else None)


@pytest.mark.parametrize("squeezed", [False, True])
async def test_a_huge_answer_is_not_read_to_its_end(squeezed: bool) -> None:
    """16 MiB are enough, inflated or not; the connection is closed."""
    size = MOST_BYTES * 4

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if squeezed:
            body = gzip.compress(b" " * size, 1)
            writer.write(http(body=body, headers=b"Content-Encoding: gzip\r\n"))
            return
        writer.write(http(length=size))
        for _ in range(size >> 16):
            writer.write(b" " * 65536)
            await writer.drain()

    fault = await fault_of(handler)
    assert told(fault) == (FaultKind.UNREADABLE, True, 200)
    assert "16 MiB" in fault.message


@pytest.mark.parametrize(
    ("response", "kind", "maybe_paid"),
    [
        (http(520, b"<html>unknown error</html>"), FaultKind.TRANSIENT, True),
        (http(502, b"<html>bad gateway</html>"), FaultKind.TRANSIENT, False),
        (http(503, b"{", length=50), FaultKind.TRANSIENT, False),
        (http(500, b"x" * 1_000_000), FaultKind.TRANSIENT, False),
        (http(429, b'{"message": "slow"}'), FaultKind.QUOTA, False),
        (http(302, b"", b"Location: http://127.0.0.1:1/\r\n"), FaultKind.ACCOUNT, False),
        (http(401, b""), FaultKind.ACCOUNT, False),
    ],
)
async def test_an_error_status_counts_whatever_its_body_does(
    response: bytes, kind: FaultKind, maybe_paid: bool
) -> None:
    """Half a body, a huge one, a page, none; a redirect is not followed."""
    fault = await fault_of(saying(response))
    assert (fault.kind, fault.maybe_paid) == (kind, maybe_paid)


async def test_an_idle_connection_closed_by_the_server_is_replaced() -> None:
    """The pool has seen the end of it: the next call opens another and nobody notices."""
    async with a_gateway(saying(http(body=orjson.dumps(ANSWER)))) as gateway:
        for _ in range(3):
            assert isinstance(await gateway.chat(BODY), Reply)
            await asyncio.sleep(0.05)


async def test_a_connection_closed_in_the_instant_of_use_is_never_sent_on_twice() -> None:
    """aiohttp repeats only idempotent requests; the doubt is ours to decide on."""
    requests = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await read_request(reader)
        writer.write(http(body=orjson.dumps(ANSWER)))
        requests += 1
        await read_request(reader)
        requests += 1

    async with a_gateway(handler) as gateway:
        assert isinstance(await gateway.chat(BODY), Reply)
        fault = await gateway.chat(BODY)
        assert isinstance(fault, Fault)
        assert told(fault) == (FaultKind.TRANSIENT, True, None)
        assert requests == 2


async def test_connections_are_used_again() -> None:
    """Ten calls, one connection."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await saying(*[http(body=orjson.dumps(ANSWER))] * 10)(reader, writer)

    async with a_gateway(handler) as gateway:
        for _ in range(10):
            assert isinstance(await gateway.chat(BODY), Reply)
    assert connections == 1


async def test_a_cancelled_call_is_cancelled_and_nothing_else() -> None:
    """The only exception there is, and the gateway goes on."""
    arrived = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if not arrived.is_set():
            arrived.set()
            await asyncio.sleep(60)
        writer.write(http(body=orjson.dumps(ANSWER)))

    async with a_gateway(handler) as gateway:
        call = asyncio.create_task(gateway.chat(BODY))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert isinstance(await gateway.chat(BODY), Reply)


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1, 2}])
async def test_a_request_that_is_no_json_is_rejected_unsent(value: object) -> None:
    """It fails its row and takes nothing else along."""
    async with Gateway("http://127.0.0.1:1", SecretStr(KEY)) as gateway:
        fault = await gateway.chat({"model": "m", "messages": [PROMPT, value]})
    assert isinstance(fault, Fault)
    assert told(fault) == (FaultKind.REJECTED, False, None)
