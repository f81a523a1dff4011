"""Records to `chat`, `jsonl`, `csv` or `parquet`: whole files or none, in constant memory.

A file is written beside its final name and moved there when it is whole. CSV and Parquet need to
know all records' fields first, so records pass through an anonymous file in the same folder.
"""

import csv
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

import orjson

from models.crashing import crash_point
from models.errors import BadInputError, SetupError
from models.whole_files import draft_of
from producers.conversations import check_chat
from producers.parquet_export import write_parquet
from producers.spreadsheets import disarmed

Record = dict[str, Any]
_PROVENANCE, _SUFFIXES = ".provenance.jsonl", (".jsonl", ".csv", ".parquet", ".json")


class ExportFormat(StrEnum):
    """What records can be exported as."""

    CHAT = "chat"
    """JSON lines of `{"messages": [...]}`, checked: what fine-tuning takes."""
    JSONL = "jsonl"
    """JSON lines of any objects."""
    CSV = "csv"
    """A table with a header; nested values as JSON, texts that look like formulas disarmed."""
    PARQUET = "parquet"
    """A table with nested types; columns whose types do not agree hold JSON texts."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. `rows`: inputs with at least one record."""

    path: Path
    rows: int
    records: int


def export(
    rows: Iterable[tuple[str, list[Record]]],
    path: str | Path,
    form: ExportFormat | str,
    *,
    overwrite: bool = False,
) -> Exported:
    """Write each row's records to `path`, in order; on any error `path` is as it was before.

    Raises `BadInputError` for an unusable path or record, `SetupError` for a full disk.
    """
    form = _format(form)
    target = check_target(path, overwrite=overwrite)
    tally = _Tally(form)
    with replacing(target, overwrite=overwrite) as file:
        lines = tally.lines(rows)
        match form:
            case ExportFormat.CHAT | ExportFormat.JSONL:
                file.writelines(lines)
            case ExportFormat.CSV:
                _write_csv(lines, file, target.parent)
            case ExportFormat.PARQUET:
                with _spooled(lines, target.parent) as spool:
                    write_parquet(spool, file)
    return Exported(target, tally.rows, tally.records)


def write_provenance(
    entries: Iterable[Record], path: str | Path, *, overwrite: bool = False
) -> Exported:
    """Write one line per entry to the side file of the export at `path`."""
    rows = ((str(place), [entry]) for place, entry in enumerate(entries, 1))
    return export(rows, provenance_path(path), ExportFormat.JSONL, overwrite=overwrite)


def provenance_path(path: str | Path) -> Path:
    """The side file of an export: `train.jsonl` -> `train.provenance.jsonl`."""
    if not (path := Path(path)).name:
        raise BadInputError(f"{str(path)!r} is a folder: give the name of a file")
    return path.with_name((path.stem if path.suffix in _SUFFIXES else path.name) + _PROVENANCE)


def check_target(path: str | Path, *, overwrite: bool = False) -> Path:
    """The absolute path to write to, links followed. Ask before anything is paid for.

    Raises `BadInputError` if it cannot be written, or is there and `overwrite` is false.
    """
    try:
        target = Path(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
        raise BadInputError(f"{str(path)!r} is no path to write to: {error}") from error
    if not target.parent.is_dir():
        raise BadInputError(f"there is no folder {target.parent}: make it first")
    if not os.access(target.parent, os.W_OK):
        raise BadInputError(f"the folder {target.parent} may not be written by you")
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise BadInputError(f"{target} is not a regular file: choose another path")
        if not overwrite:
            raise BadInputError(f"{target} is there already: take another path, or --overwrite")
    return target


class _Tally:
    """Turns records into JSON lines, checking and counting them."""

    def __init__(self, form: ExportFormat) -> None:
        self._form = form
        self.rows = self.records = 0

    def lines(self, rows: Iterable[tuple[str, list[Record]]]) -> Iterator[bytes]:
        """One line per record."""
        for row_id, records in rows:
            self.rows += bool(records)
            for record in records:
                self.records += 1
                yield self._line(row_id, record)

    def _line(self, row_id: str, record: Record) -> bytes:
        if self._form is ExportFormat.CHAT:
            check_chat(record, row_id)
        try:
            return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError as error:
            raise BadInputError(f"row {row_id!r} cannot be written as JSON: {error}") from error


def _format(form: ExportFormat | str) -> ExportFormat:
    try:
        return ExportFormat(form)
    except ValueError as error:
        raise BadInputError(
            f"there is no export format {form!r}: choose one of {', '.join(ExportFormat)}"
        ) from error


@contextmanager
def replacing(target: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """A new file that takes the target's place when the block ends well, and vanishes if not."""
    draft = draft_of(target)
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        crash_point("export.drafted")
        _move(draft, target, overwrite=overwrite)
    except OSError as error:
        raise SetupError(
            f"{target} cannot be written ({error.strerror or error}): free some space or choose "
            "another folder"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _move(draft: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        draft.replace(target)
        return
    try:
        target.hardlink_to(draft)  # unlike a rename it fails if a file has come in the meantime
    except FileExistsError as error:
        raise BadInputError(f"{target} has come into being meanwhile: it was kept") from error
    except OSError:  # no hard links on this file system
        draft.replace(target)


@contextmanager
def _spooled(lines: Iterable[bytes], folder: Path) -> Iterator[IO[bytes]]:
    """All lines in an anonymous file, at its start."""
    with tempfile.TemporaryFile(dir=folder) as spool:
        spool.writelines(lines)
        spool.seek(0)
        yield spool


def _write_csv(lines: Iterable[bytes], file: IO[bytes], folder: Path) -> None:
    """The header is the union of the records' fields, in the order in which they first came."""
    columns: dict[str, None] = {}
    with _spooled(_noting_fields(lines, columns), folder) as spool:
        text = TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text)
        if columns:
            writer.writerow([_cell(column) for column in columns])
        for line in spool:
            record = orjson.loads(line)
            writer.writerow([_cell(record.get(column)) for column in columns])
        text.flush()
        text.detach()


def _noting_fields(lines: Iterable[bytes], columns: dict[str, None]) -> Iterator[bytes]:
    for line in lines:
        columns.update(dict.fromkeys(orjson.loads(line)))
        yield line


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return disarmed(value)
        case _:
            return orjson.dumps(value).decode()
