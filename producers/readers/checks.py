"""What holds for a row whatever its file's format: fields, id, characters, size."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson

from models.recipes.problems import RowProblem
from models.words import printable
from producers.readers.jsonlines import kind_of
from producers.readers.options import ReadOptions
from producers.readers.rejects import RejectCode, Row, RowError, listed

MAX_ID_CHARS = 256
_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "object": (dict,),
}
_SUSPECT = re.compile(rb"\\u00|\\b")
"""In orjson's output: an escaped control (or a backslash in the text, so look again)."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f]")
"""C0 controls but tab, newline, return, and the form feed that `pdftotext` ends pages with."""
_ID_CONTROL = re.compile("[\x00-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class RowChecker:
    """Checks rows and gives them their ids; `unit` is what generated ids count."""

    def __init__(self, options: ReadOptions, unit: str, *, cells: bool = False) -> None:
        """`cells`: an empty text is how the input says that there is nothing."""
        self._options = options
        self._unit = unit
        self._cells = cells
        self.generated_ids = 0

    def check(self, row: Row) -> tuple[str, bytes]:
        """The row's id (in NFC) and the line to stage for it. Raises `RowError`."""
        row = self._lifted(row)
        self._check_fields(row)
        row_id = self._id_of(row)
        try:
            staged = orjson.dumps(
                {"id": row_id, "line": row.line, "offset": row.offset, "data": row.data}
            )
        except TypeError as error:
            raise _unstorable(row) from error
        if _SUSPECT.search(staged):
            _check_controls(row)
        if len(staged) > self._options.max_line_bytes + 2 * MAX_ID_CHARS * 6:
            raise RowError(RejectCode.LINE_TOO_LONG, f"the row is {len(staged):,} bytes of JSON")
        fits = self._options.fits
        if fits is not None and (problem := fits(row.data, len(staged))):
            raise RowError(RejectCode.TOO_LONG, problem)
        self.generated_ids += self._named(row) is None
        return row_id, staged

    def _lifted(self, row: Row) -> Row:
        below = row.data.get(self._options.lift)
        return replace(row, data={**below, **row.data}) if isinstance(below, dict) else row

    def _check_fields(self, row: Row) -> None:
        for name in self._options.required:
            value = row.data.get(name)
            if value is None or self._is_empty(name, value):
                empty = "is null" if value is None else "is empty"
                state = empty if name in row.data else "is missing"
                raise RowError(
                    RejectCode.MISSING_FIELD,
                    f"the field `{name}` {state}; the row has {listed(row.data)}",
                )
        for name, wanted in self._options.types.items():
            _check_type(row.data.get(name), name, wanted)
        if self._options.check is not None:
            try:
                self._options.check(row.data)
            except RowProblem as problem:
                raise RowError(RejectCode.BAD_VALUE, problem.detail) from problem

    def _is_empty(self, name: str, value: object) -> bool:
        """Whether a cell that is needed says that there is nothing; of ids `BAD_ID` says more."""
        is_needed = self._cells and name in self._options.filled and name != self._options.id_field
        return is_needed and not str(value).strip()

    def _named(self, row: Row) -> Any:
        field = self._options.id_field
        return None if field is None else row.data.get(field)

    def _id_of(self, row: Row) -> str:
        field = self._options.id_field or ""
        match self._named(row):
            case None:
                return f"{self._unit}-{row.line}"
            case str(text):
                return _normal(text, field)
            case int(number) if not isinstance(number, bool):
                return str(number)
            case other:
                raise RowError(
                    RejectCode.WRONG_TYPE,
                    f"`{field}` is {kind_of(other)}: an id is a text or an integer",
                )


def _normal(text: str, field: str) -> str:
    if text.isascii() and text.isprintable() and 0 < len(text) <= MAX_ID_CHARS:
        return text
    if _SURROGATE.search(text):
        raise _surrogate(field)
    row_id = unicodedata.normalize("NFC", text)
    if not row_id.strip() or len(row_id) > MAX_ID_CHARS or _ID_CONTROL.search(row_id):
        raise RowError(
            RejectCode.BAD_ID,
            f"the id `{printable(row_id, 40)}` is empty, longer than {MAX_ID_CHARS} characters, "
            "or holds control characters",
        )
    return row_id


def _check_type(value: object, name: str, wanted: str) -> None:
    fits = isinstance(value, _TYPES[wanted]) and (
        wanted == "boolean" or not isinstance(value, bool)
    )
    if value is not None and not fits:
        raise RowError(
            RejectCode.WRONG_TYPE, f"`{name}` is {kind_of(value)} where a {wanted} is needed"
        )


def _check_controls(row: Row) -> None:
    for path, text in texts(row.data):
        if found := _CONTROL.search(text):
            raise RowError(
                RejectCode.NUL if found[0] == "\0" else RejectCode.CONTROL_CHARACTER,
                f"`{path}` holds the control character {printable(found[0])}",
            )


def _unstorable(row: Row) -> RowError:
    """What orjson would not write: half pairs, as all else was refused while parsing."""
    for path, text in texts(row.data):
        if _SURROGATE.search(text):
            return _surrogate(path)
    return RowError(RejectCode.WRONG_TYPE, "the row holds what JSON cannot say")


def _surrogate(path: str) -> RowError:
    return RowError(
        RejectCode.LONE_SURROGATE,
        f"`{printable(path)}` holds half of a character pair (a lone surrogate)",
    )


def texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts inside a value with their paths (`messages[0].content`), keys among them."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, child in value.items():
            inner = f"{path}.{key}" if path else key
            yield printable(inner), key
            yield from texts(child, inner)
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from texts(child, f"{path}[{place}]")
