"""Webhooks from real workers to real servers: delays, slow endpoints, twenty faults.

`python -m benchmarks.webhooks [--only=many,slow,faults]`, two worker processes, SQLite.
many: 1,000 events, written at once, to 5 endpoints. slow: 50 endpoints, 5 of which never finish
the head of an answer. faults: 20 endpoints that fail in 20 ways, each hears the same events; time
passes by hand (what is pending is made due), so that ten attempts do not take three days.
Delays are from the event's commit to the arrival of the request.
"""

import asyncio
import base64
import os
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select, update

from benchmarks.stage import Stage, stage, write_rows
from models.sealing import Sealer
from models.store import deliveries, endpoints, events
from models.store.engine import now_s

MODEL_LATENCY = ("--latency-median", "0.05", "--latency-p95", "0.1")
ALLOWED = {
    "MAESTRALE_WEBHOOK_NETWORKS": "127.0.0.0/8",
    "MAESTRALE_WEBHOOK_HTTP": "true",
    "MAESTRALE_WEBHOOK_PORTS": "*",
}
PATIENCE_S = 240.0
Reply = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers request number n (1, 2, ...) of an endpoint."""


@dataclass
class Sinks:
    """A server on a loop of its own; what arrived at each path, and how each is answered."""

    port: int = 0
    tls_port: int = 0
    """With a certificate that nobody vouches for."""
    arrived: dict[str, list[tuple[str, float]]] = field(default_factory=lambda: defaultdict(list))
    """By path: `webhook-id` and when, seconds since the epoch."""
    replies: dict[str, Reply] = field(default_factory=dict)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request."""
        over = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with suppress(*over):
            while not writer.is_closing():
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                path = lines[0].split()[1]
                heads = {a.lower(): b for a, _, b in (line.partition(": ") for line in lines[1:])}
                await reader.readexactly(int(heads["content-length"]))
                self.arrived[path].append((heads["webhook-id"], time.time()))
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


# -- how endpoints answer ---------------------------------------------------------------------


async def well(writer: asyncio.StreamWriter, _number: int) -> None:
    """204."""
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def drips(writer: asyncio.StreamWriter, _number: int) -> None:
    """A head without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-Drip: drop\r\n")
        await writer.drain()
        await asyncio.sleep(0.5)


async def silent(_writer: asyncio.StreamWriter, _number: int) -> None:
    """Nothing at all."""
    await asyncio.sleep(3600)


async def body_drips(writer: asyncio.StreamWriter, _number: int) -> None:
    """200, and a body without end."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
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


FAULTS: dict[str, Reply | str] = {
    "500 for ever": says(500),
    "500 twice": at_first(says(500), 2),
    "503, Retry-After 1": at_first(says(503, "Retry-After: 1\r\n")),
    "429, Retry-After a day": at_first(says(429, "Retry-After: 86400\r\n")),
    "429, Retry-After garbage": at_first(says(429, "Retry-After: soon\r\n")),
    "302 for ever": says(302, "Location: http://127.0.0.1:1/\r\n"),
    "301 once": at_first(says(301, "Location: http://127.0.0.1:1/\r\n")),
    "404 for ever": says(404),
    "410": says(410),
    "reset for ever": resets,
    "reset twice": at_first(resets, 2),
    "closes without an answer": at_first(closes),
    "never answers, once": at_first(silent),
    "slow-loris, once": at_first(drips),
    "a body without end": body_drips,
    "1 GB with 500": at_first(says(500, gigabytes=1)),
    "1 GB with 200": says(200, gigabytes=1),
    "not HTTP": no_http,
    "bad TLS": "https://127.0.0.1:{tls_port}/bad-tls",
    "nobody listens": "http://127.0.0.1:1/",
}


# -- the stage --------------------------------------------------------------------------------


@dataclass
class Told:
    """A stage with a job to tell of, and servers to tell it to."""

    on: Stage
    job_id: str
    sinks: Sinks

    def endpoint(self, url: str) -> str:
        """A new endpoint that hears of progress only; its id."""
        secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        sealed = Sealer(self.on.services.settings).seal(secret)
        endpoint_id = f"ep_{os.urandom(6).hex()}"
        with self.on.client.store.write() as connection:
            endpoints.create(
                connection, endpoint_id, url=url, secret=sealed, patterns=["job.progressed"]
            )
        return endpoint_id

    def at_path(self, path: str, reply: Reply = well) -> str:
        """An endpoint at a path of our server that answers so."""
        self.sinks.replies[path] = reply
        return self.endpoint(f"http://127.0.0.1:{self.sinks.port}{path}")

    def endpoint_of_fault(self, name: str) -> str:
        """An endpoint that fails like this."""
        match FAULTS[name]:
            case str() as url:
                return self.endpoint(url.format(tls_port=self.sinks.tls_port))
            case reply:
                return self.at_path("/" + name.replace(" ", "-").replace(",", ""), reply)

    def tell(self, count: int, *, at_once: int = 10) -> dict[str, float]:
        """Writes events, `at_once` a transaction; when each was written, by its message id."""
        for _ in range(0, count, at_once):
            with self.on.client.store.write() as connection:
                for _ in range(at_once):
                    events.write(connection, self.job_id, "job.progressed")
        table = events.events
        query = select(table.c.seq, table.c.created_at).where(
            table.c.subject_id == self.job_id, table.c.type == "job.progressed"
        )
        with self.on.client.store.read() as connection:
            found = connection.execute(query.order_by(table.c.seq.desc()).limit(count)).all()
        return {f"evt_{self.job_id}_{seq}": at for seq, at in found}

    def states(self, endpoint_id: str | None = None) -> Counter[str]:
        """Deliveries by state."""
        table = deliveries.deliveries
        query = select(table.c.state, func.count().label("n")).group_by(table.c.state)
        if endpoint_id:
            query = query.where(table.c.endpoint_id == endpoint_id)
        with self.on.client.store.read() as connection:
            return Counter({row.state: row.n for row in connection.execute(query)})

    def wait(self, done: Callable[[], bool]) -> None:
        """Until it is done, or patience ends."""
        deadline = time.monotonic() + PATIENCE_S
        while not done() and time.monotonic() < deadline:
            time.sleep(0.2)

    def let_time_fly(self) -> None:
        """What waits for its next attempt is due now (attempts under way are left alone)."""
        table = deliveries.deliveries
        with self.on.client.store.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.state == "pending", table.c.next_at > now_s() + 60)
                .values(next_at=now_s())
            )

    def delays(self, paths: Sequence[str], written: dict[str, float]) -> list[float]:
        """Seconds from commit to the first arrival, of every event at every path."""
        first: dict[tuple[str, str], float] = {}
        for path in paths:
            for message_id, at in self.sinks.arrived[path]:
                first.setdefault((path, message_id), at)
        return [at - written[name] for (_, name), at in first.items() if name in written]


@contextmanager
def telling() -> Iterator[Told]:
    """Workers, servers, and a job of one row that is over."""
    with sinks() as servers, stage(*MODEL_LATENCY, workers=2, **ALLOWED) as on:
        rows = write_rows(on.home / "rows.jsonl", 1)
        job = on.client.wait(on.client.generate(rows, recipe="translate").id)
        yield Told(on, job.id, servers)


def many() -> bool:
    """1,000 events to 5 endpoints: all arrive."""
    with telling() as told:
        paths = [f"/many/{number}" for number in range(5)]
        for path in paths:
            told.at_path(path)
        begun = time.monotonic()
        written = told.tell(1000)
        writing_s = time.monotonic() - begun
        wanted = len(paths) * len(written)
        told.wait(lambda: told.states()["delivered"] >= wanted)
        took_s = time.monotonic() - begun
        delays = told.delays(paths, written)
        arrived = sum(len(told.sinks.arrived[path]) for path in paths)
    p50, p95 = median(delays), quantiles(delays, n=20)[-1]
    print(
        f"many: {len(delays):,} of {wanted:,} deliveries arrived, {arrived - len(delays)} of them "
        f"again; events written in {writing_s:.1f} s, all delivered after {took_s:.1f} s "
        f"({wanted / took_s:.0f}/s); delay p50 {p50:.2f} s, p95 {p95:.2f} s"
    )
    return len(delays) == wanted


def slow() -> bool:
    """50 endpoints, 5 of them slow-loris: the others' median delay is under a second."""
    with telling() as told:
        bad = [f"/bad/{number}" for number in range(5)]
        good = [f"/good/{number}" for number in range(45)]
        for path in bad:
            told.at_path(path, drips)
        for path in good:
            told.at_path(path)
        written: dict[str, float] = {}
        for _ in range(40):
            written |= told.tell(1, at_once=1)
            time.sleep(0.5)
        told.wait(lambda: told.states()["delivered"] >= len(good) * len(written))
        delays = told.delays(good, written)
        begun = sum(len(told.sinks.arrived[path]) for path in bad)
    p50, p95 = median(delays), quantiles(delays, n=20)[-1]
    wanted = len(good) * len(written)
    print(
        f"slow: {len(delays):,} of {wanted:,} deliveries to the 45 good endpoints arrived; delay "
        f"p50 {p50:.2f} s, p95 {p95:.2f} s, most {max(delays):.2f} s ({begun} attempts at the "
        "5 slow-loris meanwhile)"
    )
    return len(delays) == wanted and p50 < 1.0


def faults() -> bool:
    """20 endpoint faults: each event is delivered there, or listed as exhausted or disabled."""
    with telling() as told:
        ids = {name: told.endpoint_of_fault(name) for name in FAULTS}
        beside = told.at_path("/beside")
        count = len(told.tell(3, at_once=3))
        wanted = count * (len(ids) + 1)
        begun = time.monotonic()

        def settled() -> bool:
            told.let_time_fly()
            states = told.states()
            return states.total() == wanted and not states["pending"]

        told.wait(settled)
        took_s = time.monotonic() - begun
        found = {name: told.states(endpoint_id) for name, endpoint_id in ids.items()}
        neighbour = told.states(beside)["delivered"]
    for name, states in found.items():
        print(f"    {name}: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    lost = sum(count - sum(states.values()) + states["pending"] for states in found.values())
    print(
        f"faults: {len(found)} endpoint faults, {count} events each, {lost} lost; their neighbour "
        f"had {neighbour} of {count}; {took_s:.0f} s"
    )
    return not lost and neighbour == count


def main() -> None:
    """Prints a line for each, and whether all hold."""
    only = next((a.split("=")[1].split(",") for a in sys.argv if a.startswith("--only=")), None)
    wanted = {"many": many, "slow": slow, "faults": faults}
    held = [measure() for name, measure in wanted.items() if only is None or name in only]
    print(
        "HOLDS" if all(held) else "BROKEN", "(all arrive; median beside slow-loris < 1 s; 0 lost)"
    )
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
