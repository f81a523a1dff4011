"""Figures with their intervals: Wilson's for shares, the bootstrap over rows for all else.

Values come as (rows, attempts), NaN where there is none. Several attempts at a row are not
independent: then whole rows are drawn, and Wilson's interval is not used (but at 0% and 100%, where
no draw differs: there over the rows, as if their attempts were one). A figure says its method.
"""

import math
from collections.abc import Sequence

import numpy as np

from producers.evaluating.figures.resampling import (
    LEVEL,
    Floats,
    Statistic,
    drawn_quantiles,
    drawn_sums,
    interval,
)
from producers.evaluating.report import Figure, Unit

FEWEST_ROWS = 5
"""The bootstrap of fewer rows says nothing."""
FEWEST_FOR_P95 = 20
"""Below, the 95th percentile is the largest value, and nothing is known beyond it."""
NO_SPREAD = "no interval: all rows are alike"
TOO_FEW = f"no interval: it needs {FEWEST_ROWS} rows"


def wilson(hits: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share, by statsmodels."""
    from statsmodels.stats.proportion import (  # noqa: PLC0415 # the extra `evaluate`
        proportion_confint,
    )

    low, high = proportion_confint(hits, n, alpha=1 - level, method="wilson")
    return float(low) if hits else 0.0, float(high) if hits != n else 1.0  # but for rounding


def share(hits: Floats, seed: int = 0) -> Figure:
    """How many of the values are 1: `hits` holds 0 and 1."""
    return ratio(np.nansum(hits, axis=1), _counted(hits), seed)


def ratio(hits: Floats, of: Floats, seed: int = 0, *, why: str = "there is nothing") -> Figure:
    """Hits of how many, both by row. `why`: said where the whole is 0."""
    n = int(of.sum())
    if not n:
        return Figure(None, "share", n=0, why=why)
    kept = of > 0
    hits, of = hits[kept], of[kept]
    value = float(hits.sum() / n)
    if of.max() <= 1:
        return Figure(value, "share", *wilson(hits.sum(), n), n, "Wilson")
    figure = of_sums(np.column_stack([hits, of]), ratio_of_sums, "share", seed, n=n)
    if figure.low is None and value in (0, 1):
        low, high = wilson(value * len(of), len(of))
        return Figure(value, "share", low, high, n, "Wilson over rows")
    return figure


def mean(values: Floats, unit: Unit, seed: int = 0, *, why: str = "there is nothing") -> Figure:
    """The mean of all values."""
    counts = _counted(values)
    n = int(counts.sum())
    if not n:
        return Figure(None, unit, n=0, why=why)
    parts = np.column_stack([np.nansum(values, axis=1), counts])[counts > 0]
    return of_sums(parts, ratio_of_sums, unit, seed, n=n)


def of_sums(
    parts: Floats,
    statistic: Statistic,
    unit: Unit,
    seed: int = 0,
    *,
    n: int | None = None,
    why: str = "",
) -> Figure:
    """A function of sums over rows. `parts`: (rows, parts); `n`: of how many, the rows by default.

    `why`: said where the value cannot be had.
    """
    n = len(parts) if n is None else n
    value = float(statistic(parts.sum(axis=0))) if len(parts) else math.nan
    if math.isnan(value):
        return Figure(None, unit, n=n, why=why or "there is nothing")
    if len(parts) < FEWEST_ROWS:
        return Figure(value, unit, n=n, why=TOO_FEW)
    found = interval(parts, statistic, statistic(drawn_sums(parts, seed)))
    if found is None:
        return Figure(value, unit, n=n, why=NO_SPREAD)
    low, high, method = found
    return Figure(value, unit, low, high, n, f"bootstrap over rows ({method})")


def quantiles(
    values: Floats,
    parts: Sequence[float],
    unit: Unit,
    seed: int = 0,
    *,
    why: str = "there is nothing",
) -> list[Figure]:
    """Quantiles of all values, numpy's (linear between neighbours)."""
    kept = values[_counted(values) > 0]
    n = int(_counted(kept).sum())
    if not n:
        return [Figure(None, unit, n=0, why=why) for _ in parts]
    found = np.nanquantile(kept, parts)
    drawn = drawn_quantiles(kept, parts, seed)
    tails = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return [
        _quantile(part, float(found[place]), tails[:, place], unit, n, len(kept))
        for place, part in enumerate(parts)
    ]


def _quantile(part: float, value: float, tails: Floats, unit: Unit, n: int, rows: int) -> Figure:
    fewest = FEWEST_FOR_P95 if part > 0.9 else FEWEST_ROWS
    if rows < fewest:
        return Figure(value, unit, n=n, why=f"no interval: it needs {fewest} rows")
    low, high = map(float, tails)
    return Figure(value, unit, low, high, n, "bootstrap over rows (percentile)")


def ratio_of_sums(sums: Floats) -> Floats:
    """The first sum over the second; NaN where that is 0."""
    return divided(sums[..., 0], sums[..., 1])


def divided(above: Floats, below: Floats) -> Floats:
    """`above / below`, NaN where nothing is below."""
    above, below = np.asarray(above, float), np.asarray(below, float)
    found: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=found, where=below != 0)
    return found


def _counted(values: Floats) -> Floats:
    return np.asarray((~np.isnan(values)).sum(axis=1), float)
