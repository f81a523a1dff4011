"""Moments as people type them: `2h` (ago) or a date and time. Pure."""

from datetime import UTC, datetime

from models.errors import BadInputError
from producers.cli.durations import parse_duration


def parse_moment(text: str, now: float) -> float:
    """Seconds since the epoch of `2h` before `now`, or of an ISO 8601 time.

    A time without a zone is the user's own. Raises `BadInputError` that says how to write it.
    """
    squeezed = text.strip()
    if squeezed[:4].isdigit() and "-" in squeezed:
        at = _parse_time(squeezed)
        if at > now:
            raise BadInputError(f"{text!r} is still to come: nothing was made since then")
        return at
    try:
        return now - parse_duration(text)
    except BadInputError as error:
        raise BadInputError(f"{error}; or a time, such as 2026-08-13") from None


def _parse_time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.astimezone()).astimezone(UTC).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadInputError(
            f"{text!r} is no time: write 2026-08-13, 2026-08-13T09:30 or 2026-08-13T09:30Z, "
            "or how long ago, such as 2h"
        ) from None
