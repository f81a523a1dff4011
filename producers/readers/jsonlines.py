"""JSON lines: one object a line, read with bounded memory and without forgiving anything.

orjson is quick, but keeps the last of two equal keys and turns large integers into floats. So its
word is taken only where it can be proved (see `_parse_quickly`); else the standard library parses,
which can tell of all that, and in which column.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Any, NoReturn

import orjson

from models.words import printable
from producers.readers.rejects import (
    Reject,
    RejectCode,
    Row,
    RowError,
    reject_text,
    repeated,
)

BOM = b"\xef\xbb\xbf"
MAX_DEPTH = 100
_INTEGER_DIGITS = 20
_MAC_HINT = "it holds carriage returns without newlines: convert it with tr '\\r' '\\n'"


@dataclass(slots=True)
class Line:
    """One line without its end. `whole`: it had a newline; `length` counts what was skipped."""

    number: int
    offset: int
    content: bytes
    length: int
    whole: bool


def lines(stream: BufferedReader, max_bytes: int) -> Iterator[Line]:
    """Lines ended by LF alone; of a line above `max_bytes` only the first KiB is kept."""
    number = offset = 0
    while content := stream.readline(max_bytes + 2):
        number += 1
        length, whole = len(content), content.endswith(b"\n")
        if not whole and length > max_bytes + 1:
            content = content[:1024]
            skipped, whole = _skip_line(stream)
            length += skipped
        yield Line(number, offset, content, length, whole)
        offset += length


def _skip_line(stream: BufferedReader) -> tuple[int, bool]:
    skipped = 0
    while piece := stream.readline(1 << 18):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            return skipped, True
    return skipped, False


def read_json_lines(stream: BufferedReader, max_bytes: int) -> Iterator[Row | Reject | None]:
    """Rows and rejects in the order of the lines; None for a blank line."""
    for line in lines(stream, max_bytes):
        content = line.content.removeprefix(BOM)  # also where files were concatenated
        if not content.strip():
            yield None
            continue
        try:
            check_length(line, max_bytes)
            yield Row(line.number, line.offset, parse_object(content))
        except RowError as error:
            yield reject_text(line.number, line.offset, _explained(error, line), content)


def check_length(line: Line, max_bytes: int) -> None:
    """Refuse a line that was skipped for its length."""
    if line.length - line.whole > max_bytes:
        hint = f"; {_MAC_HINT}" if b"\r" in line.content.rstrip(b"\r\n") else ""
        raise RowError(
            RejectCode.LINE_TOO_LONG,
            f"the line is {line.length:,} bytes long; {max_bytes:,} are allowed{hint}",
        )


def _explained(error: RowError, line: Line) -> RowError:
    """The error with what the line's surroundings tell: cut at the end, or old line ends."""
    if error.code is not RejectCode.BROKEN_JSON:
        return error
    if b"\r" in line.content.rstrip(b"\r\n"):
        return RowError(RejectCode.LONE_CR, f"{error.message}; {_MAC_HINT}", error.column)
    if not line.whole:
        return RowError(
            RejectCode.TRUNCATED_LINE,
            f"the file ends in the middle of this line ({error.message}): was it cut?",
            error.column,
        )
    return error


def parse_object(content: bytes) -> dict[str, Any]:
    """One line's object. Raises `RowError`; surrogates and escapes are looked at later."""
    value = _parse_quickly(content)
    if value is None:
        value = _parse_strictly(content)
    if type(value) is not dict:
        raise RowError(RejectCode.NOT_AN_OBJECT, f"the line is {kind_of(value)}, not an object")
    if content.count(b"{") + content.count(b"[") > MAX_DEPTH:
        check_depth(value)
    return value


def _parse_quickly(content: bytes) -> object:
    """What orjson reads, if it would write the same bytes again (but for spaces); else None.

    Taking the spaces out of valid JSON changes neither its tokens' number nor their order. If both
    texts then are equal, no key was dropped and no number changed: nothing is wrong with the line.
    """
    if b"\\u" in content:  # orjson would write the character itself: trying only costs time
        return None
    try:
        value = orjson.loads(content)
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)  # 53 bits, or strictly
    except (ValueError, TypeError):
        return None
    same = written.translate(None, b" ") == content.translate(None, b" \t\r\n")
    return value if same else None


def _parse_strictly(content: bytes) -> object:
    if b"\0" in content:
        at = content.index(b"\0")
        raise RowError(RejectCode.NUL, f"a NUL byte stands at byte {at + 1} of the line", at)
    try:
        return _DECODER.decode(content.decode())
    except UnicodeDecodeError as error:
        raise invalid_utf8(error) from error
    except json.JSONDecodeError as error:
        raise _broken(error) from error
    except RecursionError as error:
        raise too_deep() from error


def invalid_utf8(error: UnicodeDecodeError) -> RowError:
    """The error for bytes that are not UTF-8, with the place of the first."""
    byte = error.object[error.start]
    return RowError(
        RejectCode.INVALID_UTF8,
        f"byte {error.start + 1} of the line (0x{byte:02x}) is not UTF-8",
        error.start,
    )


def too_deep() -> RowError:
    """The error for nesting beyond `MAX_DEPTH`."""
    return RowError(RejectCode.TOO_DEEP, f"objects are nested more than {MAX_DEPTH} deep")


def check_depth(value: object) -> None:
    """Refuse what is nested more than `MAX_DEPTH` deep; walks level by level, not recursively."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item)]
        if not level:
            return
    raise too_deep()


def _children(value: object) -> list[object]:
    """The containers directly inside a container."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in inside if isinstance(child, dict | list)]


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def kind_of(value: object) -> str:
    """A value's JSON type in words."""
    return _KINDS.get(type(value), type(value).__name__)


def _broken(error: json.JSONDecodeError) -> RowError:
    if error.msg.startswith("Invalid control character"):
        character = printable(error.doc[error.pos])
        return RowError(
            RejectCode.LONE_CR if character == "\\r" else RejectCode.CONTROL_CHARACTER,
            f"a bare {character} stands in a text in column {error.pos + 1}",
            error.pos,
        )
    return RowError(
        RejectCode.BROKEN_JSON, f"not JSON in column {error.pos + 1}: {error.msg}", error.pos
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    twice = repeated(key for key, _ in pairs)
    raise RowError(RejectCode.DUPLICATE_KEY, f"the key `{printable(twice, 40)}` occurs twice")


def _integer(digits: str) -> int:
    if len(digits) <= _INTEGER_DIGITS and -(2**63) <= (value := int(digits)) < 2**63:
        return value
    raise RowError(
        RejectCode.INTEGER_RANGE,
        f"the integer {digits[:24]} does not fit into 64 bits: write it as a text",
    )


def _float(digits: str) -> float:
    if math.isfinite(value := float(digits)):
        return value
    raise RowError(RejectCode.NOT_FINITE, f"the number {digits[:24]} is too large for a double")


def _constant(name: str) -> NoReturn:
    raise RowError(RejectCode.NOT_FINITE, f"{name} is not JSON: write null, or leave it out")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
