"""Why a row was refused: the codes, the record kept of it, and excerpts that are safe to print."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.words import printable

EXCERPT_CHARS = 200
"""Longest excerpt of the user's data that leaves the reader."""

_MESSAGE_CHARS = 500


class RejectCode(StrEnum):
    """What is wrong with a row, by what its owner has to do about it."""

    BROKEN_JSON = "broken_json"
    """The line is not JSON; the message says in which column it stops being JSON."""
    TRUNCATED_LINE = "truncated_line"
    """The last line ends in mid-value, without a newline: the file was probably cut."""
    LONE_CR = "lone_cr"
    """Carriage returns without newlines stand in the line: line ends of another age."""
    INVALID_UTF8 = "invalid_utf8"
    """Bytes that are not UTF-8; never skipped or replaced, because that changes the text."""
    NUL = "nul"
    """A NUL, raw or as an escape: PostgreSQL stores no text that holds one."""
    CONTROL_CHARACTER = "control_character"
    """A C0 control other than tab, newline, return and form feed, raw or as an escape."""
    LONE_SURROGATE = "lone_surrogate"
    """Half of a UTF-16 pair (`\\ud800`): no text that any API can take."""
    LINE_TOO_LONG = "line_too_long"
    """The row is longer than `max_line_bytes`; it was skipped without being loaded."""
    TOO_LONG = "too_long"
    """What would be asked about the row has more tokens than the model takes."""
    TOO_DEEP = "too_deep"
    """Objects and lists are nested more than 100 deep."""
    NOT_FINITE = "not_finite"
    """NaN, Infinity or a number beyond a double's range: not JSON."""
    INTEGER_RANGE = "integer_range"
    """An integer outside -2^63..2^63-1: no database column holds it exactly."""
    DUPLICATE_KEY = "duplicate_key"
    """An object names a key twice; parsers would disagree about which counts."""
    NOT_AN_OBJECT = "not_an_object"
    """The line is JSON, but a list, a text or a number rather than an object."""
    MISSING_FIELD = "missing_field"
    """A required field is absent or null, or an empty cell of CSV where a prompt prints it; the
    message lists the fields present."""
    WRONG_TYPE = "wrong_type"
    """A value cannot be used as it is typed; the message gives its path."""
    BAD_VALUE = "bad_value"
    """A value is none that what is asked could do with: a label that the suite does not have."""
    BAD_ID = "bad_id"
    """The id is empty, longer than 256 characters, or holds control characters."""
    DUPLICATE_ID = "duplicate_id"
    """Left out by `on_duplicate`, because another row has the same id (after NFC)."""
    RAGGED_ROW = "ragged_row"
    """A CSV row with more or fewer cells than the header."""
    BROKEN_CSV = "broken_csv"
    """A CSV row whose quotes do not match up."""


class RowError(Exception):
    """A row is refused; caught by the readers and turned into a `Reject`."""

    def __init__(self, code: RejectCode, message: str, column: int = 0) -> None:
        self.message = printable(message, _MESSAGE_CHARS)
        super().__init__(self.message)
        self.code = code
        self.column = column


@dataclass(slots=True)
class Row:
    """One object as read. `line` counts from 1 (rows of Parquet); `offset`: its first byte."""

    line: int
    offset: int | None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """One refused row. `byte_offset`: where its line begins in the (unpacked) input, or None."""

    line: int
    byte_offset: int | None
    code: RejectCode
    message: str
    excerpt: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def reject_text(line: int, offset: int | None, error: RowError, text: str | bytes) -> Reject:
    """A reject with an excerpt of `text` around the column where reading it stopped."""
    start = max(0, error.column - EXCERPT_CHARS // 2)
    window = text[start : start + EXCERPT_CHARS]
    if isinstance(window, bytes):
        window = window.decode(errors="backslashreplace")
    return Reject(line, offset, error.code, error.message, printable(window))


def reject_row(row: Row, code: RejectCode, message: str) -> Reject:
    """A reject of what was read well but may not be used."""
    excerpt = printable(json.dumps(row.data, ensure_ascii=False, default=str)[:EXCERPT_CHARS])
    return Reject(row.line, row.offset, code, message, excerpt)


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Field names as a message shows them: quoted, printable, a dozen at most."""
    shown = [f"`{printable(name, 40)}`" for name in names]
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return (", ".join(shown[:limit]) or "none") + more


def repeated(names: Iterable[str]) -> str:
    """The first name that came before; an empty text where none did, or where it is that one."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
