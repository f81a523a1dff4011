"""Where things are kept: the home's disk, the database, and the spools of dead processes."""

import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from models.settings import Settings
from models.store import schema
from producers.client import Maestrale
from producers.doctor.findings import Finding, bad, good, note
from producers.services import Services

FULL_BYTES = 200_000_000
"""Less free space than this, and paid answers may find no place."""
LOW_BYTES = 2_000_000_000


def check_home(settings: Settings) -> Iterator[Finding]:
    """The home is writable, and its disk has room."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    probe = settings.home / ".doctor"
    probe.write_bytes(b"")
    probe.unlink()
    free = shutil.disk_usage(settings.home).free
    told = f"{settings.home}, {free / 1e9:.1f} GB free"
    room = "`maestrale prune --older-than 30d --compact`, or set MAESTRALE_HOME elsewhere"
    if free < FULL_BYTES:
        yield bad("home", told, f"free some space: {room}")
    elif free < LOW_BYTES:
        yield note("home", told, f"a large job may fill the disk: {room}")
    else:
        yield good("home", told)


def check_database(maestrale: Maestrale) -> Iterator[Finding]:
    """It answers, and its schema is this code's."""
    url = maestrale.store.engine.url
    name = "SQLite" if maestrale.store.is_sqlite else f"PostgreSQL at {url.host}"
    with maestrale.store.read() as connection:
        revision = schema.revision(connection)
    newest = schema.newest_revision()
    if revision == newest:
        yield good("database", f"{name}, schema {revision}")
    elif revision is None or revision < newest:
        yield bad("database", f"{name}, schema {revision or 'missing'}", "run `maestrale migrate`")
    else:
        found = f"{name}, schema {revision}: newer than this program, which knows {newest}"
        yield bad("database", found, "upgrade this machine: schemas never go back")


def check_spool(maestrale: Maestrale) -> Iterator[Finding]:
    """Paid answers that a dead process of this home left on disk."""
    orphans = [path for path in _spools(maestrale.settings.home) if _nobody_holds(path)]
    if not orphans:
        yield good("spool", "nothing is left by dead processes")
        return
    size = sum(path.stat().st_size for path in orphans)
    found = f"{len(orphans)} files ({size:,} bytes) of dead processes hold what they paid for"
    if Services(maestrale.settings).living(maestrale.workers()):
        yield note(
            "spool", found, "a worker that shares this MAESTRALE_HOME adopts them in seconds"
        )
    else:
        yield bad("spool", found, "run `maestrale up`: workers of this home adopt them")


def _spools(home: Path) -> list[Path]:
    return sorted((home / "spool").glob("*.spool"))


def _nobody_holds(path: Path) -> bool:
    """Whether the process that wrote the file is dead: its lock died with it. Empty ones are not
    worth a word."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return path.stat().st_size > 0
    except (BlockingIOError, FileNotFoundError):  # alive, or adopted meanwhile
        return False
