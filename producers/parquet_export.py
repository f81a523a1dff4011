"""Records as a Parquet table: nested types; columns whose types do not agree hold JSON texts."""

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow

Record = dict[str, Any]
_BATCH_BYTES = 4 << 20
_STRUCT_FIELDS = 200
"""Objects with more different keys than this are kept as JSON in Parquet."""


def write_parquet(spool: IO[bytes], file: IO[bytes]) -> None:
    """Lines of JSON as a table: first learn what types all records agree on, then write.

    Written again if a column overflows.
    """
    columns = _Columns()
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
