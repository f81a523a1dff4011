"""Events to real servers: signed, retried, ended; hostile servers; nobody delays anybody."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sinks
from builders import a_stored_job, eventually_on_loop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from delivering import delivering
from raw_server import Handler, read_request, saying, serving
from sinks import SECRET, Sink, a_sink, an_endpoint, due_now, in_turn, sealer, states_of, status
from standardwebhooks.webhooks import Webhook as Standard
from svix.webhooks import Webhook as Svix

from models.errors import StoreBusyError
from models.settings import Settings
from models.states import EndpointState
from models.store import attempts, deliveries, endpoints, events
from models.store.engine import Store
from worker.database import Database
from worker.webhooks import deliverer
from worker.webhooks.lanes import WIDE
from worker.webhooks.schedule import GIVE_UP_S, WAITS_S

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ONE = ("webhook.none", "job.progressed")
"""Hears only what `tell` writes."""


@pytest.fixture
def tell(store: Store) -> Callable[..., None]:
    """Writes events of a job that none of the tests' endpoints heard of before."""
    job = a_stored_job(store)

    def write(count: int = 1) -> None:
        with store.write() as connection:
            for _ in range(count):
                events.write(connection, job, "job.progressed")

    return write


async def until(store: Store, endpoint_id: str, **counts: int) -> None:
    """Waits until the endpoint's deliveries are in these states, and in no other."""
    found: Any = None
    try:
        await eventually_on_loop(lambda: states_of(store, endpoint_id) == counts, "states")
    except AssertionError:
        found = states_of(store, endpoint_id)
    assert found is None, f"{found}, not {counts}"


def log_of(store: Store, endpoint_id: str) -> list[dict[str, Any]]:
    """All attempts at an endpoint, the oldest delivery first."""
    with store.read() as connection:
        rows = reversed(deliveries.newest(connection, endpoint_id=endpoint_id))
        return [entry for r in rows for entry in deliveries.attempts_of(connection, r["id"])]


async def attempted(store: Store, endpoint_id: str, count: int) -> list[dict[str, Any]]:
    """The log once it has `count` entries."""
    await eventually_on_loop(lambda: len(log_of(store, endpoint_id)) >= count, f"{count} attempts")
    return log_of(store, endpoint_id)


def endpoint_of(store: Store, endpoint_id: str) -> Any:
    """The endpoint as it stands."""
    with store.read() as connection:
        return endpoints.get(connection, endpoint_id)


async def test_an_event_arrives_signed(store: Store, tell: Callable[..., None]) -> None:
    """Two libraries verify what arrived; the stored bytes are the bytes sent."""
    async with a_sink() as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await until(store, endpoint, delivered=1)
    (received,) = sink.received
    for library in (Standard, Svix):
        library(SECRET).verify(received.body, received.headers)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["accept-encoding"] == "identity"
    with store.read() as connection:
        (row,) = deliveries.newest(connection, endpoint_id=endpoint)
        (entry,) = deliveries.attempts_of(connection, row["id"])
    assert received.id == row["message_id"]
    assert (entry["status"], entry["error"]) == (204, "")


async def test_a_worker_whose_clock_is_off_signs_the_true_time(
    store: Store, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's clock counts: receivers refuse what seems hours old (FAULTS 7)."""
    true = store.now()
    monkeypatch.setattr(time, "time", lambda: true + 7200)
    async with a_sink() as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await until(store, endpoint, delivered=1)
    assert abs(int(sink.received[0].headers["webhook-timestamp"]) - true) < 60


async def test_both_secrets_sign_while_one_is_rotated(
    store: Store, tell: Callable[..., None]
) -> None:
    """A receiver with either of both can verify."""
    new = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    async with a_sink() as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        with store.write() as connection:
            endpoints.rotate(connection, endpoint, sealer().seal(new))
        tell()
        await until(store, endpoint, delivered=1)
    (received,) = sink.received
    for secret in (SECRET, new):
        Standard(secret).verify(received.body, received.headers)
    assert len(received.headers["webhook-signature"].split()) == 2


async def test_a_retry_is_the_same_message(store: Store, tell: Callable[..., None]) -> None:
    """Same id, same bytes, a timestamp of its own."""
    async with a_sink(in_turn(status(500), sinks.ok)) as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await attempted(store, endpoint, 1)
        assert states_of(store, endpoint) == {"pending": 1}
        due_now(store)
        await until(store, endpoint, delivered=1)
    first, second = sink.received
    assert (first.id, first.body) == (second.id, second.body)


async def test_ten_failures_exhaust_a_delivery(store: Store, tell: Callable[..., None]) -> None:
    """The whole table, time passing by hand; replay sends it again under the same id."""
    answers = [status(503)] * len(WAITS_S)
    async with a_sink(in_turn(*answers, sinks.ok)) as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        for tries in range(1, len(WAITS_S) + 1):
            await attempted(store, endpoint, tries)
            due_now(store)
        await until(store, endpoint, exhausted=1)
        with store.write() as connection:
            assert deliveries.replay(connection, endpoint_id=endpoint, failed_only=True) == 1
        await until(store, endpoint, delivered=1)
    assert len({received.id for received in sink.received}) == 1
    assert [entry["no"] for entry in log_of(store, endpoint)] == list(range(1, 12))


async def test_retry_after_is_heard(store: Store, tell: Callable[..., None]) -> None:
    """429 with two hours: two hours, not five seconds."""
    async with a_sink(status(429, **{"Retry-After": "7200"})) as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await attempted(store, endpoint, 1)
    with store.read() as connection:
        (row,) = deliveries.newest(connection, endpoint_id=endpoint)
    assert row["next_at"] - store.now() > 7000


async def test_410_ends_it_and_the_others_hear_so(store: Store, tell: Callable[..., None]) -> None:
    """The endpoint is disabled with all that waits; `endpoint.disabled` is delivered elsewhere."""
    async with a_sink(status(410)) as gone, a_sink() as other, delivering(store):
        dead = an_endpoint(store, gone.url, patterns=ONE)
        alive = an_endpoint(store, other.url, patterns=("endpoint.disabled",))
        tell(3)
        await until(store, dead, disabled=3)
        await until(store, alive, delivered=1)
    assert endpoint_of(store, dead).state == EndpointState.DISABLED
    assert b"410" in other.received[0].body
    assert len(gone.received) == 1


async def test_five_days_of_failure_end_it(store: Store, tell: Callable[..., None]) -> None:
    """The first failure five days after the first one."""
    async with a_sink(status(500)) as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await attempted(store, endpoint, 1)
        with store.write() as connection:
            table = deliveries.endpoints
            since = table.c.failing_since - GIVE_UP_S
            connection.execute(table.update().values(failing_since=since))
        due_now(store)
        await until(store, endpoint, disabled=1)
    assert "5 days" in endpoint_of(store, endpoint).reason


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(1)
    now, day = datetime.now(UTC), timedelta(days=1)
    made = builder.not_valid_before(now - day).not_valid_after(now + day)
    certificate = made.sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path = folder / "self-signed.pem"
    path.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def _drips_its_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Drip: drop\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


def _raw(answer: bytes) -> Handler:
    return saying(answer)


HOSTILE: dict[str, tuple[Any, str]] = {
    "302": (status(302, Location="http://127.0.0.1:9/"), "redirected"),
    "429": (status(429), "rejected"),
    "500": (status(500), "server_error"),
    "a gigabyte": (sinks.a_gigabyte, "server_error"),
    "reset": (sinks.reset, "connection"),
    "never answers": (sinks.never, "timeout"),
    "drips its head": (_drips_its_head, "timeout"),
    "not HTTP": (_raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "garbled"),
    "a head without end": (_raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000), "garbled"),
    "bad TLS": ("tls", "tls"),
    "nobody listens": ("nobody", "connection"),
    "not TLS": ("plain", "tls"),
}


async def _hostile_url(kind: Any, folder: Path, stack: Any) -> str:
    if kind == "tls":
        return (await stack.enter_async_context(a_sink(ssl=self_signed(folder)))).url
    if kind == "nobody":
        return "http://127.0.0.1:1/hook"
    if kind == "plain":
        sink: Sink = await stack.enter_async_context(a_sink())
        return sink.url.replace("http:", "https:")
    if kind is _drips_its_head or kind.__module__ == "raw_server":
        return str(await stack.enter_async_context(serving(kind)))
    return str((await stack.enter_async_context(a_sink(kind))).url)


@pytest.mark.parametrize(("kind", "word"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_endpoint_fails_by_name_and_alone(
    store: Store, tell: Callable[..., None], tmp_path: Path, kind: Any, word: str
) -> None:
    """It is pending for its next attempt with a word of ours; its neighbour has the event."""
    async with AsyncExitStack() as stack:
        url = await _hostile_url(kind, tmp_path, stack)
        good = await stack.enter_async_context(a_sink())
        await stack.enter_async_context(delivering(store, total_s=3.0))
        bad, well = (
            an_endpoint(store, url, patterns=ONE),
            an_endpoint(store, good.url, patterns=ONE),
        )
        tell()
        await until(store, well, delivered=1)
        (entry, *_) = await attempted(store, bad, 1)
    assert entry["error"] == word
    assert states_of(store, bad) == {"pending": 1}
    assert endpoint_of(store, bad).last_error == word


async def test_the_head_of_an_answer_decides(store: Store, tell: Callable[..., None]) -> None:
    """200 with a body that never ends is a success, and is not waited for."""
    async with a_sink(sinks.dripping) as sink, delivering(store, total_s=30):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell()
        await until(store, endpoint, delivered=1)
    assert log_of(store, endpoint)[0]["status"] == 200


async def test_hanging_endpoints_delay_nobody(store: Store, tell: Callable[..., None]) -> None:
    """While five endpoints hang, the ten others have everything."""
    async with a_sink(sinks.never) as bad, a_sink() as good, delivering(store, total_s=90):
        hanging = [an_endpoint(store, bad.url, patterns=ONE) for _ in range(5)]
        well = [an_endpoint(store, f"{good.url}/{n}", patterns=ONE) for n in range(10)]
        tell(8)
        await eventually_on_loop(lambda: len(bad.received) == 5, "all five hang")
        for endpoint in well:
            await until(store, endpoint, delivered=8)
        assert all("delivered" not in states_of(store, endpoint) for endpoint in hanging)
        assert len(bad.received) == 5, "one each: what is new is not trusted with more"


async def test_an_endpoint_gets_a_few_at_once(store: Store, tell: Callable[..., None]) -> None:
    """More than one, once it is known, and never more than four."""

    async def a_moment(request: Any) -> Any:
        await asyncio.sleep(0.02)
        return await sinks.ok(request)

    async with a_sink(a_moment) as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell(40)
        await until(store, endpoint, delivered=40)
    assert sink.most_at_once == WIDE
    assert len({received.id for received in sink.received}) == len(sink.received) == 40


async def test_a_secret_of_another_key_is_not_the_endpoints_failure(
    store: Store, tell: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """The delivery waits untouched, said once; a worker with the key delivers it."""
    caplog.set_level(logging.INFO, logger="worker")
    async with a_sink() as sink:
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell(3)
        async with delivering(store, MAESTRALE_SECRET_KEY="another"):
            await eventually_on_loop(lambda: "MAESTRALE_SECRET_KEY" in caplog.text, "said")
            await asyncio.sleep(0.6)
        assert states_of(store, endpoint) == {"pending": 3}
        assert (endpoint_of(store, endpoint).failing_since, log_of(store, endpoint)) == (None, [])
        assert caplog.text.count("MAESTRALE_SECRET_KEY") == 1
        assert sink.received == []
        async with delivering(store):
            await until(store, endpoint, delivered=3)


async def test_closing_waits_for_what_is_under_way(store: Store, tell: Callable[..., None]) -> None:
    """And records it; what has not begun is due at once, for others."""
    arrived = asyncio.Event()

    async def a_while(request: Any) -> Any:
        arrived.set()
        await asyncio.sleep(0.5)
        return await sinks.ok(request)

    async with a_sink(in_turn(sinks.ok, a_while)) as sink:
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        async with delivering(store):
            tell()
            await until(
                store, endpoint, delivered=1
            )  # its lane is wide now: some are claimed ahead
            tell(10)
            await asyncio.wait_for(arrived.wait(), 10)
        assert states_of(store, endpoint) == {"delivered": 1 + WIDE, "pending": 10 - WIDE}
        with store.write() as connection:
            again = attempts.claim_due(connection, {endpoint: 20}, claim_s=60)
        assert len(again) == 10 - WIDE


async def test_the_database_away_for_a_moment_loses_nothing(
    store: Store, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes are kept until they can be recorded: nothing is sent twice for it."""
    monkeypatch.setattr(deliverer, "TROUBLE_S", 0.05)
    real, refused = deliverer._turn_over, []

    def busy(connection: Any, ended: Any, room: Any) -> Any:
        if ended and len(refused) < 3:
            refused.append(1)
            raise StoreBusyError("the database is busy")
        return real(connection, ended, room)

    monkeypatch.setattr(deliverer, "_turn_over", busy)
    async with a_sink() as sink, delivering(store):
        endpoint = an_endpoint(store, sink.url, patterns=ONE)
        tell(2)
        await until(store, endpoint, delivered=2)
    assert len(refused) == 3
    assert len(sink.received) == 2


async def test_an_idle_process_only_reads(
    store: Store, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing due no transaction takes the database."""
    an_endpoint(store)
    with store.write() as connection:
        deliveries.relay(connection)
        connection.execute(deliveries.deliveries.delete())
    monkeypatch.setattr(deliverer, "POLL_S", 0.01)
    looked, wrote = [], []
    real_read, real_write = Database._on_snapshot, Database._in_transaction

    def read(*args: Any) -> Any:
        looked.append(1)
        return real_read(*args)

    def write(*args: Any) -> Any:
        wrote.append(args[1])
        return real_write(*args)

    monkeypatch.setattr(Database, "_on_snapshot", read)
    monkeypatch.setattr(Database, "_in_transaction", write)
    async with delivering(store):
        await eventually_on_loop(lambda: len(looked) > 10, "looked")
        assert wrote == []


async def test_nothing_secret_is_kept(
    store: Store, tell: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint that echoes everything: its token, the signature and the secret stay unknown."""
    caplog.set_level(logging.DEBUG)

    async def echo(request: Any) -> Any:
        text = f"\x1b[31m{request.url}\x00{dict(request.headers)}"
        return sinks.web.Response(status=500, text=text)

    async with a_sink(echo) as sink, delivering(store):
        url = f"{sink.url}/token-in-path?key=token-in-query"
        endpoint = an_endpoint(store, url, patterns=ONE)
        tell()
        (entry,) = await attempted(store, endpoint, 1)
    assert "webhook-id" in entry["excerpt"]
    signature = sink.received[0].headers["webhook-signature"]
    for text in (str(entry), str(endpoint_of(store, endpoint).last_error), caplog.text):
        for secret in ("token-in-path", "token-in-query", signature, SECRET, "\x1b", "\x00"):
            assert secret not in text
    assert Settings(_env_file=None).secret_key.get_secret_value() == ""
