"""Lengths of time as people type them: `90s`, `15m`, `12h`, `30d`, `2w`, `1d12h`. Pure."""

import re
from datetime import timedelta

from models.errors import BadInputError

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])")
_LONGEST_S = 100 * 366 * 86_400
"""Longer than any database was kept; a longer one is a slip of the finger."""


def parse_duration(text: str) -> float:
    """Seconds of `30d`, `12h`, `1d12h`. Raises `BadInputError` that says how to write it."""
    squeezed = text.strip().lower().replace(" ", "")
    parts = _PART.findall(squeezed)
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not parts or "".join(number + unit for number, unit in parts) != squeezed:
        raise BadInputError(
            f"{text!r} is no length of time: write a number and its unit "
            "(s, m for minutes, h, d, w), such as 12h or 30d"
        )
    if not 0 < seconds <= _LONGEST_S:
        raise BadInputError(f"{text!r} is not between a moment and a hundred years: try 30d")
    return seconds


def parse_deadline(text: str | None) -> timedelta | None:
    """In how long it has to be done; None: whenever."""
    return timedelta(seconds=parse_duration(text)) if text else None
