"""Brings a database to the newest schema, and tells how far one is."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from models import tables  # noqa: F401 # registers the tables
from models.store.engine import Store

MIGRATION_LOCK = 7_239_013
"""PostgreSQL advisory lock number; any constant of our own does."""


def migrate(store: Store) -> str:
    """Upgrades to the newest revision and answers it. Several processes at once are safe."""
    with store.write() as connection:
        if not store.is_sqlite:  # SQLite's immediate transaction is the lock already
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": MIGRATION_LOCK})
        if revision(connection) != newest_revision():
            command.upgrade(_config(connection), "head")
    return newest_revision()


def revision(connection: Connection) -> str | None:
    """The database's revision; None: no tables yet."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str:
    """The newest revision this code knows."""
    return ScriptDirectory.from_config(_config(None)).get_current_head() or ""


def differences(connection: Connection) -> list[object]:
    """What the database lacks or has beside the tables of the code (for the tests)."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
