"""Looks for canaries where no secret or prompt may be.

Keys and secrets may be nowhere. Prompts may be where work is kept: the tables of rows and answers,
the spool, what was handed in; not in events, deliveries, jobs' reasons or anything of Redis. They
are looked for as they are and within base64, in which messages have their bodies.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import redis
from sqlalchemy import MetaData, Table, select

from faults.canaries import holds
from faults.history import Log
from proving.stage import Stage

_READERS: dict[str, Callable[[Any, bytes], Iterable[bytes]]] = {
    "string": lambda server, key: [server.get(key) or b""],  # it may have run out since
    "list": lambda server, key: server.lrange(key, 0, -1),
    "set": lambda server, key: server.smembers(key),
    "zset": lambda server, key: server.zrange(key, 0, -1),
    "hash": lambda server, key: [part for pair in server.hgetall(key).items() for part in pair],
    "stream": lambda server, key: [repr(server.xrange(key)).encode()],
}
APPENDED = ".aof"
_WORK = {"rows", "calls", "batch_requests", "jobs"}
"""Tables that hold what was asked and answered; a job's spec has its recipe, which is public."""


def look(on: Stage, log: Log, canaries: dict[str, str]) -> None:
    """Notes for each place how large it is, and which canaries are in it that may not be."""
    for place, found, may_hold_work in _places(on):
        leaks, size = set(), 0
        for piece in found:
            size += len(piece)
            leaks |= {name for name, word in canaries.items() if holds(piece, word)}
        allowed = {"prompt"} if may_hold_work else set()
        log.write("looked", place=place, size=size, found=sorted(leaks - allowed))


def _places(on: Stage) -> Iterator[tuple[str, Iterator[bytes], bool]]:
    yield "Redis", _redis(on), False
    yield "AOF: Redis's append-only file", _appended(on.home / "redis"), False
    yield "Redis's other files", _files(on.home / "redis", but=APPENDED), False
    yield "logs", _files(on.home / "logs"), False
    for table in _tables(on):
        yield f"database: {table.name}", _database(on, table), table.name in _WORK
    yield "home (notes, spools)", _files(on.home, besides=("logs", "redis")), True


def _redis(on: Stage) -> Iterator[bytes]:
    server = cast("Any", redis.Redis).from_url(on.client.settings.redis_url)
    for key in server.scan_iter():
        yield key
        if reader := _READERS.get(server.type(key).decode()):  # else it has run out since
            yield from reader(server, key)


def _appended(folder: Path) -> Iterator[bytes]:
    """The append-only file in its parts: empty, it would say nothing of what Redis was sent."""
    yield from (path.read_bytes() for path in sorted(folder.rglob(f"*{APPENDED}")))


def _files(folder: Path, besides: tuple[str, ...] = (), but: str = "...") -> Iterator[bytes]:
    """All files, but those in some folders and of some ending."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        is_wanted = inside[0] not in besides and not path.name.endswith(but)
        if is_wanted and path.is_file() and not path.is_socket():
            yield path.read_bytes()


def _tables(on: Stage) -> list[Table]:
    found = MetaData()
    with on.client.store.read() as connection:
        found.reflect(connection)
    return found.sorted_tables


def _database(on: Stage, table: Table) -> Iterator[bytes]:
    with on.client.store.read() as connection:
        for row in connection.execute(select(table)):
            yield repr(tuple(row)).encode()
