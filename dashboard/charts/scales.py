"""Round numbers for axes, and how they are written. Pure."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3_600, 86_400
ROUNDING = 1e-9
"""Values closer than that, of their size, are one: no tick could tell them apart."""
_TIME_STEPS = (
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    900,
    1_200,
    1_800,
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
)


def value_ticks(most: float, wanted: int = 4) -> list[float]:
    """0 and up in round steps (1, 2, 2.5 or 5 times a power of ten), to `most` or just above."""
    if not math.isfinite(most) or most <= 0:
        return [0.0, 1.0]
    rough = most / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * 0.999)
    return [number * step for number in range(math.ceil(most / step * 0.999) + 1)]


def time_ticks(first: float, last: float, wanted: int = 4) -> list[int]:
    """Round moments (UTC) within the span, about `wanted` of them."""
    rough = max(1.0, last - first) / wanted
    step = next((step for step in _TIME_STEPS if step >= 0.75 * rough), 0)
    step = step or DAY * math.ceil(0.75 * rough / DAY)
    begin = math.ceil(first / step) * step
    return list(range(begin, math.floor(last) + 1, step))


def time_labels(ticks: Sequence[int]) -> list[str]:
    """`10:20`, with seconds where the steps are shorter than a minute; `22 Nov` at midnight."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else MINUTE
    return [_time_label(tick, step) for tick in ticks]


def _time_label(tick: int, step: int) -> str:
    at = datetime.fromtimestamp(tick, UTC)
    if tick % DAY == 0:
        return f"{at.day} {at:%b}"
    return f"{at:%H:%M:%S}" if step < MINUTE else f"{at:%H:%M}"


def short(value: float) -> str:
    """`0`, `0.25`, `12.5`, `1,230`, `15k`, `2.5M`: three digits tell enough of a figure."""
    value = float(f"{value:.3g}")
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size and abs(value) >= 1e4:
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def range_ticks(low: float, high: float, *, least: float = 0.0) -> list[float]:
    """Round steps, none below `least`, from `low` or just below to `high` or just above."""
    middle = (low + high) / 2
    if high - low <= ROUNDING * abs(middle):
        half = abs(middle) / 2 or 0.5
        low, high = middle - half, middle + half
    step = max(least, value_ticks(high - low)[1])
    first, last = math.floor(low / step + 0.001), math.ceil(high / step - 0.001)
    return [float(f"{number * step:.12g}") for number in range(first, max(last, first + 1) + 1)]


def log_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """1, 2 and 5 times powers of ten around values above 0; powers only where those are many."""
    ticks = _log_ticks(low, high, (1, 2, 5))
    return ticks if len(ticks) <= most else _log_ticks(low, high, (1,))


def _log_ticks(low: float, high: float, sizes: Sequence[int]) -> list[float]:
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    ticks = [size * 10.0**power for power in powers for size in sizes]
    first = max(tick for tick in ticks if tick < low * 0.999)
    last = min(tick for tick in ticks if tick > high * 1.001)
    return [tick for tick in ticks if first <= tick <= last]


def scientific(value: float) -> str:
    """`1e-4`, `2.5e-5`, `0`: rates differ by their powers of ten."""
    if not value:
        return "0"
    size, _, power = f"{value:.2e}".partition("e")
    return f"{float(size):g}e{int(power)}"
