"""Two models on the same rows: what they differ by, whether chance can do that, how many rows would
tell.

Right and wrong of one attempt: exact McNemar (statsmodels). Several attempts, points, losses: the
sign test over rows (scipy), on which row whose mean is higher; it asks nothing of the numbers but
their order. Statistics of all rows together (F1): the paired randomization test, which keeps its
5% where the bootstrap's own p took 6.6% of like models for different (100 rows, 1,500 tries).
Differences have the interval of the paired bootstrap, whatever the test. Verdicts go by the test,
after Holm's correction for all comparisons of the report.

Rows needed: n ((z_a/2 + z_b) se / d)^2 for a power of 80%, with the bootstrap's standard error of
the difference; for right and wrong that is the sample size of McNemar's test (Connor 1987,
Biometrics 43, 207-211, without its correction term).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from producers.evaluating.figures.intervals import (
    FEWEST_ROWS,
    NO_SPREAD,
    TOO_FEW,
    ratio_of_sums,
)
from producers.evaluating.figures.resampling import (
    Floats,
    Statistic,
    drawn_sums,
    interval,
    swapped,
)
from producers.evaluating.report import Figure, Unit

ALPHA, POWER = 0.05, 0.8
MOST_NEEDED = 10**9
"""More rows than that are needed for differences that are noise of the arithmetic."""
MOST_FOR_ALL_PAIRS = 4
"""With more models, the first is compared with each other, and these not with each other. Before a
judge it is `pairing.ALL_PAIRS_UP_TO`, and a report of more says so."""
MCNEMAR, SIGN = "exact McNemar", "sign test over rows"
SWAPPED, BOOTSTRAP = "paired randomization", "paired bootstrap"


@dataclass(frozen=True, slots=True)
class Metric:
    """What is compared. `higher_is_better` False for losses."""

    name: str
    unit: Unit = "share"
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on the same rows, before it is known how many comparisons there are."""

    metric: Metric
    first: str
    second: str
    difference: Figure
    """Second minus first."""
    rows: int
    differing: int
    """Rows where they are not alike."""
    test: str = ""
    p: float | None = None
    error: float = 0.0
    """Standard error of the difference."""

    def needed(self, family: int) -> int | None:
        """About how many rows would tell a difference of this size; None: cannot be said."""
        from scipy.stats import norm  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

        if not self.difference.value or not self.error:
            return None
        both = norm.ppf(1 - ALPHA / family / 2) + norm.ppf(POWER)
        needed = self.rows * (both * self.error / self.difference.value) ** 2
        return int(np.ceil(needed)) if needed <= MOST_NEEDED else None


def pairs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Who is compared with whom: all with all while they are few, else all with the first."""
    if len(labels) <= MOST_FOR_ALL_PAIRS:
        return list(combinations(labels, 2))
    return [(labels[0], other) for other in labels[1:]]


def compare_hits(metric: Metric, hits: Mapping[str, Floats], seed: int) -> list[Paired]:
    """Right and wrong: 0 and 1 by (rows, attempts)."""
    found = compare_values(metric, hits, seed)
    if any((~np.isnan(one)).sum(axis=1).max(initial=0) > 1 for one in hits.values()):
        return found
    exact = [mcnemar(hits[one.first], hits[one.second]) if one.rows else None for one in found]
    return [replace(one, test=MCNEMAR, p=p) for one, p in zip(found, exact, strict=True)]


def compare_values(metric: Metric, values: Mapping[str, Floats], seed: int) -> list[Paired]:
    """Numbers by (rows, attempts): the difference of means, the sign test over the rows' means."""
    parts = {label: mean_parts(one) for label, one in values.items()}
    return compare_ratios(metric, parts, seed)


def compare_ratios(metric: Metric, parts: Mapping[str, Floats], seed: int) -> list[Paired]:
    """Ratios of sums, (rows, 2) for each: hits and of how many; a row is won by its own ratio."""
    found = []
    for first, second in pairs(list(parts)):
        kept = (parts[first][:, 1] > 0) & (parts[second][:, 1] > 0)
        one, other = parts[first][kept], parts[second][kept]
        leads = np.round(other[:, 0] / other[:, 1] - one[:, 0] / one[:, 1], 12)
        paired = _paired(metric, (first, second), one, other, ratio_of_sums, seed)
        differing = int((leads != 0).sum())
        p = sign_test(leads) if len(leads) else None
        found.append(replace(paired, test=SIGN, p=p, differing=differing))
    return found


def compare_sums(
    metric: Metric,
    names: tuple[str, str],
    first: Floats,
    second: Floats,
    statistic: Statistic,
    seed: int,
) -> Paired:
    """Any function of sums over the same rows, tested by swapping the models row by row."""
    paired = _paired(metric, names, first, second, statistic, seed)
    if paired.difference.value is None or paired.rows < FEWEST_ROWS:
        return paired
    p = swapped(first, second, statistic, seed) if paired.differing else 1.0
    return replace(paired, test=SWAPPED, p=p)


def _paired(
    metric: Metric,
    names: tuple[str, str],
    first: Floats,
    second: Floats,
    statistic: Statistic,
    seed: int,
) -> Paired:
    """The difference with its interval, before any test."""
    width = first.shape[1]
    parts = np.hstack([first, second])

    def difference(sums: Floats) -> Floats:
        return statistic(sums[..., width:]) - statistic(sums[..., :width])

    differing = int((first != second).any(axis=1).sum())
    value = float(difference(parts.sum(axis=0)))
    if np.isnan(value):  # also: no row at all
        nothing = Figure(None, metric.unit, n=len(parts), why="there is nothing to compare")
        return Paired(metric, *names, nothing, len(parts), differing)
    if len(parts) < FEWEST_ROWS:
        figure = Figure(value, metric.unit, n=len(parts), why=TOO_FEW)
        return Paired(metric, *names, figure, len(parts), differing)
    drawn = difference(drawn_sums(parts, seed))
    figure, error = _figure(metric, parts, difference, drawn), float(np.nanstd(drawn))
    return Paired(metric, *names, figure, len(parts), differing, error=error)


def mean_parts(values: Floats) -> Floats:
    """(rows, 2): the sum of a row's values, and how many there are."""
    return np.column_stack([np.nansum(values, axis=1), (~np.isnan(values)).sum(axis=1)])


def mcnemar(first: Floats, second: Floats) -> float:
    """Exact McNemar over rows where both have a value; 1 where they never differ."""
    from statsmodels.stats.contingency_tables import (  # noqa: PLC0415 # the extra `evaluate`
        mcnemar as exact_mcnemar,
    )

    one, other = mean_parts(first), mean_parts(second)
    kept = (one[:, 1] > 0) & (other[:, 1] > 0)
    right, also = one[kept, 0] > 0, other[kept, 0] > 0
    table = [[(right & also).sum(), (right & ~also).sum()], [(~right & also).sum(), 0]]
    if not table[0][1] + table[1][0]:
        return 1.0
    return min(1.0, float(exact_mcnemar(table, exact=True).pvalue))


def sign_test(leads: Floats) -> float:
    """The exact sign test: rows that are alike say nothing; 1 where all are."""
    from scipy.stats import binomtest  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

    won, lost = int((leads > 0).sum()), int((leads < 0).sum())
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction for as many tests as there are p (statsmodels)."""
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 # the extra `evaluate`

    known = [p for p in values if p is not None]
    if not known:
        return list(values)
    adjusted = iter(multipletests(known, method="holm")[1])
    return [None if p is None else float(next(adjusted)) for p in values]


def _figure(metric: Metric, parts: Floats, difference: Statistic, drawn: Floats) -> Figure:
    value, found = float(difference(parts.sum(axis=0))), interval(parts, difference, drawn)
    if found is None:
        return Figure(value, metric.unit, n=len(parts), why=NO_SPREAD)
    low, high, method = found
    return Figure(
        value, metric.unit, low, high, len(parts), f"paired bootstrap over rows ({method})"
    )
