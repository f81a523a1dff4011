"""A server that speaks raw bytes, and a gateway to it."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from worker.gateway.faults import Fault, FaultKind
from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply

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
