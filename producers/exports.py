"""Records to `chat`, `jsonl`, `csv` or `parquet`: whole files or none, in constant memory.

A file is written beside its final name and moved there when it is whole. CSV and Parquet need to
know all records' fields first, so records pass through an anonymous file in the same folder.
"""

import csv
import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from models.errors import BadInputError, SetupError
from producers.spreadsheets import disarmed

if TYPE_CHECKING:
    import pyarrow

Record = dict[str, Any]
_PROVENANCE, _SUFFIXES = ".provenance.jsonl", (".jsonl", ".csv", ".parquet", ".json")
ROLES = ("system", "user", "assistant", "tool")
_BATCH_BYTES = 4 << 20
_STRUCT_FIELDS = 200
"""Objects with more different keys than this are kept as JSON in Parquet."""


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
                _write_parquet(lines, file, target.parent)
    return Exported(target, tally.rows, tally.records)


def write_provenance(
    entries: Iterable[Record], path: str | Path, *, overwrite: bool = False
) -> Exported:
    """Write one line per entry to the side file of the export at `path`."""
    rows = ((str(place), [entry]) for place, entry in enumerate(entries, 1))
    return export(rows, provenance_path(path), ExportFormat.JSONL, overwrite=overwrite)


def provenance_path(path: str | Path) -> Path:
    """The side file of an export: `train.jsonl` -> `train.provenance.jsonl`."""
    path = Path(path)
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
            raise BadInputError(f"{target} is there already: take another path, or --overwrite it")
    return target


def check_chat(record: Record, row_id: str) -> None:
    """Raise `BadInputError` unless the record is a conversation that can be trained on."""
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _not_chat(row_id, "`messages` is not a list with messages")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]", row_id)
    if messages[-1]["role"] != "assistant":
        raise _not_chat(row_id, f"the last message is by `{messages[-1]['role']}`, not `assistant`")


def _check_message(message: object, path: str, row_id: str) -> None:
    if not isinstance(message, dict):
        raise _not_chat(row_id, f"`{path}` is not an object")
    if message.get("role") not in ROLES:
        raise _not_chat(row_id, f"`{path}.role` is {message.get('role')!r}")
    content = message.get("content")
    if not isinstance(content, str | list | None):
        raise _not_chat(row_id, f"`{path}.content` is neither a text nor a list")
    if isinstance(content, str) and not content.strip():
        content = None
    if not content and not message.get("tool_calls"):
        raise _not_chat(row_id, f"`{path}.content` is empty")


def _not_chat(row_id: str, problem: str) -> BadInputError:
    return BadInputError(
        f"row {row_id!r} cannot be exported as chat: {problem}; "
        "mend the recipe's output, or export as jsonl"
    )


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
    draft = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
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


def _write_parquet(lines: Iterable[bytes], file: IO[bytes], folder: Path) -> None:
    """First learn what types all records agree on, then write; again if a column overflows."""
    columns = _Columns()
    with _spooled(lines, folder) as spool:
        for batch in _batches(spool):
            columns.widen(batch)
        while (clash := _write_table(spool, file, columns)) is not None:
            columns.types[clash] = None


def _write_table(spool: IO[bytes], file: IO[bytes], columns: "_Columns") -> str | None:
    """Write all batches anew; the name of the column whose values did not fit, or None."""
    from pyarrow import parquet  # noqa: PLC0415 # as below

    file.seek(0)
    file.truncate()
    try:
        with parquet.ParquetWriter(file, columns.schema(), compression="zstd") as writer:
            for batch in _batches(spool):
                writer.write_batch(columns.batch(batch))
    except _ClashError as clash:
        return str(clash)
    return None


def _batches(spool: IO[bytes]) -> Iterator[list[Record]]:
    """All records from the start, some megabytes of JSON at a time."""
    spool.seek(0)
    while lines := spool.readlines(_BATCH_BYTES):
        yield [orjson.loads(line) for line in lines]


class _ClashError(Exception):
    """The values of the column named do not fit the type learnt for it."""


class _Columns:
    """Names and types of a table's columns; the type None means: JSON texts."""

    def __init__(self) -> None:
        import pyarrow  # noqa: PLC0415 # 0.3 s that other formats need not pay for

        self.types: dict[str, pyarrow.DataType | None] = {}
        self._arrow = pyarrow

    def widen(self, records: list[Record]) -> None:
        """Make the types wide enough for these records, or give them up."""
        for name in dict.fromkeys(name for record in records for name in record):
            known = self.types.setdefault(name, self._arrow.null())
            if known is not None:
                self.types[name] = self._unified(known, [record.get(name) for record in records])

    def schema(self) -> "pyarrow.Schema":
        """The table's schema; columns that are null throughout count as texts."""
        return self._arrow.schema([(name, self._type_of(name)) for name in self.types])

    def batch(self, records: list[Record]) -> "pyarrow.RecordBatch":
        """These records under the schema. Raises `_ClashError`."""
        arrays = [
            self._array(name, [record.get(name) for record in records]) for name in self.types
        ]
        return self._arrow.RecordBatch.from_arrays(arrays, schema=self.schema())

    def _type_of(self, name: str) -> "pyarrow.DataType":
        kind = self.types[name]
        return self._arrow.string() if kind in (None, self._arrow.null()) else kind

    def _array(self, name: str, values: list[object]) -> "pyarrow.Array":
        if self.types[name] is None:
            values = [None if value is None else orjson.dumps(value).decode() for value in values]
        try:
            return self._arrow.array(values, type=self._type_of(name))
        except (self._arrow.ArrowException, OverflowError) as error:
            raise _ClashError(name) from error

    def _unified(
        self, known: "pyarrow.DataType", values: list[object]
    ) -> "pyarrow.DataType | None":
        """The narrowest type for what is known and these values; None if there is none."""
        if len({type(value) is bool for value in values if value is not None}) > 1:
            return None  # pyarrow would take true for 1.0
        try:
            found = self._arrow.array(values).type
            schemas = [self._arrow.schema([("", kind)]) for kind in (known, found)]
            both = self._arrow.unify_schemas(schemas, promote_options="permissive")
        except (self._arrow.ArrowException, OverflowError):
            return None
        return both.types[0] if _is_storable(both.types[0]) else None


def _is_storable(kind: "pyarrow.DataType") -> bool:
    """Whether Parquet has the type: no empty struct, and none so wide that its keys are data."""
    if str(kind).startswith("struct<") and not 0 < kind.num_fields <= _STRUCT_FIELDS:
        return False
    return all(_is_storable(kind.field(place).type) for place in range(kind.num_fields))
