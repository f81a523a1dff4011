"""Parquet, streamed by record batches; what JSON cannot say is converted or refused with its path.

Decimals, UUIDs, dates and times become texts (ISO 8601), durations seconds, NaN null, maps objects,
bytes texts if they are UTF-8. Nanoseconds are cut to microseconds.
"""

import datetime
import decimal
import math
import uuid
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from models.errors import RejectedFileError
from models.words import printable
from producers.readers.jsonlines import MAX_DEPTH, too_deep
from producers.readers.rejects import (
    Reject,
    RejectCode,
    Row,
    RowError,
    listed,
    reject_row,
    repeated,
)
from producers.readers.unpacking import FREE_BYTES

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

_BATCH_ROWS = 512


def read_parquet(
    chunks: Iterator[bytes], scratch: IO[bytes], name: str, max_ratio: float
) -> Iterator[Row | Reject | None]:
    """Rows counted from 1. The bytes go through `scratch` (closed here), as Parquet needs to seek.

    Raises `RejectedFileError` for what is not whole or not Parquet.
    """
    import pyarrow  # noqa: PLC0415 # 0.3 s that JSON lines need not pay for
    from pyarrow import parquet  # noqa: PLC0415 # as above

    number = 1
    with scratch:
        for chunk in chunks:
            scratch.write(chunk)
        scratch.seek(0)
        try:
            file = parquet.ParquetFile(scratch, coerce_int96_timestamp_unit="us")
            _check_shape(file, name, max_ratio)
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                yield from _rows(_without_nanoseconds(batch), number)
                number += batch.num_rows
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise RejectedFileError(
                f"{name} cannot be read as Parquet: {printable(str(error))}"
            ) from error


def _check_shape(file: "parquet.ParquetFile", name: str, max_ratio: float) -> None:
    """Refuse two columns of one name, and files that claim to unpack to too much."""
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        raise RejectedFileError(
            f"{name} has two columns called {listed([repeated(names)])}: rename one"
        )
    groups = (file.metadata.row_group(place) for place in range(file.num_row_groups))
    packed = sum(
        group.column(place).total_compressed_size
        for group in groups
        for place in range(group.num_columns)
    )
    unpacked = sum(
        file.metadata.row_group(place).total_byte_size for place in range(file.num_row_groups)
    )
    if unpacked > max(FREE_BYTES, packed * max_ratio):
        raise RejectedFileError(f"{name} unpacks to more than {max_ratio:g} times its size")


def _without_nanoseconds(batch: "pyarrow.RecordBatch") -> "pyarrow.RecordBatch":
    """The batch with its columns of nanoseconds cut to microseconds, which Python can hold."""
    import pyarrow  # noqa: PLC0415 # 0.3 s, as in `read_parquet`

    columns = [column.cast(_in_microseconds(column.type), safe=False) for column in batch.columns]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _in_microseconds(kind: "pyarrow.DataType") -> "pyarrow.DataType":
    import pyarrow  # noqa: PLC0415 # 0.3 s, as in `read_parquet`

    if getattr(kind, "unit", "") != "ns":
        return kind
    if pyarrow.types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz)
    return pyarrow.time64("us") if pyarrow.types.is_time64(kind) else pyarrow.duration("us")


def _rows(batch: "pyarrow.RecordBatch", number: int) -> Iterator[Row | Reject]:
    for place, values in enumerate(batch.to_pylist(), number):
        row = Row(place, None, values)
        try:
            row.data = {key: to_json(value, key) for key, value in values.items()}
            yield row
        except RowError as error:
            yield reject_row(row, error.code, error.message)


def to_json(value: object, path: str, depth: int = 2) -> object:
    """A Parquet value as JSON knows it. Raises `RowError` with the path of what it cannot be."""
    if depth > MAX_DEPTH:
        raise too_deep()
    match value:
        case dict():
            return _object(list(value.items()), path, depth)
        case list() if value and isinstance(value[0], tuple):  # a map
            return _object(value, path, depth)
        case list():
            return [to_json(child, f"{path}[{n}]", depth + 1) for n, child in enumerate(value)]
        case _:
            return _scalar(value, path)


def _object(pairs: list[tuple[object, object]], path: str, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, child in pairs:
        if not isinstance(key, str):
            raise RowError(RejectCode.WRONG_TYPE, f"`{path}` is a map whose keys are not texts")
        if key in found:
            raise RowError(RejectCode.DUPLICATE_KEY, f"`{path}` has the key `{key[:40]}` twice")
        found[key] = to_json(child, f"{path}.{key}", depth + 1)
    return found


def _scalar(value: object, path: str) -> object:
    match value:
        case None | bool() | str():
            return value
        case int():
            return _integer(value, path)
        case float():
            return _float(value, path)
        case bytes():
            return _text(value, path)
        case datetime.timedelta():
            return value.total_seconds()
        case _:
            return _spelt(value, path)


def _spelt(value: object, path: str) -> str:
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case _:
            raise RowError(
                RejectCode.WRONG_TYPE, f"`{path}` is {type(value).__name__}, which JSON cannot say"
            )


def _text(value: bytes, path: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise RowError(
            RejectCode.WRONG_TYPE,
            f"`{path}` holds bytes that are not UTF-8 (byte {error.start + 1}): drop the column, "
            "or write it in base64",
        ) from error


def _integer(value: int, path: str) -> int:
    if -(2**63) <= value < 2**63:
        return value
    raise RowError(RejectCode.INTEGER_RANGE, f"`{path}` is {value}, which does not fit 64 bits")


def _float(value: float, path: str) -> float | None:
    if math.isinf(value):
        raise RowError(RejectCode.NOT_FINITE, f"`{path}` is infinite, which JSON cannot say")
    return None if math.isnan(value) else value
