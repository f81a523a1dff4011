"""Adopts the spools of dead processes: their answers are paid for, their open calls in doubt."""

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.exc import DBAPIError

from models.crashing import crash_point
from models.errors import StoreBusyError
from models.payloads import CallRecord, DoubtRecord, Usage
from models.store import calls, jobs
from models.store.engine import Store
from worker.ledger.sanitising import storable_call, storable_doubt
from worker.ledger.spool import SUFFIX

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Estate:
    """What a dead process left: paid answers and intents without an end."""

    paid: list[CallRecord] = field(default_factory=list)
    open_intents: dict[str, DoubtRecord] = field(default_factory=dict)

    def jobs(self) -> set[str]:
        """The jobs that made these calls."""
        paid = {record.job_id for record in self.paid}
        return paid | {doubt.job_id for doubt in self.open_intents.values()}

    def take(self, line: list[Any]) -> None:
        """Reads one spool line."""
        match line:
            case ["intent", nonce, key, job_id, model, cost_nano]:
                doubt = DoubtRecord(key, job_id, model, "crash", cost_nano, nonce)
                self.open_intents[nonce] = storable_doubt(doubt)
            case ["paid", nonce, record]:
                usage = Usage(**record.pop("usage"))
                self.paid.append(storable_call(CallRecord(**record, usage=usage)))
                self.open_intents.pop(nonce, None)
            case ["ended", nonce]:
                self.open_intents.pop(nonce, None)
            case _:  # a line of a newer version, or half a line
                pass


def adopt_orphans(store: Store, folder: Path) -> int:
    """Stores what dead processes of this home left in their spools; answers how many calls.

    A spool whose lock is held belongs to a living process and is left alone. Killed in the middle,
    adoption starts again: answers are stored once by key, doubts once by nonce.
    """
    total = 0
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    for owner, group in groupby(paths, key=lambda path: path.name.rsplit("-", 1)[0]):
        with _locked(list(group)) as ours:
            try:
                total += _adopt(store, ours)
            except (
                OSError,
                DBAPIError,
                StoreBusyError,
            ):  # this one stays for the next time, the others go on
                log.exception("the spool of %s could not be adopted", owner)
    return total


def _adopt(store: Store, paths: list[Path]) -> int:
    count = _store(store, read_estate(paths)) if paths else 0
    if paths:
        crash_point("spool.adopted")
    for path in paths:
        path.unlink(missing_ok=True)
    return count


def read_estate(paths: Iterable[Path]) -> Estate:
    """Reads a process's segments in order; a line cut by its death is skipped."""
    estate = Estate()
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            try:
                estate.take(orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
                continue
    return estate


def _store(store: Store, estate: Estate) -> int:
    with store.write() as connection:
        jobs.lock(connection, estate.jobs())
        calls.replay(connection, estate.paid)
        crash_point("spool.adopting")
        calls.doubt(connection, list(estate.open_intents.values()))
    if estate.paid or estate.open_intents:
        log.warning(
            "adopted a dead worker's spool: %d paid answers kept, %d calls were in flight",
            len(estate.paid),
            len(estate.open_intents),
        )
    return len(estate.paid)


@contextmanager
def _locked(paths: list[Path]) -> Iterator[list[Path]]:
    """The paths, locked, if every one of them is an orphan; else nothing."""
    descriptors: list[int] = []
    try:
        yield paths if _lock_all(paths, descriptors) else []
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _lock_all(paths: list[Path], descriptors: list[int]) -> bool:
    try:
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY))
            fcntl.flock(descriptors[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by its living owner, or just adopted by another process
        return False
    return all(path.exists() for path in paths)
