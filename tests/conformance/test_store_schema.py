"""The database itself: migrations, transactions, snapshots, and errors in our words."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from builders import a_job, a_stored_job, at_once, claimed, done, settled, the_job
from sqlalchemy import Connection, MetaData, insert, select, text

from models.errors import BadInputError, SetupError, StoreBusyError
from models.settings import Settings
from models.store import events, jobs, rows, schema
from models.store.engine import BUSY_TIMEOUT_MS, Store, open_store

MIGRATE = """
import sys
from models.settings import Settings
from models.store import schema
from models.store.engine import open_store
print(schema.migrate(open_store(Settings(_env_file=None, DATABASE_URL=sys.argv[1]))))
"""
WRITE = """
import sys
from builders import a_call
from models.settings import Settings
from models.store import calls
from models.store.engine import open_store
store = open_store(Settings(_env_file=None, DATABASE_URL=sys.argv[1]))
for number in range(60):
    with store.write() as connection:
        calls.find(connection, ["read before the write"])
        calls.store(connection, [a_call(f"{sys.argv[2]}-{number}-{at}") for at in range(5)])
"""


def _open(url: str) -> Store:
    return open_store(Settings(_env_file=None, DATABASE_URL=url))


def _at_revision(url: str, revision: str) -> Store:
    """A database as an earlier release left it, without rows."""
    store = _open(url)
    with store.write() as connection:
        command.upgrade(schema._config(connection), revision)
    return store


def _everything(connection: Connection, names: set[str]) -> dict[str, list[tuple[Any, ...]]]:
    """All that stands in these tables, whatever the code says they are."""
    there = MetaData()
    there.reflect(connection, only=sorted(names))
    return {
        name: sorted(tuple(row) for row in connection.execute(select(table)))
        for name, table in there.tables.items()
    }


def _put(connection: Connection, name: str, **values: Any) -> None:
    """Inserts one row as an earlier release would: zero or nothing in what is not named."""
    there = MetaData()
    there.reflect(connection, only=[name])
    table = there.tables[name]
    needed = [c for c in table.columns if not c.nullable and c.name not in values]
    zeros = {c.name: c.type.python_type() for c in needed if c.autoincrement is not True}
    connection.execute(insert(table).values(**zeros, **values))


def _run_together(code: str, *arguments: tuple[str, ...]) -> list[str]:
    """What processes that run `code` at the same time print; fails if one of them fails."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, *given],
            env={"PYTHONPATH": "tests"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for given in arguments
    ]
    ended = [(process.communicate(timeout=60), process.returncode) for process in running]
    for (_, errors), code_ in ended:
        assert code_ == 0, errors[-2000:]
    return [printed.strip() for (printed, _), _ in ended]


def test_a_migrated_database_is_what_the_code_says(empty_database_url: str) -> None:
    """An upgrade from nothing leaves no difference to the tables, and a second one does nothing."""
    store = _open(empty_database_url)
    with store.read() as connection:
        assert schema.revision(connection) is None
    assert schema.migrate(store) == schema.newest_revision()
    assert schema.migrate(store) == schema.newest_revision()
    with store.read() as connection:
        assert schema.revision(connection) == schema.newest_revision()
        assert schema.differences(connection) == []
    store.close()


def test_an_old_database_keeps_what_it_holds(empty_database_url: str) -> None:
    """A job in the middle of its work is upgraded from 0002 and worked on; going back and coming
    again loses nothing of it either."""
    store = _at_revision(empty_database_url, "0002")
    spec = a_job().spec
    with store.write() as connection:
        _put(connection, "jobs", id="job_old", kind="generate", state="running", spec=spec,
             rows_total=1, shards_total=1, event_seq=1, created_at=1.0)  # fmt: skip
        _put(connection, "rows", job_id="job_old", seq=0, row_id="r0", state="open", data="{}")
        _put(connection, "shards", job_id="job_old", no=0, state="open", last_seq=0)
        _put(connection, "calls", key="k", job_id="job_old", model="m", cost_nano=7)
        _put(connection, "events", subject_id="job_old", seq=1, type="job.queued")
        held = _everything(connection, {"jobs", "rows", "shards", "calls", "events"})
    assert schema.migrate(store) == schema.newest_revision()
    with store.write() as connection:
        assert schema.differences(connection) == []
        assert _everything(connection, set(held)) == held
        command.downgrade(schema._config(connection), "0002")
        assert _everything(connection, set(held)) == held
    schema.migrate(store)
    with store.read() as connection:
        assert schema.differences(connection) == []
    lease = claimed(store, "job_old", 0)
    settled(store, lease, [done(lease, 0)])
    assert the_job(store, "job_old").state == "succeeded"
    store.close()


def test_differences_are_seen(store: Store) -> None:
    """A column too many and an index too few are told, or the test above proves nothing."""
    with store.write() as connection:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN odd INTEGER"))
        connection.execute(text("DROP INDEX events_by_subject"))
    with store.read() as connection:
        told = str(schema.differences(connection))
    assert "odd" in told
    assert "events_by_subject" in told


def test_threads_may_migrate_at_once(empty_database_url: str) -> None:
    """Four threads with stores of their own migrate one empty database without an error."""
    stores = [_open(empty_database_url) for _ in range(4)]
    answers = at_once(*(lambda store=store: schema.migrate(store) for store in stores))
    assert set(answers) == {schema.newest_revision()}
    with stores[0].read() as connection:
        assert schema.differences(connection) == []
    for store in stores:
        store.close()


def test_processes_may_migrate_at_once(empty_database_url: str) -> None:
    """Three processes migrate one empty database without an error."""
    answers = _run_together(MIGRATE, *[(empty_database_url,)] * 3)
    assert set(answers) == {schema.newest_revision()}


def test_four_processes_write_without_waiting_in_vain(database_url: str, store: Store) -> None:
    """Read-then-write transactions of four processes never meet "database is locked"."""
    _run_together(WRITE, *[(database_url, str(number)) for number in range(4)])
    with store.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM calls")) == 4 * 60 * 5


def test_sqlite_keeps_what_was_committed(tmp_path: Path) -> None:
    """WAL, full synchronisation, the busy timeout and foreign keys hold on every connection."""
    store = _open(f"sqlite:///{tmp_path / 'new' / 'maestrale.db'}")
    for _ in range(3):
        with store.read() as one, store.read() as other:
            for connection in (one, other):
                pragma = {
                    name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                    for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
                }
                assert pragma == {
                    "journal_mode": "wal",
                    "synchronous": 2,
                    "busy_timeout": BUSY_TIMEOUT_MS,
                    "foreign_keys": 1,
                }
    store.close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    """An error inside `write` undoes all of it, the event too."""
    job = a_job()
    with pytest.raises(RuntimeError), store.write() as connection:
        jobs.create(connection, job)
        raise RuntimeError("died here")
    with store.read() as connection:
        assert jobs.get(connection, job.id) is None
        assert events.of_subject(connection, job.id) == []


def test_a_read_is_one_snapshot(store: Store, open_another: Callable[[], Store]) -> None:
    """What commits while a read goes on is not seen by it, and does not wait for it."""
    job_id = a_stored_job(store)
    with store.read() as connection:
        before = jobs.get(connection, job_id)
        with open_another().write() as other:
            assert jobs.pause(other, job_id, "meanwhile")
        after = jobs.get(connection, job_id)
    assert before is not None and after is not None
    assert (before.state, after.state) == ("queued", "queued")
    assert the_job(store, job_id).state == "paused"


def test_writers_wait_for_each_other(store: Store, open_another: Callable[[], Store]) -> None:
    """Increments by eight threads that read before they write are all there at the end."""
    job_id = a_stored_job(store)
    other = open_another()

    def increment(chosen: Store) -> None:
        for _ in range(5):
            with chosen.write() as connection:
                jobs.control(connection, [job_id])
                jobs.count(connection, job_id, {"calls_made": 1})

    at_once(*(lambda chosen=chosen: increment(chosen) for chosen in [store, other] * 4))
    assert the_job(store, job_id).calls_made == 40


def test_a_database_without_tables_is_named(empty_database_url: str) -> None:
    """Reading before the migration says what to do, on both databases."""
    store = _open(empty_database_url)
    with pytest.raises(SetupError, match="maestrale migrate"), store.read() as connection:
        jobs.newest(connection)
    store.close()


def test_a_database_that_is_not_there_is_named() -> None:
    """No answer from PostgreSQL is a `SetupError` within seconds, without the password."""
    store = _open("postgresql://maestro:hunter2@127.0.0.1:1/nothing")
    with pytest.raises(SetupError, match="does not answer") as caught, store.read():
        pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "postgres//x"])
def test_a_bad_url_is_named(url: str) -> None:
    """What is neither SQLite nor PostgreSQL is refused with the way to write it."""
    with pytest.raises(BadInputError, match="DATABASE_URL"):
        _open(url)


def test_a_locked_database_is_busy_not_broken(store: Store, database_url: str) -> None:
    """Who waits too long for a lock reads `StoreBusyError`, and nothing was changed."""
    job_id = a_stored_job(store)
    other = _open(database_url)
    wait = "PRAGMA busy_timeout=50" if store.is_sqlite else "SET lock_timeout = '50ms'"
    with other.engine.connect() as raw:
        if store.is_sqlite:
            raw.exec_driver_sql(wait)
        raw.rollback()
    with store.write() as connection:
        jobs.pause(connection, job_id, "slowly")
        with pytest.raises((StoreBusyError, SetupError)), other.write() as waiting:
            waiting.exec_driver_sql(wait)
            jobs.cancel(waiting, job_id)
    assert the_job(store, job_id).state == "paused"
    other.close()


def test_errors_do_not_tell_rows(store: Store) -> None:
    """An error's text holds no values: it is logged, and prompts are not."""
    job_id = a_stored_job(store)
    row = {"job_id": job_id, "seq": 0, "row_id": "r0", "shard_no": 0, "data": "a secret prompt"}
    with pytest.raises(Exception) as caught, store.write() as connection:
        connection.execute(insert(rows.rows).values(**row))
    assert "secret" not in str(caught.value)


def test_the_databases_clock_is_real(store: Store) -> None:
    """Seconds since the epoch, moving forward within and between connections."""
    first, second = store.now(), store.now()
    assert abs(first - time.time()) < 5
    assert first <= second
