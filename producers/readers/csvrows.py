"""CSV with a header: delimiter sniffed, quoted newlines, every cell a text."""

import csv
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

from models.errors import RejectedFileError
from models.words import printable
from producers.readers.detecting import sniff_delimiter
from producers.readers.jsonlines import BOM, Line, check_length, invalid_utf8, lines
from producers.readers.rejects import (
    Reject,
    RejectCode,
    Row,
    RowError,
    reject_text,
    repeated,
)

NO_VALUE = frozenset(
    {"NaN", "nan", "NULL", "#N/A", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"}
)
"""Cells that spreadsheets and data frames write for "nothing"; read as None. Empty cells are
empty texts: CSV cannot tell; of a field that must be filled they are a missing value."""
MOST_COLUMNS = 10_000
"""A line of four million commas would otherwise be as many names."""
_MARK = BOM.decode()


class _Feed:
    """Lines as texts for `csv.reader`, with the place and the size of the record being read."""

    def __init__(self, stream: BufferedReader, max_bytes: int) -> None:
        self._lines = lines(stream, max_bytes)
        self._max_bytes = max_bytes
        self.start: Line | None = None
        self.start_text = ""
        self._size = 0
        self._fault: RowError | None = None

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._size += line.length
        self.start = self.start or line
        try:
            check_length(line, self._max_bytes)
            text = line.content.decode()
            text = text if line.offset else text.lstrip(_MARK)
        except UnicodeDecodeError as error:
            self._fault = self._fault or invalid_utf8(error)
            text = line.content.decode(errors="replace")
        if self._size > self._max_bytes:
            raise RowError(
                RejectCode.LINE_TOO_LONG,
                f"the record is longer than {self._max_bytes:,} bytes: is a quote not closed?",
            )
        self.start_text = self.start_text or text
        return text

    def begin(self) -> None:
        """The next line begins a record."""
        self.start, self.start_text, self._size, self._fault = None, "", 0, None

    def check(self) -> None:
        """Raise what was wrong with the bytes of the record just read."""
        if self._fault:
            raise self._fault


def read_csv(
    stream: BufferedReader, head: bytes, name: str, max_bytes: int
) -> Iterator[Row | Reject | None]:
    """Rows by the header's names, rejects, and None for blank lines."""
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))  # global; its 128 KiB are few
    feed = _Feed(stream, max_bytes)
    delimiter = sniff_delimiter(head.removeprefix(BOM).decode(errors="replace")) or ","
    records = csv.reader(feed, delimiter=delimiter, strict=True)
    header = _header(records, feed, name)
    while True:
        feed.begin()
        try:
            cells = next(records)
            feed.check()
            yield _row(header, cells, feed)
        except StopIteration:
            return
        except (csv.Error, RowError) as error:
            yield _reject(error, feed)


def _header(records: Iterator[list[str]], feed: _Feed, name: str) -> list[str]:
    """Names of the columns; `column_<n>` for those without (pandas writes its index so)."""
    try:
        cells = next((cells for cells in records if cells), [])
        feed.check()
    except (csv.Error, RowError) as error:
        raise RejectedFileError(f"the header of {name} cannot be read: {error}") from error
    if len(cells) > MOST_COLUMNS:
        raise RejectedFileError(
            f"the header of {name} has {len(cells)} columns, and {MOST_COLUMNS} is the most: "
            "is this a CSV file with a line for each row?"
        )
    names = [_named_as(cell) or f"column_{place}" for place, cell in enumerate(cells, 1)]
    if twice := repeated(names):
        raise RejectedFileError(
            f"the header of {name} names `{printable(twice, 40)}` twice: rename one"
        )
    return names


def _named_as(cell: str) -> str:
    """Without the byte order mark that a program took for a part of the first name, quotes and
    all, and wrote again."""
    name = cell.strip()
    return name.lstrip(_MARK).strip('"') if name.startswith(_MARK) else name


def _row(header: list[str], cells: list[str], feed: _Feed) -> Row | None:
    assert feed.start
    if not any(cells) and len(cells) <= 1:
        return None
    if len(cells) != len(header):
        raise RowError(
            RejectCode.RAGGED_ROW, f"{len(cells)} cells where the header has {len(header)}"
        )
    data: dict[str, Any] = {
        column: None if cell in NO_VALUE else cell
        for column, cell in zip(header, cells, strict=True)
    }
    return Row(feed.start.number, feed.start.offset, data)


def _reject(error: csv.Error | RowError, feed: _Feed) -> Reject:
    assert feed.start
    if isinstance(error, csv.Error):
        error = _named(error, feed.start)
    return reject_text(feed.start.number, feed.start.offset, error, feed.start_text)


def _named(error: csv.Error, start: Line) -> RowError:
    """The csv module's complaint under our codes."""
    words = str(error)
    if "end of data" in words:
        return RowError(
            RejectCode.TRUNCATED_LINE,
            f"a quote opened in line {start.number} is not closed before the file ends",
        )
    if "new-line character" in words:
        return RowError(
            RejectCode.LONE_CR,
            "it holds carriage returns without newlines: convert it with tr '\\r' '\\n'",
        )
    return RowError(RejectCode.BROKEN_CSV, f"the quotes do not match up: {words}")
