"""Models served on this machine by `maestrale models serve`: noted below the home, for workers.

One file per server, which only its owner may read. A note holds as long as the very process that
wrote it lives (it becomes the engine): nobody has to take it away, and the next server does.
"""

import ipaddress
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from models.births import born
from models.requests import SERVED_HERE
from models.whole_files import SECRET, write_whole

FOLDER = "serving"
_LARGEST = 64 * 1024
"""Bytes of a note; a larger file is none of ours."""


@dataclass(frozen=True, slots=True)
class Served:
    """One server. `models`: what it answers for, the tuned model first; `parallel`: requests that
    it answers at the same time; `base`: where its base stands: bases may share their names."""

    url: str
    models: tuple[str, ...]
    pid: int
    born: str
    parallel: int = 4
    base: str = ""

    def identity(self, model: str) -> str:
        """What its answers are known by: a tuned model's name is unique in its registry, a base's
        is not."""
        return SERVED_HERE if model == self.models[0] else f"{SERVED_HERE}: {self.base}"

    @property
    def is_alive(self) -> bool:
        """Whether the process that wrote the note is still there."""
        return bool(self.born) and born(self.pid) == self.born


def note(home: Path, port: int, models: tuple[str, ...], *, parallel: int, base: str = "") -> Path:
    """Notes that this very process serves on the port on loopback; answers the file.

    Notes of servers that have ended are taken away.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.glob("*.json"):
        if _read(path) is None:
            path.unlink(missing_ok=True)
    pid = os.getpid()
    told = Served(f"http://127.0.0.1:{port}", models, pid, born(pid), parallel, base)
    path = folder / f"{pid}.json"
    write_whole(path, json.dumps(asdict(told)), SECRET)
    return path


def serving(home: Path) -> list[Served]:
    """The servers of this home that are alive. What is no note of ours is passed over."""
    found = map(_read, sorted((home / FOLDER).glob("*.json")))
    return [one for one in found if one is not None]


def by_model(servers: list[Served]) -> dict[str, Served]:
    """Who answers for which model: for a tuned one its own server, for a base any."""
    found: dict[str, Served] = {}
    for at in range(max((len(one.models) for one in servers), default=0)):
        for name, server in _named(servers, at):
            found.setdefault(name, server)
    return found


def _named(servers: list[Served], at: int) -> Iterator[tuple[str, Served]]:
    return ((one.models[at], one) for one in servers if at < len(one.models))


def _read(path: Path) -> Served | None:
    """The note of a living server on loopback, or None."""
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_LARGEST))
        served = Served(
            url=_loopback(str(told["url"])),
            models=tuple(str(name) for name in told["models"]),
            pid=int(told["pid"]),
            born=str(told["born"]),
            parallel=max(1, int(told["parallel"])),
            base=str(told.get("base", "")),
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return served if served.is_alive else None


def _loopback(url: str) -> str:
    """The URL, if it leads to this machine by its address. Raises `ValueError` for any other."""
    parts = urlsplit(url)
    address = ipaddress.ip_address(parts.hostname or "")
    plain = f"http://[{address}]" if address.version == 6 else f"http://{address}"
    if not address.is_loopback or not parts.port or url != f"{plain}:{parts.port}":
        raise ValueError(f"{url} does not lead to this machine")
    return url
