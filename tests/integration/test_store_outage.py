"""The ledger while its database is stopped, its connections are killed, or it is locked."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import (
    a_call,
    a_doubt,
    a_key,
    a_stored_job,
    claimed,
    done,
    eventually_on_loop,
    the_job,
)

from models.errors import SetupError
from models.settings import Settings
from models.store import calls, schema
from models.store import engine as engines
from models.store.engine import Store, open_store
from proving.servers import Postgres
from worker.ledger import ledger as ledgers
from worker.ledger import writer as writing
from worker.ledger.adoption import adopt_orphans
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger

Pay = Callable[[Ledger, str, str], None]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "RETRY_S", 0.05)
    monkeypatch.setattr(ledgers, "HELD_ELSEWHERE_S", 0.05)


@pytest.fixture
def pay() -> Pay:
    """Pays for a call: intent, answer, on its way to the database."""

    def paid(ledger: Ledger, key: str, job_id: str) -> None:
        intent = ledger.intend(key, job_id, "mistral-small-latest", 500)
        ledger.paid(intent, a_call(key, job_id=job_id))

    return paid


def _migrated(url: str) -> Store:
    store = open_store(Settings(_env_file=None, DATABASE_URL=url))
    schema.migrate(store)
    return store


@pytest.mark.postgres
async def test_what_is_paid_while_postgresql_is_away_is_stored_after(
    own_postgres: Postgres, tmp_path: Path, pay: Pay
) -> None:
    """Stopped and started: calling stops and resumes, lookups wait, nothing is lost or doubled."""
    store = _migrated(own_postgres.database())
    job_id = a_stored_job(store)
    held = claimed(store, job_id)
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "me"))
    ledger.open()
    pay(ledger, a_key(0), job_id)
    await eventually_on_loop(lambda: not ledger.writer.backlog, "the first one is stored")
    own_postgres.stop()
    with pytest.raises(SetupError, match="does not answer"), store.read():
        pass
    pay(ledger, a_key(1), job_id)
    row = ledger.settle_row(done(held, 0))
    await eventually_on_loop(lambda: not ledger.writer.healthy.is_set(), "calling stops")
    looking = asyncio.ensure_future(ledger.find(a_key(2)))
    pay(ledger, a_key(3), job_id)
    assert not row.done()
    own_postgres.start()
    assert await asyncio.wait_for(row, 20)
    assert await asyncio.wait_for(looking, 20) is None
    await asyncio.wait_for(ledger.writer.healthy.wait(), 20)
    await ledger.close()
    assert adopt_orphans(store, tmp_path / "spool") == 0, "the spool is empty"
    job = the_job(store, job_id)
    assert (job.calls_made, job.cost_nano, job.rows_done) == (3, 3000, 1)
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("what", ["paid", "doubtful"])
async def test_closing_without_a_database_leaves_the_spool(
    own_postgres: Postgres, tmp_path: Path, pay: Pay, what: str
) -> None:
    """What the database did not take before the end is adopted by the next process."""
    store = _migrated(own_postgres.database())
    job_id = a_stored_job(store)
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "me"))
    ledger.open()
    own_postgres.stop()
    if what == "paid":
        pay(ledger, a_key(1), job_id)
    else:
        ledger.doubtful(ledger.intend(a_key(2), job_id, "small", 500), "timeout")
    await eventually_on_loop(lambda: not ledger.writer.healthy.is_set(), "the database is away")
    await ledger.writer.close(patience_s=0.1)
    await ledger.close()
    own_postgres.start()
    assert adopt_orphans(store, tmp_path / "spool") == (what == "paid")
    job = the_job(store, job_id)
    assert (job.calls_made, job.calls_doubtful) == (what == "paid", what == "doubtful")
    store.close()


@pytest.mark.postgres
async def test_killed_connections_lose_nothing(
    own_postgres: Postgres, tmp_path: Path, pay: Pay
) -> None:
    """FAULTS 12: backends terminated again and again while groups are committed."""
    store = _migrated(own_postgres.database())
    job_id = a_stored_job(store)
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "me"))
    ledger.open()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'"
    for burst in range(8):
        for number in range(50):
            pay(ledger, a_key((burst, number)), job_id)
        await asyncio.sleep(0.03)
        await asyncio.to_thread(own_postgres.execute, kill)
    await eventually_on_loop(lambda: not ledger.writer.backlog, "all is stored", within_s=60)
    await ledger.close()
    job = the_job(store, job_id)
    assert (job.calls_made, job.cost_nano) == (400, 400_000)
    with store.read() as connection:
        keys = [a_key((burst, number)) for burst in range(8) for number in range(50)]
        assert len(calls.find(connection, keys)) == 400
    store.close()


async def test_a_locked_sqlite_is_waited_for(
    tmp_path: Path, pay: Pay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds the database longer than the busy timeout: stored when they let go."""
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "maestrale.db"
    store = _migrated(f"sqlite:///{path}")
    job_id = a_stored_job(store)
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "me"))
    ledger.open()
    hog = sqlite3.connect(path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    pay(ledger, a_key(1), job_id)
    await eventually_on_loop(lambda: not ledger.writer.healthy.is_set(), "calling stops")
    assert await ledger.find(a_key(1)) is not None, "known here all the same"
    hog.execute("ROLLBACK")
    hog.close()
    await asyncio.wait_for(ledger.writer.healthy.wait(), 30)
    await ledger.close()
    assert the_job(store, job_id).calls_made == 1
    store.close()


async def test_a_doubt_is_stored_with_its_reason(tmp_path: Path) -> None:
    """The fault's kind, not `crash`, stands in the table; the spool forgets the intent."""
    store = _migrated(f"sqlite:///{tmp_path / 'maestrale.db'}")
    job_id = a_stored_job(store)
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "me"))
    ledger.open()
    ledger.doubtful(ledger.intend(a_key(1), job_id, "small", 500), "timeout")
    ledger.ended(ledger.intend(a_key(2), job_id, "small", 500))
    await ledger.close()
    with store.read() as connection:
        found = connection.execute(calls.doubts.select()).one()
    assert (found.key, found.reason, found.cost_nano) == (a_key(1), "timeout", 500)
    assert a_doubt().reason == "crash"
    assert adopt_orphans(store, tmp_path / "spool") == 0
    assert the_job(store, job_id).calls_doubtful == 1
    store.close()
