"""What templates word things with: figures, moments, URLs. Pure."""

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from models.words import (
    ago,
    counted,
    duration,
    is_unknown_cost,
    iso,
    money,
    printable,
    safe,
    share,
)

__all__ = [
    "LOCKED",
    "STATUSES",
    "ago",
    "counted",
    "duration",
    "iso",
    "kept",
    "moment",
    "money",
    "rate",
    "safe",
    "share",
    "short_cost",
    "status",
    "with_query",
]

STATUSES: Mapping[int, str] = {
    400: "This address cannot be read",
    403: "This is not allowed",
    404: "There is no such page",
    405: "This is not allowed",
    503: "The database does not answer",
}
LOCKED = (
    "this Flower has no password, so it shows and does nothing: "
    "start it with FLOWER_BASIC_AUTH=name:password"
)


def moment(at: float | None) -> str:
    """`2026-11-22 19:31:08` in UTC; a dash for none."""
    return "–" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def rate(per_s: float | None) -> str:
    """`12.3/s`, `0.4/s`, `1,250/s`; a dash where nothing is known."""
    if per_s is None:
        return "–"
    return f"{per_s:,.0f}/s" if per_s >= 100 else f"{per_s:.1f}/s"


def status(last_status: int | None, last_error: str) -> str:
    """A webhook's `200`, `no answer`, or a dash before the first attempt."""
    if last_status is not None:
        return str(last_status)
    return "no answer" if last_error else "–"


def short_cost(nano: int, *, calls: int, unpriced: int) -> str:
    """What paid calls cost, for a table: `$1.20`, `≥ $1.20` (some have no price), `unknown`."""
    if is_unknown_cost(calls=calls, unpriced=unpriced):
        return "unknown"
    return f"≥ {money(nano)}" if unpriced else money(nano)


def with_query(path: str, query: Mapping[str, object]) -> str:
    """`path?a=1&b=2`; what is empty or None is left out."""
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def kept(text: str) -> str:
    """Foreign text with its lines and spaces, whole; what could hide or turn text is escaped."""
    lines = text.replace("\r\n", "\n")
    return "".join(one if _is_harmless(one) else printable(one) for one in lines)


def _is_harmless(character: str) -> bool:
    """Printable, or a space of any width, or what joins and parts the letters of a word."""
    return character.isprintable() or character in _KEPT or unicodedata.category(character) == "Zs"


_KEPT = "\n\t\u00ad\u200c\u200d"
