"""The gateway against servers that misbehave on the wire, byte by byte."""

import asyncio
import gzip
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from models.errors import SetupError
from models.payloads import Usage
from worker.gateway.bodies import MOST_BYTES
from worker.gateway.faults import Fault, FaultKind, LimitHeaders
from worker.gateway.gateway import Gateway
from worker.gateway.replies import ModelList, Reply

KEY = "CanaryKey0123456789abcdefABCDEF0"
PROMPT = "canary prompt: the diary of Anna Kowalska"
BODY = {"model": "small", "messages": [{"role": "user", "content": PROMPT}]}
ANSWER = {
    "id": "cmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small-2611",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "fine"},
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 3,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
    },
}
LIMITS = b"X-RateLimit-Limit-Req-Minute: 60\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def http(
    status: int = 200, body: bytes = b"", headers: bytes = LIMITS, length: int | None = None
) -> bytes:
    """A response with a Content-Length, true or not."""
    size = len(body) if length is None else length
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, size, headers, body)


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    sizes = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
    return head, await reader.readexactly(sizes[0] if sizes else 0)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST and not with FIN."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """A server that handles each connection so; its URL."""
    running: set[asyncio.Task[None]] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        running.add(task)
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def a_gateway(handler: Handler, timeout_s: float = 5.0) -> AsyncIterator[Gateway]:
    """An open gateway to a server that handles each connection so."""
    async with (
        serving(handler) as url,
        Gateway(url, SecretStr(KEY), timeout_s=timeout_s) as gateway,
    ):
        yield gateway


def saying(*responses: bytes) -> Handler:
    """A server that answers one request after another on a connection, and then closes it."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for response in responses:
            await read_request(reader)
            writer.write(response)
            await writer.drain()

    return handler


async def chat(handler: Handler, timeout_s: float = 5.0) -> Reply | Fault:
    """One chat call to a server that handles it so."""
    async with a_gateway(handler, timeout_s) as gateway:
        return await gateway.chat(BODY)


async def fault_of(handler: Handler, timeout_s: float = 5.0) -> Fault:
    """The fault of one chat call."""
    fault = await chat(handler, timeout_s)
    assert isinstance(fault, Fault), fault
    return fault


def told(fault: Fault) -> tuple[FaultKind, bool, int | None]:
    """What decides: kind, doubt, status."""
    return fault.kind, fault.maybe_paid, fault.status


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

    assert told(await fault_of(handler, 0.3)) == (FaultKind.TIMEOUT, True, None)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", http(body=b"{", length=10_000)])
async def test_a_drip_of_bytes_does_not_extend_the_time_out(head: bytes) -> None:
    """Slow headers and slow bodies count against the same total."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(head)
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.05)

    started = asyncio.get_running_loop().time()
    fault = await fault_of(handler, 0.4)
    assert asyncio.get_running_loop().time() - started < 2
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


@pytest.mark.parametrize(
    "url", ["", "api.mistral.ai", "ftp://x", "http://", "https://u:p@x", "http://[", "http://x?a=b"]
)
def test_a_url_that_is_none_is_told_before_anything_is_sent(url: str) -> None:
    """By the name of its setting."""
    with pytest.raises(SetupError, match="MISTRAL_BASE_URL"):
        Gateway(url, SecretStr(KEY))


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Evil: 1", f"{KEY} x", f"{KEY}ü"])
def test_a_key_that_is_none_is_told_without_being_shown(key: str) -> None:
    """A line end in a header would be an injection."""
    with pytest.raises(SetupError, match="MISTRAL_API_KEY") as error:
        Gateway("http://x", SecretStr(key))
    assert KEY not in str(error.value)


def test_a_line_end_after_the_key_is_forgiven() -> None:
    """`MISTRAL_API_KEY=$(cat file)` on some systems."""
    Gateway("http://x", SecretStr(f"{KEY}\n"))


def echoing(status: int, wrap: Callable[[str, Any], Any]) -> Handler:
    """A server that answers with all that it was told, in a shape of errors."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, body = await read_request(reader)
        answer = wrap(head.decode(), orjson.loads(body))
        said = answer.encode() if isinstance(answer, str) else orjson.dumps(answer)
        writer.write(http(status, said))

    return handler


ECHOES: list[Callable[[str, Any], Any]] = [
    lambda head, body: head,
    lambda head, body: {"message": f"cannot serve {head}", "code": 3003},
    lambda head, body: {"message": f"cannot read {body}", "type": str(body)},
    lambda head, body: {"detail": [{"loc": [str(body)], "msg": head, "input": body}]},
    lambda head, body: {"message": {"detail": [{"msg": PROMPT, "ctx": body}]}},
    lambda head, body: {"error": {"message": f"{KEY} {PROMPT}", "code": PROMPT}},
    lambda head, body: f"<html>{head}{body}</html>",
    lambda head, body: body,
    lambda head, body: {**ANSWER, "id": body, "choices": [{"message": PROMPT}]},
    lambda head, body: {**ANSWER, "usage": {PROMPT: KEY}, "model": body},
]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 422, 429, 500, 520])
@pytest.mark.parametrize("wrap", ECHOES)
async def test_no_fault_or_log_tells_the_key_or_the_prompt(
    status: int, wrap: Callable[[str, Any], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a server echoes, in whatever shape."""
    caplog.set_level(logging.DEBUG)
    fault = await fault_of(echoing(status, wrap))
    for text in (repr(fault), fault.message, caplog.text):
        assert KEY not in text
        assert KEY[:12] not in text
        assert "Kowalska" not in text
        assert "canary prompt" not in text


async def test_the_gateway_itself_does_not_show_its_key() -> None:
    """In a traceback or a debugger's locals."""
    gateway = Gateway("http://x", SecretStr(KEY))
    assert KEY not in repr(gateway)
