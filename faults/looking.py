"""Looks for canaries where no secret or prompt may be: the key everywhere, prompts outside the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import redis
from sqlalchemy import MetaData, select

from benchmarks.stage import Stage
from faults.history import Log

_READERS = {
    "string": lambda server, key: [server.get(key)],
    "list": lambda server, key: server.lrange(key, 0, -1),
    "set": lambda server, key: server.smembers(key),
    "zset": lambda server, key: server.zrange(key, 0, -1),
    "hash": lambda server, key: [part for pair in server.hgetall(key).items() for part in pair],
    "stream": lambda server, key: [repr(server.xrange(key)).encode()],
}
_ALLOWED = {"database": ("prompt",), "home": ("prompt",)}
"""Rows and answers are what the database and the spool are for."""


def look(on: Stage, log: Log, canaries: dict[str, str]) -> None:
    """Notes for each place how large it is, and which canaries are in it."""
    for place, found in _places(on):
        allowed = _ALLOWED.get(place.split(" ")[0], ())
        leaks, size = set(), 0
        for piece in found:
            size += len(piece)
            leaks |= {name for name, word in canaries.items() if word.encode() in piece}
        log.write("looked", place=place, size=size, found=sorted(leaks - set(allowed)))


def _places(on: Stage) -> Iterator[tuple[str, Iterator[bytes]]]:
    yield "Redis", _redis(on)
    yield "logs", _files(on.home / "logs")
    yield "database", _database(on)
    yield "home (notes, spools)", _files(on.home, besides=("logs", "redis"))


def _redis(on: Stage) -> Iterator[bytes]:
    server = cast("Any", redis.Redis.from_url(on.client.settings.redis_url))
    for key in server.scan_iter():
        yield key
        yield from _READERS[server.type(key).decode()](server, key)


def _files(folder: Path, besides: tuple[str, ...] = ()) -> Iterator[bytes]:
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.is_file() and not path.is_socket() and inside[0] not in besides:
            yield path.read_bytes()


def _database(on: Stage) -> Iterator[bytes]:
    tables = MetaData()
    with on.client.store.read() as connection:
        tables.reflect(connection)
        for table in tables.sorted_tables:
            for row in connection.execute(select(table)):
                yield repr(tuple(row)).encode()
