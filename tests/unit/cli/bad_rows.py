"""FAULTS.md's list of bad input, a file for each entry: what is in it, and what has to come of it.

Every file has thirty good rows that any command can use; most have one bad line among them.
"""

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import zstandard

GOOD = 30
BAD_LINE = 16
"""Where the bad line stands, unless it is the last."""


@dataclass(frozen=True)
class Bad:
    """One entry. `code`: of its one reject; `words`: the file is refused, and they say why;
    neither: it only looks wrong, and `rows` are taken."""

    content: bytes
    code: str = ""
    words: str = ""
    rows: int = GOOD
    line: int = BAD_LINE


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A row for whoever asks: a text, a label, a conversation, an answer."""
    said = [("user", f"question {number}"), ("assistant", f"answer {number}")]
    return {
        "id": f"r{number}",
        "text": f"text {number}",
        "label": "happy",
        "answer": f"answer {number}",
        "messages": [{"role": role, "content": content} for role, content in said],
        **changes,
    }


def lines(rows: list[dict[str, Any]]) -> bytes:
    """As JSON lines."""
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows).encode()


ROWS = [row(number) for number in range(GOOD)]
WHOLE = lines(ROWS)
_HALF = BAD_LINE - 1


def among(line: bytes | str) -> bytes:
    """The good rows with this line in their midst."""
    middle = line if isinstance(line, bytes) else line.encode()
    return lines(ROWS[:_HALF]) + middle + b"\n" + lines(ROWS[_HALF:])


def more(field: str) -> bytes:
    """The same, of a row that is good but for one more field, as it is written."""
    return among(json.dumps(row(99))[:-1] + ", " + field + "}")


def _zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    return stream.getvalue()


def _other(**changes: Any) -> bytes:
    return among(json.dumps(row(99, **changes), ensure_ascii=False))


_ARRAY = json.dumps(ROWS).encode()
FILES: Mapping[str, Bad] = {
    "broken JSON line": Bad(among('{"id": "r99", '), "broken_json"),
    "truncated last line": Bad(WHOLE + b'{"id": "r99", "te', "truncated_line", line=GOOD + 1),
    "UTF-8 BOM": Bad(b"\xef\xbb\xbf" + WHOLE),
    "UTF-16": Bad(WHOLE.decode().encode("utf-16"), words="UTF-16"),
    "UTF-32": Bad(WHOLE.decode().encode("utf-32"), words="UTF-32"),
    "invalid UTF-8": Bad(more('"x": "?"').replace(b"?", b"\xff"), "invalid_utf8"),
    "CRLF": Bad(WHOLE.replace(b"\n", b"\r\n")),
    "lone CR": Bad(WHOLE.replace(b"\n", b"\r"), words="carriage returns"),
    "NUL": Bad(more(r'"x": "\u0000"'), "nul"),
    "C0 control": Bad(more(r'"x": "\u001b"'), "control_character"),
    "lone surrogate": Bad(more(r'"x": "\ud800"'), "lone_surrogate"),
    "U+2028": Bad(_other(note="a\u2028b"), rows=GOOD + 1),
    "line above 4 MB": Bad(more('"x": "' + "y" * (5 << 20) + '"'), "line_too_long"),
    "nesting 100k deep": Bad(more('"x": ' + "[" * 100_000 + "]" * 100_000), "too_deep"),
    "NaN": Bad(more('"x": NaN'), "not_finite"),
    "Infinity": Bad(more('"x": -Infinity'), "not_finite"),
    "int > 2^63": Bad(more('"x": 9223372036854775808'), "integer_range"),
    "duplicate key": Bad(more('"text": "again"'), "duplicate_key"),
    "row not an object": Bad(among("[1, 2]"), "not_an_object"),
    "duplicate ids": Bad(among(json.dumps(ROWS[0])), words="the same id"),
    "ids that collide after NFC": Bad(
        lines([*ROWS, row(98, id="\u00e9"), row(99, id="e\u0301")]), words="the same id"
    ),
    "unknown fields": Bad(_other(zzz={"a": 1}), rows=GOOD + 1),
    "braces in data": Bad(_other(note="{{ 7*7 }}{% for %}"), rows=GOOD + 1),
    "empty file": Bad(b"", words="empty"),
    "blank lines": Bad(b"\n\n" + WHOLE.replace(b"\n", b"\n\n")),
    "gz": Bad(gzip.compress(WHOLE, mtime=0)),
    "zst": Bad(zstandard.compress(WHOLE)),
    "gz bomb": Bad(gzip.compress(b" " * (80 << 20), 1, mtime=0), words="200 times"),
    "gz cut short": Bad(gzip.compress(WHOLE, mtime=0)[:-9], words="cut short"),
    "JSON array": Bad(_ARRAY, words="JSON array"),
    "PDF": Bad(b"%PDF-1.7 ...", words="PDF"),
    "workbook": Bad(_zip(), words="save the sheet as CSV"),
    "too many bad rows": Bad(among("oops\noops\noops"), words="3 of 33 rows"),
    "no good row": Bad(b"oops\n" * 5, words="no row"),
}
"""Entries that mean the same to every command. What depends on what a command asks of a row
(fields, types, labels, letters) stands in `WANTING`, at each command."""


def named(change: Callable[[int], str]) -> Mapping[str, Bad]:
    """The same files with other ids of the good rows, for files whose ids have to be known."""

    def renamed(content: bytes) -> bytes:
        for number in range(99, -1, -1):
            old, new = f'"id": "r{number}"', f'"id": "{change(number)}"'
            content = content.replace(old.encode(), new.encode())
        return content

    plain = {"UTF-16", "UTF-32", "gz", "zst", "gz cut short"}
    return {
        name: Bad(renamed(bad.content), bad.code, bad.words, bad.rows, bad.line)
        for name, bad in FILES.items()
        if name not in plain
    }
