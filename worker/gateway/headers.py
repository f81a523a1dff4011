"""Response headers read without trust: absent, garbled and huge values become None."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from worker.gateway.faults import LimitHeaders

LONGEST_RETRY_AFTER_S = 300.0
"""`Retry-After: 86400` is not worth waiting for blindly: ask again after five minutes."""
_MOST_DIGITS = 15  # beyond any real limit, and well inside 64 bits

_NAMES = (
    "x-ratelimit-limit-req-minute",
    "x-ratelimit-remaining-req-minute",
    "x-ratelimit-limit-tokens-minute",
    "x-ratelimit-remaining-tokens-minute",
    "x-ratelimit-tokens-query-cost",
)


def read_limits(headers: Mapping[str, str]) -> LimitHeaders | None:
    """The five `x-ratelimit-*` headers (names are matched as the mapping matches them), or None
    if not one of them says anything."""
    values = [_count(headers.get(name)) for name in _NAMES]
    return LimitHeaders(*values) if any(value is not None for value in values) else None


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait, clamped to 0..300, from a number or an HTTP date; None for anything else."""
    text = (headers.get("retry-after") or "").strip()
    seconds = _seconds(text) if len(text) <= 64 else None
    if seconds is None and text:
        seconds = _seconds_until(text, now or datetime.now(UTC))
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def _count(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.strip()
    return int(digits) if digits.isdecimal() and len(digits) <= _MOST_DIGITS else None


def _seconds(text: str) -> float | None:
    digits = text.removeprefix("-")
    if not digits.replace(".", "", 1).isdecimal():  # neither `nan`, `inf` nor `1e9`
        return None
    return float(text)


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text[:64])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
