"""Opens the database: SQLite (WAL, immediate transactions) or PostgreSQL, behind one `Store`."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from models.errors import BadInputError, SetupError, StoreAwayError, StoreBusyError
from models.settings import Settings

BUSY_TIMEOUT_MS = 30_000
READ_ONLY = "maestrale_read_only"


class now_s(FunctionElement[float]):  # noqa: N801 # reads as an SQL function where it is used
    """Seconds since the epoch by the database's clock: one clock for all workers."""

    type = Float(53)
    inherit_cache = True


@compiles(now_s, "sqlite")
def _now_sqlite(_element: now_s, _compiler: Any, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_s, "postgresql")
def _now_postgresql(_element: now_s, _compiler: Any, **_kw: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def read_now(connection: Connection) -> float:
    """Seconds since the epoch by the database's clock."""
    return float(connection.scalar(select(now_s())) or 0.0)


class Store:
    """A database that is open. `write()` and `read()` are its only doors; both are thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reading: dict[str, Any] = (
            {READ_ONLY: True}
            if self.is_sqlite
            else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One short transaction that may write; commits at the end, rolls back on an error."""
        with _translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; never blocks writers."""
        with _translated(), self.engine.connect() as raw:
            yield raw.execution_options(**self._reading)

    def now(self) -> float:
        """Seconds since the epoch by the database's clock."""
        with self.read() as connection:
            return read_now(connection)

    def close(self) -> None:
        """Closes pooled connections; the store may be used again after."""
        self.engine.dispose()


def open_store(settings: Settings, *, pool_size: int = 6) -> Store:
    """Opens (not migrates) the database of `settings`. Raises `BadInputError` on a bad URL."""
    url = settings.sqlalchemy_url
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):  # whose text would show a part of the password
        raise BadInputError(
            "DATABASE_URL does not parse: use sqlite:///... or postgresql://..., and what is "
            "special in a password (/ # ? @) percent-encoded"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        return Store(_sqlite_engine(url, Path(parsed.database or ""), pool_size))
    if parsed.drivername == "postgresql+psycopg":
        return Store(
            create_engine(
                url,
                pool_size=pool_size,
                max_overflow=4,
                pool_pre_ping=True,
                hide_parameters=True,
                connect_args={"connect_timeout": 5},
            )
        )
    raise BadInputError(
        "DATABASE_URL must name SQLite or PostgreSQL: sqlite:///... or postgresql://..."
    )


def _sqlite_engine(url: str, path: Path, pool_size: int) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        url,
        pool_size=pool_size,
        hide_parameters=True,  # errors are logged; rows and answers are not
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi: Any, _record: Any) -> None:
    # pysqlite's own BEGIN is deferred and fails at once on read-then-write (FAULTS 5)
    dbapi.isolation_level = None
    cursor = dbapi.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _switch_to_wal(cursor)
    for pragma in (
        "synchronous=FULL",  # what was paid for must survive a power cut
        "foreign_keys=ON",
        "cache_size=-8000",
        "journal_size_limit=67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    """Once in a file's life; the busy time-out does not hold for this switch, so it is ours."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def _translated() -> Iterator[None]:
    """Foreign errors in our words, at the one border."""
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusyError("all connections to the database are in use: try again") from error
    except (OperationalError, ProgrammingError) as error:
        text = (str(error.orig).strip().splitlines() or ["no detail"])[0]
        if "locked" in text or "deadlock" in text:
            raise StoreBusyError(f"the database is busy ({text}): try again") from error
        if "no such table" in text or 'relation "' in text:
            raise SetupError("the database has no tables yet: run `maestrale migrate`") from error
        if isinstance(error, ProgrammingError):
            raise
        words = f"the database does not answer ({text}): `maestrale doctor`"
        raise StoreAwayError(words) from error
    except DatabaseError as error:
        if "not a database" in str(error.orig):
            raise SetupError("DATABASE_URL names a file that is not a database") from error
        raise


def one_at_a_time(connection: Connection, submission: str) -> None:
    """Makes equal submissions wait for each other until the transaction ends.

    SQLite's immediate transaction does so by itself; PostgreSQL takes an advisory lock.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(submission, 0))))
