"""Figures with their intervals as people read them: `78.0% [74.1, 81.5] n=200`. Pure.

A figure here is JSON as reports of evaluations keep it: `value`, `unit`, `low`, `high`, `n`, `why`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE = "–"
"""What stands for a value that there is not."""
LONG_MS = 10_000
"""Times from here up are told in seconds."""
Write = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Worded:
    """A figure in words, in parts that may be shown apart."""

    value: str
    interval: str = ""
    n: str = ""
    why: str = ""
    """Why the value, or its interval, is not there."""

    def __str__(self) -> str:
        return " ".join(part for part in (self.value, self.interval, self.n) if part)


@dataclass(frozen=True, slots=True)
class Writing:
    """How numbers of a unit are written; an interval's go without what stands around the value."""

    number: Write
    before: str = ""
    after: str = ""


def worded(figure: Mapping[str, Any], *, is_difference: bool = False) -> Worded:
    """The figure in words; a difference has its sign, and one of shares is in percentage points."""
    value, low, high = (_number(figure.get(name)) for name in ("value", "low", "high"))
    n = figure.get("n")
    counted = f"n={n:,}" if isinstance(n, int) else ""
    why = str(figure.get("why") or "")
    if value is None:
        return Worded(NONE, "", counted, why)
    sign = "+" if is_difference else ""
    writing = _writing(str(figure.get("unit")), value, is_difference=is_difference)
    told = f"{_signed(value, sign, writing.before, writing.number)}{writing.after}"
    interval = ""
    if low is not None and high is not None:
        ends = (_signed(end, sign, writing.before, writing.number) for end in (low, high))
        interval = f"[{', '.join(ends)}]"
    return Worded(told, interval, counted, why)


def written(value: float | None, unit: str) -> str:
    """A bare number of this unit, as on a chart."""
    return worded({"value": value, "unit": unit}).value


def footnotes(figures: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Letter by reason, in the order of their coming: why values or intervals are not there."""
    whys = dict.fromkeys(str(one["why"]) for one in figures if one.get("why"))
    return {why: chr(ord("a") + place) if place < 26 else "*" for place, why in enumerate(whys)}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _signed(value: float, sign: str, before: str, number: Write) -> str:
    text = number(abs(value))
    if not any(digit in text for digit in "123456789"):
        sign = ""
    elif value < 0:
        sign = "-"
    return f"{sign}{before}{text}"


def _writing(unit: str, value: float, *, is_difference: bool) -> Writing:
    size = abs(value)
    if unit == "share":
        return Writing(lambda one: f"{100 * one:.1f}", after=" pp" if is_difference else "%")
    if unit == "ms" and size >= LONG_MS:
        return Writing(lambda one: f"{one / 1000:,.1f}", after=" s")
    places = _PLACES.get(unit, _few)(size)
    before, after = {"usd": ("$", ""), "ms": ("", " ms")}.get(unit, ("", ""))
    return Writing(lambda one: f"{one:,.{places}f}", before, after)


def _few(size: float) -> int:
    """Three digits tell enough of most figures."""
    return min(4, _places(size))


def _cents(size: float) -> int:
    return 2 if size >= 1 or not size else max(4, _places(size))


def _whole(size: float) -> int:
    return 0 if size == int(size) or size >= 1000 else 1


def _places(size: float) -> int:
    """Decimals that show three digits of a number of this size."""
    return min(9, max(0, 2 - math.floor(math.log10(size)))) if size else 0


_PLACES: Mapping[str, Callable[[float], int]] = {
    "ms": lambda size: 0 if size >= 10 else 1,
    "usd": _cents,
    "count": _whole,
    "tokens": _whole,
    "points": lambda _size: 2,
    "nats": lambda _size: 3,
}
"""Decimals by unit, for a value of this size."""
