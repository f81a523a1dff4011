"""Rules that leave rows out, each by a name that is counted. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import BadInputError
from producers.datasets.manifest import Filters
from producers.datasets.shaping import NotARowError, asked_and_answered


class Sieve:
    """Lets good rows pass. Raises `BadInputError` for a regular expression that does not parse."""

    def __init__(self, filters: Filters, count_tokens: Callable[[Mapping[str, Any]], int]) -> None:
        self._filters = filters
        self._count = count_tokens
        self._forbidden = [_compiled(pattern) for pattern in filters.forbid]

    def check(self, row: Mapping[str, Any]) -> None:
        """Raises `NotARowError` with the first rule that the row breaks."""
        text = "\n".join(asked_and_answered(row))
        self._check_fields(row)
        self._check_length(len(text.strip()))
        for pattern in self._forbidden:
            if pattern.search(text):
                raise NotARowError("forbidden", f"a text matches --forbid {pattern.pattern!r}")
        most = self._filters.max_tokens
        if most is not None and (tokens := self._count(row)) > most:
            raise NotARowError("too_many_tokens", f"{tokens:,} tokens; {most:,} are allowed")

    def _check_fields(self, row: Mapping[str, Any]) -> None:
        for name in self._filters.require_field:
            if field_of(row, name) in (None, "", [], {}):
                raise NotARowError("missing_field", f"`{name}` is missing or empty")

    def _check_length(self, characters: int) -> None:
        least, most = self._filters.min_chars, self._filters.max_chars
        if least is not None and characters < least:
            raise NotARowError("too_short", f"{characters:,} characters; {least:,} are needed")
        if most is not None and characters > most:
            raise NotARowError("too_long", f"{characters:,} characters; {most:,} are allowed")


def field_of(row: Mapping[str, Any], name: str) -> Any:
    """A field of a row's `meta`, else of the row; dots lead inwards. None if there is none."""
    for place in (row.get("meta"), row):
        value: Any = place
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise BadInputError(f"--forbid {pattern!r} does not parse: {error}") from error
