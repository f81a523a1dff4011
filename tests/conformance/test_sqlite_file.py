"""SQLite's file, copied and compacted; PostgreSQL's users are told of its own tools."""

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import a_stored_job, assert_all_rows_accounted_for
from sqlalchemy import delete

from models.errors import BadInputError, MaestraleError, SetupError
from models.settings import Settings
from models.store import fleet, rows, sqlite_file
from models.store.engine import Store, open_store


@pytest.fixture
def lite(tmp_path: Path, request: pytest.FixtureRequest) -> Store:
    """A SQLite store with one job."""
    request.getfixturevalue("_migrated_sqlite")
    path = tmp_path / "maestrale.db"
    path.write_bytes(request.getfixturevalue("_migrated_sqlite").read_bytes())
    store = open_store(Settings(_env_file=None, DATABASE_URL=f"sqlite:///{path}"), pool_size=8)
    request.addfinalizer(store.close)
    return store


def opened(path: Path) -> Store:
    """A store over a copy."""
    return open_store(Settings(_env_file=None, DATABASE_URL=f"sqlite:///{path}"))


def test_a_copy_made_while_jobs_are_submitted_is_consistent(lite: Store, tmp_path: Path):
    """Every job in it has all its rows, whatever was committed in between; nobody waits."""
    stop = threading.Event()

    def submit() -> None:
        while not stop.is_set():
            a_stored_job(lite, rows_count=200, shard_size=50)

    writer = threading.Thread(target=submit)
    writer.start()
    try:
        for number in range(5):
            sqlite_file.back_up(lite, tmp_path / f"copy{number}.db")
    finally:
        stop.set()
        writer.join(10)
    for number in range(5):
        copy = opened(tmp_path / f"copy{number}.db")
        with copy.read() as connection:
            found = [row[0] for row in connection.exec_driver_sql("SELECT id FROM jobs")]
        for job_id in found:
            assert_all_rows_accounted_for(copy, job_id)
        copy.close()
    assert found


def test_a_copy_is_one_private_file_and_replaces_nothing_unasked(lite: Store, tmp_path: Path):
    """0600, no log beside it, no draft left; an existing file only with `overwrite`."""
    job_id = a_stored_job(lite)
    folder = tmp_path / "copies"
    folder.mkdir()
    target = folder / "copy.db"
    target.write_text("mine")
    with pytest.raises(BadInputError, match="--overwrite"):
        sqlite_file.back_up(lite, target)
    assert target.read_text() == "mine"
    written = sqlite_file.back_up(lite, target, overwrite=True)
    assert written == target.stat().st_size
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(folder.iterdir()) == [target]
    with sqlite3.connect(target) as copy:
        assert copy.execute("SELECT id FROM jobs").fetchall() == [(job_id,)]


def test_the_database_is_never_its_own_copy_and_no_place_is_an_error(lite: Store, tmp_path: Path):
    """Overwriting itself is refused, and so is a folder that is not there; with advice."""
    with pytest.raises(BadInputError, match="itself"):
        sqlite_file.back_up(lite, sqlite_file.path_of(lite), overwrite=True)
    with pytest.raises(SetupError, match="cannot be written"):
        sqlite_file.back_up(lite, tmp_path / "nowhere" / "copy.db")


def test_compacting_gives_room_back_and_waits_for_workers_to_be_gone(lite: Store):
    """After rows were deleted the file shrinks; while a worker is alive it is refused."""
    job_id = a_stored_job(lite, rows_count=20_000, shard_size=250)
    with lite.write() as connection:
        connection.execute(delete(rows.rows).where(rows.rows.c.job_id == job_id))
        fleet.sign_of_life(connection, "w1", slots=8, rows_in_flight=0)
    with pytest.raises(SetupError, match="alive"):
        sqlite_file.compact(lite)
    with lite.write() as connection:
        fleet.gone(connection, "w1")
    freed = sqlite_file.compact(lite)
    assert freed > 500_000
    assert sqlite_file.path_of(lite).stat().st_size < freed


@pytest.mark.postgres
def test_postgresql_is_sent_to_its_own_tools(postgres_url: str, tmp_path: Path):
    """`backup` names pg_dump and writes nothing."""
    store = open_store(Settings(_env_file=None, DATABASE_URL=postgres_url))
    with pytest.raises(MaestraleError, match="pg_dump"):
        sqlite_file.back_up(store, tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []
    store.close()


def test_the_key_beside_the_database_is_named(make_settings: Callable[..., Settings]):
    """Only where a key file seals: with MAESTRALE_SECRET_KEY there is none to keep."""
    settings = make_settings()
    assert sqlite_file.key_file_beside(settings) == ""
    settings.home.mkdir()
    (settings.home / "secret.key").write_text("k")
    assert sqlite_file.key_file_beside(settings).endswith("secret.key")
    assert sqlite_file.key_file_beside(make_settings(MAESTRALE_SECRET_KEY="s")) == ""
