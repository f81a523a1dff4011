"""A server on the loopback interface that answers webhooks well, badly, or never."""

import asyncio
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOOPBACK = {
    "MAESTRALE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "MAESTRALE_WEBHOOK_HTTP": "true",
    "MAESTRALE_WEBHOOK_PORTS": "*",
}
"""Settings under which servers on this machine can be endpoints."""
Reply = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers request number n (1, 2, ...) of an endpoint."""
Heard = Callable[[str, int, Mapping[str, str], bytes], None]
"""Path, number, headers (in lower case) and body of a request."""


@dataclass
class Sinks:
    """A server on a loop of its own; what arrived at each path, and how each is answered."""

    port: int = 0
    tls_port: int = 0
    """With a certificate that nobody vouches for."""
    arrived: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    """By path: `webhook-id` and when, seconds since the epoch."""
    replies: dict[str, Reply] = field(default_factory=dict)
    heard: Heard = lambda _path, _number, _heads, _body: None
    """Is told of each request before it is answered."""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        over = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with suppress(*over):
            while not writer.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = lines[0].split()[1]
                heads = {a.lower(): b for a, _, b in (line.partition(": ") for line in lines[1:])}
                body = await reader.readexactly(int(heads["content-length"]))
                self.arrived[path].append((heads["webhook-id"], time.time()))
                self.heard(path, len(self.arrived[path]), heads, body)
                reply = self.replies.get(path, well)
                await reply(writer, len(self.arrived[path]))
                await writer.drain()
        writer.close()


@contextmanager
def sinks() -> Iterator[Sinks]:
    """A running server."""
    made, started = Sinks(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
        secure = await asyncio.start_server(made.handle, "127.0.0.1", 0, ssl=self_signed())
        made.port, made.tls_port = (s.sockets[0].getsockname()[1] for s in (server, secure))
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.1))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def self_signed() -> ssl.SSLContext:
    """A server's side of TLS without anybody's trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    pem = serialization.Encoding.PEM
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile() as file:
        file.write(builder.sign(key, hashes.SHA256()).public_bytes(pem))
        kind = serialization.PrivateFormat.PKCS8
        file.write(key.private_bytes(pem, kind, serialization.NoEncryption()))
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def well(writer: asyncio.StreamWriter, _number: int) -> None:
    """204."""
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def drips(writer: asyncio.StreamWriter, _number: int) -> None:
    """A head without end."""
    await _drip(writer, b"HTTP/1.1 200 OK\r\n", b"X-Drip: drop\r\n")


async def silent(_writer: asyncio.StreamWriter, _number: int) -> None:
    """Nothing at all."""
    await asyncio.sleep(3600)


async def body_drips(writer: asyncio.StreamWriter, _number: int) -> None:
    """200, and a body without end."""
    await _drip(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b".")


async def _drip(writer: asyncio.StreamWriter, begin: bytes, drop: bytes) -> None:
    writer.write(begin)
    while not writer.is_closing():
        writer.write(drop)
        await writer.drain()
        await asyncio.sleep(0.5)


async def resets(writer: asyncio.StreamWriter, _number: int) -> None:
    """RST."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closes(writer: asyncio.StreamWriter, _number: int) -> None:
    """FIN without an answer."""
    writer.close()


async def no_http(writer: asyncio.StreamWriter, _number: int) -> None:
    """Another protocol."""
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    writer.close()


def says(status: int, headers: str = "", gigabytes: int = 0) -> Reply:
    """This status, always."""

    async def reply(writer: asyncio.StreamWriter, _number: int) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\n{headers}".encode())
        writer.write(b"Content-Length: %d\r\n\r\n" % (gigabytes << 30))
        for _ in range(gigabytes << 14):
            writer.write(b"x" * 65_536)
            await writer.drain()

    return reply


def at_first(fault: Reply, times: int = 1) -> Reply:
    """This fault for the first requests, and then well."""

    async def reply(writer: asyncio.StreamWriter, number: int) -> None:
        await (fault if number <= times else well)(writer, number)

    return reply
