"""Every move that the product's statements make is on the lifecycle's map, seen by the database.

Triggers tell each change of a state while its statement runs, so that the stack says whose it is:
the store's, or a test's that sets something up. A listener answers on this side: a function of
SQLite's connection, PostgreSQL's notices.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.pool import Pool

from models import states

ROOT = Path(__file__).parents[1]
STORE = str(ROOT / "models" / "store")
OURS = tuple(str(ROOT / name) for name in ("models", "producers", "worker", "dashboard", "tests"))
MAPS: Mapping[str, Mapping[Any, frozenset[Any]]] = {
    "jobs": states.JOB_TRANSITIONS,
    "rows": states.ROW_TRANSITIONS,
    "shards": states.SHARD_TRANSITIONS,
    "remote_operations": states.REMOTE_TRANSITIONS,
    "batch_requests": states.REQUEST_TRANSITIONS,
    "stages": states.STAGE_TRANSITIONS,
    "endpoints": states.ENDPOINT_TRANSITIONS,
    "deliveries": states.DELIVERY_TRANSITIONS,
}
"""By the table whose column `state` it is about."""
MOVED = "maestrale moved: "
_LITE = """
CREATE TEMP TRIGGER told_{table} AFTER UPDATE OF state ON main.{table} WHEN old.state <> new.state
BEGIN SELECT told_move('{table}', old.state, new.state); END
"""
_FUNCTION = f"""
CREATE FUNCTION told_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE NOTICE '{MOVED}% % %', TG_TABLE_NAME, old.state, new.state; RETURN NULL; END $$
"""
_TRIGGER = """
CREATE TRIGGER told AFTER UPDATE OF state ON {table} FOR EACH ROW
WHEN (old.state <> new.state) EXECUTE FUNCTION told_move()
"""


@dataclass(frozen=True)
class Move:
    """A change of a state that the map does not have, and the statement's place in the store."""

    table: str
    before: str
    after: str
    place: str


def prepare_postgres(url: str) -> None:
    """Lets a migrated database tell its moves; copies of it do too."""
    with psycopg.connect(url) as connection:
        connection.execute(_FUNCTION)
        for table in MAPS:
            connection.execute(_TRIGGER.format(table=table).encode())


@contextmanager
def watched() -> Iterator[list[Move]]:
    """The store's moves that are on no map, of all connections of this process; grows."""
    found: list[Move] = []

    def note(table: str, before: str, after: str) -> None:
        place = _place()
        if after not in MAPS[table][before] and place.startswith(STORE):
            found.append(Move(table, before, after, place.removeprefix(f"{ROOT}/")))

    def listen(connection: Any, record: Any, _proxy: object) -> None:
        if record.info.get("told_to") is not found:
            _listen(connection, note)
            record.info["told_to"] = found

    event.listen(Pool, "checkout", listen)
    try:
        yield found
    finally:
        event.remove(Pool, "checkout", listen)


def _listen(connection: Any, note: Any) -> None:
    if isinstance(connection, psycopg.Connection):
        connection.add_notice_handler(lambda told: _heard(told.message_primary or "", note))
        return
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.create_function("told_move", 3, note)
    for table in MAPS.keys() & there:
        connection.execute(f"DROP TRIGGER IF EXISTS temp.told_{table}")
        connection.execute(_LITE.format(table=table))


def _heard(notice: str, note: Any) -> None:
    if notice.startswith(MOVED):
        note(*notice.removeprefix(MOVED).split())


def _place() -> str:
    """File and line of the innermost frame of ours: whoever wrote the statement."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if file != __file__ and file.startswith(OURS):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
