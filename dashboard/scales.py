"""Round numbers for axes, and how they are written. Pure."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MINUTE, HOUR, DAY = 60, 3_600, 86_400
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
