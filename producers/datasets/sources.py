"""What a dataset is made from: files, read as every input is, and the records of jobs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from models.errors import BadInputError, NotFoundError
from models.store import rows as stored_rows
from models.words import printable
from producers.client import Maestrale
from producers.datasets.manifest import Origin
from producers.datasets.shaping import BrokenRowError, NotARowError, is_short
from producers.exports import provenance_path
from producers.readers import ReadOptions, ReadResult, read
from producers.readers.rejects import RejectCode

_NOT_META = ("id", "calls", "records", "records_count", "row_id")


@dataclass(frozen=True, slots=True)
class Found:
    """One row as it was found. `origin` goes into its `meta`; `place` names it in rejects."""

    data: dict[str, Any]
    place: str
    origin: dict[str, Any] = field(default_factory=dict)


class Sources:
    """Files and jobs, all checked before the first row is taken. Use it as a context."""

    def __init__(self, maestrale: Maestrale, options: ReadOptions) -> None:
        self._maestrale = maestrale
        self._options = options
        self._open = ExitStack()
        self._named: list[tuple[Origin, ReadResult | None, Path]] = []

    def __enter__(self) -> "Sources":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, source: str) -> None:
        """A file's path (`-`: stdin), or a job's id. Raises what reading and looking up raise."""
        if not _is_job(source):
            self._named.append(self._file(source))
            return
        job = self._maestrale.get(source)
        if not job.rows_done:
            raise BadInputError(f"{job.id} has no done rows: there is nothing to take from it")
        first = next(iter(self._maestrale.provenance(job.id)))
        origin = Origin(
            job=job.id,
            recipe=str(first.get("recipe", job.name)),
            recipe_hash=str(first.get("recipe_hash", "")),
        )
        self._named.append((origin, None, Path()))

    @property
    def origins(self) -> list[Origin]:
        """What was added; `rows` counts what was taken so far."""
        return [origin for origin, _, _ in self._named]

    def rows(self) -> Iterator[Found]:
        """All rows in the order of their sources."""
        for origin, found, path in self._named:
            taken = _of_file(found, path) if found else self._of_job(origin.job)
            for row in taken:
                origin.rows += 1
                yield row

    def unread(self) -> Iterator[tuple[str, NotARowError, str]]:
        """Lines that could not be read, or came twice as was allowed: where, why, excerpt."""
        for _, found, _ in self._named:
            for entry in _lines(found.rejects_path if found else None):
                place = f"{found.name if found else ''} line {entry['line']}"
                is_twice = entry["code"] == RejectCode.DUPLICATE_ID
                error = NotARowError if is_twice else BrokenRowError
                yield place, error(entry["code"], entry["message"]), entry["excerpt"]

    def _file(self, source: str) -> tuple[Origin, ReadResult, Path]:
        staging = self._maestrale.settings.home / "staging"
        found = self._open.enter_context(read(source, self._options, staging))
        origin = Origin(file=found.name, sha256=found.fingerprint, rejected=found.rejected)
        return origin, found, Path(source)

    def _of_job(self, job_id: str) -> Iterator[Found]:
        told = self._maestrale.provenance(job_id)
        with self._maestrale.store.read() as connection:
            given = stored_rows.inputs(connection, job_id)
            done = zip(self._maestrale.results(job_id), told, given, strict=True)
            for (row_id, records), entry, data in done:
                about = {**_short(data), "job": job_id, "row": row_id}
                yield from _records(row_id, records, entry, about)


def _is_job(source: str) -> bool:
    """Whether a source that may be both is a job: no such file, and it looks like an id."""
    if source == "-" or os.path.exists(source):  # noqa: PTH110 # of a name too long, false
        return False
    if source.startswith("job_") and "/" not in source and "." not in source:
        return True
    if "/" in source or "." in source:
        return False
    raise NotFoundError(f"there is no file and no job {printable(source)!r}: check the name")


def _records(
    row_id: str,
    records: list[dict[str, Any]],
    entry: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Iterator[Found]:
    """The records of one row of a job: called after the row, numbered if there are several."""
    told = _told(entry, len(records))
    for number, (record, more) in enumerate(zip(records, told, strict=True), 1):
        name = row_id if len(records) == 1 else f"{row_id}#{number}"
        yield Found({"id": name, **record}, f"row {row_id}", {**about, **more})


def _told(entry: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """What provenance says of each record, where it says it record by record."""
    found = entry.get("records")
    if isinstance(found, list) and len(found) == count:
        return [one if isinstance(one, dict) else {} for one in found]
    return [{}] * count


def _of_file(found: ReadResult, path: Path) -> Iterator[Found]:
    beside = _beside(path, found)
    for number, staged in enumerate(found.rows()):
        data = {**staged.data, "id": staged.row_id} if "id" in staged.data else staged.data
        origin = {}
        if beside is not None:
            origin = beside[number] if staged.data.get("id") is None else {}
            data = {"id": origin.get("id"), **data} if origin else data
            origin = {name: value for name, value in origin.items() if name != "id"}
        yield Found(data, f"{found.name} line {staged.line}", origin)


def _beside(path: Path, found: ReadResult) -> list[dict[str, Any]] | None:
    """What the provenance file of an export tells of each of its lines; None if there is none.

    It is used only where it fits: one entry per row, and as many records as the file has lines.
    """
    side = provenance_path(path)
    if found.rejected or found.generated_ids != found.accepted or not side.is_file():
        return None
    try:
        told = [about for entry in _lines(side) for about in _of_entry(entry)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return told if len(told) == found.accepted else None


def _lines(path: Path | None) -> Iterator[dict[str, Any]]:
    """The objects of a file of JSON lines that is ours."""
    if path is not None:
        with path.open("rb") as lines:
            yield from map(orjson.loads, lines)


def _of_entry(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    row_id, count = str(entry["row_id"]), int(entry["records_count"])
    for number, more in enumerate(_told(entry, count), 1):
        name = row_id if count == 1 else f"{row_id}#{number}"
        yield {**_short(entry), **more, "id": name, "row": row_id}


def _short(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in data.items() if name not in _NOT_META and is_short(value)
    }
