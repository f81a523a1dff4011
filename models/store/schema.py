"""Brings a database to the newest schema, and tells how far one is."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel

from models import tables  # noqa: F401 # registers the tables
from models.store.engine import Store

if TYPE_CHECKING:  # Alembic takes a fifth of a second to import: only a migration pays for it
    from alembic.config import Config

MIGRATION_LOCK = 7_239_013
"""PostgreSQL advisory lock number; any constant of our own does."""
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(store: Store) -> str:
    """Upgrades to the newest revision and answers it. Several processes at once are safe."""
    with store.read() as connection:
        if revision(connection) == newest_revision():
            return newest_revision()
    with store.write() as connection:
        if not store.is_sqlite:  # SQLite's immediate transaction is the lock already
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": MIGRATION_LOCK})
        if revision(connection) != newest_revision():
            from alembic import command  # noqa: PLC0415 # as above

            command.upgrade(_config(connection), "head")
    return newest_revision()


def revision(connection: Connection) -> str | None:
    """The database's revision; None: no tables yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return str(found) if found else None


def newest_revision() -> str:
    """The newest revision this code knows; files are named by number, in order."""
    newest = max(path.name for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    return newest.split("_", 1)[0]


def differences(connection: Connection) -> list[object]:
    """What the database lacks or has beside the tables of the code (for the tests)."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 # as above
    from alembic.migration import MigrationContext  # noqa: PLC0415 # as above

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, SQLModel.metadata))


def _config(connection: Connection) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 # as above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
