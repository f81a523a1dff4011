"""SQLite's one file: copied while others write to it, and made smaller when nobody works."""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from models.errors import BadInputError, SetupError, StoreBusyError
from models.sealing import KEY_FILE
from models.settings import Settings
from models.store import fleet
from models.store.engine import Store


def path_of(store: Store) -> Path:
    """Where the database is. Raises `BadInputError` for PostgreSQL, which has its own tools."""
    if not store.is_sqlite:
        raise BadInputError(
            "this database is PostgreSQL: back it up with its own tool, `pg_dump --format=custom "
            '--file=FILE "$DATABASE_URL"`, and restore with `pg_restore` (docs/operations.md)'
        )
    return Path(store.engine.url.database or "")


def back_up(store: Store, target: Path, *, overwrite: bool = False) -> int:
    """Writes a consistent copy to `target`, readable by its owner only; answers its bytes.

    One snapshot, taken while workers go on; `target` is there whole or not at all.
    """
    source = path_of(store)
    if target.exists() and not overwrite:
        raise BadInputError(f"{target} exists: choose another name, or add --overwrite")
    if target.exists() and target.samefile(source):
        raise BadInputError(f"{target} is the database itself: choose another name")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(store, draft)
        size = _make_durable(draft)
        _put(draft, target, overwrite=overwrite)
    except OSError as error:
        raise SetupError(f"{target} cannot be written ({error.strerror})") from error
    finally:
        draft.unlink(missing_ok=True)
    return size


def _copy(store: Store, draft: Path) -> None:
    connection = store.engine.raw_connection()
    try:
        source = cast(sqlite3.Connection, connection.driver_connection)
        with closing(sqlite3.connect(draft)) as copy:
            source.backup(copy)  # in one step: one snapshot, which blocks no writer
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
            if (told := copy.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
                raise SetupError(f"the copy is not sound ({told}): look after the disk")
    except sqlite3.OperationalError as error:
        raise SetupError(f"the copy could not be made ({error})") from error
    finally:
        connection.close()


def _make_durable(draft: Path) -> int:
    with draft.open("rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size


def _put(draft: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        draft.replace(target)
        return
    try:
        os.link(draft, target)  # unlike a renaming, this never replaces what came meanwhile
    except FileExistsError:
        raise BadInputError(f"{target} exists: choose another name, or add --overwrite") from None


def key_file_beside(settings: Settings) -> str:
    """The key file that seals secrets in this database, if it is one of the home; else empty."""
    path = settings.home / KEY_FILE
    return str(path) if path.exists() and not settings.secret_key.get_secret_value() else ""


def refuse_while_working(store: Store) -> None:
    """Raises `SetupError` if a worker would be locked out by `compact`."""
    with store.read() as connection:
        alive = len(fleet.alive(connection))
    if alive:
        raise SetupError(
            f"workers are alive ({alive}) and would be locked out: `maestrale down` first, "
            "or prune without --compact"
        )


def compact(store: Store) -> int:
    """Gives deleted rows' space back to the disk; answers how many bytes.

    It locks everybody out while it runs: refused while workers are alive, or without the room
    for the copies that SQLite makes.
    """
    path = path_of(store)
    refuse_while_working(store)
    _write_back(store)
    before = path.stat().st_size
    if shutil.disk_usage(path.parent).free < 2 * before + 1_000_000:
        raise SetupError(f"compacting needs {2 * before / 1e9:.1f} GB free beside {path}")
    _write_back(store, "VACUUM")
    return max(0, before - path.stat().st_size)


def _write_back(store: Store, *first: str) -> None:
    """Runs `first`, then brings the log's pages into the file."""
    raw = store.engine.raw_connection()
    try:
        cursor = raw.cursor()
        for statement in (*first, "PRAGMA wal_checkpoint(TRUNCATE)"):
            cursor.execute(statement)
        cursor.close()
    except sqlite3.OperationalError as error:
        raise StoreBusyError(f"somebody uses the database ({error}): stop Flower, too") from error
    finally:
        raw.close()
