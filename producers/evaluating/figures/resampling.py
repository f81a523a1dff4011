"""The bootstrap over rows: whole rows are drawn, since attempts at one row are not independent.

Statistics are functions of sums over rows (means, ratios, F1, perplexity), which makes a draw a
matrix product. BCa after Efron (1987), "Better bootstrap confidence intervals"; same draws for the
same seed.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Sums over rows, one per part in the last axis, to the value of each; NaN where there is none."""

DRAWS = 2_000
LEVEL = 0.95
_CELLS = 2_000_000
"""Numbers that are in memory at once: 16 MB."""
_MOST_LOST = 0.1
"""Share of draws that may be without a value (F1 where no row is positive) before we give up."""


def drawn_sums(parts: Floats, seed: int, draws: int = DRAWS) -> Floats:
    """The sums of `parts` (rows, parts) over `draws` samples of the rows: (draws, parts)."""
    rng = np.random.default_rng(seed)
    patterns, counts = np.unique(parts, axis=0, return_counts=True)
    rows = len(parts)
    if len(patterns) * 4 > rows:
        chosen = (rng.integers(rows, size=(size, rows)) for size in _batches(draws, parts.size))
        return np.concatenate([parts[one].sum(axis=1) for one in chosen])
    # few rows differ: how often each kind of row is drawn says the same, and is drawn at once
    sizes = _batches(draws, len(patterns))
    weights = (rng.multinomial(rows, counts / rows, size=size) for size in sizes)
    return np.concatenate([one @ patterns for one in weights])


def drawn_quantiles(
    values: Floats, parts: Sequence[float], seed: int, draws: int = DRAWS
) -> Floats:
    """Quantiles of `values` (rows, attempts; NaN where there is none) over draws of the rows.

    (draws, parts); linear between neighbours, as numpy's. All is sorted once: a draw only changes
    how often each value counts.
    """
    rng = np.random.default_rng(seed)
    row_of, _ = np.nonzero(~np.isnan(values))
    known = values[~np.isnan(values)]
    order = np.argsort(known, kind="stable")
    ordered, row_of = known[order], row_of[order]
    drawn = np.full((draws, len(parts)), np.nan)
    for place in range(draws):
        often = np.bincount(rng.integers(len(values), size=len(values)), minlength=len(values))
        upto = np.cumsum(often[row_of])
        if len(upto) and upto[-1]:
            drawn[place] = _at(ordered, upto, np.asarray(parts))
    return drawn


def interval(parts: Floats, statistic: Statistic, drawn: Floats) -> tuple[float, float, str] | None:
    """The 95% interval of `statistic` and its method; None where draws do not differ.

    `drawn`: its values over the draws. BCa, or the percentiles where BCa cannot be had.
    """
    known = drawn[~np.isnan(drawn)]
    if len(known) < len(drawn) * (1 - _MOST_LOST) or np.ptp(known) < 1e-12:
        return None
    tails = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    corrected = _corrected_tails(parts, statistic, known, tails)
    low, high = np.quantile(known, tails if corrected is None else corrected)
    return float(low), float(high), "percentile" if corrected is None else "BCa"


def two_sided(drawn: Floats) -> float | None:
    """The bootstrap's p for "the difference is 0": twice the smaller share of draws beyond 0.

    Never below what the number of draws can tell.
    """
    known = drawn[~np.isnan(drawn)]
    if len(known) < len(drawn) * (1 - _MOST_LOST):
        return None
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(known) + 1))


def swapped(
    first: Floats, second: Floats, statistic: Statistic, seed: int, draws: int = DRAWS
) -> float | None:
    """p of the paired randomization test (Noreen 1989; for F1: Yeh 2000): how often two models
    whose parts are swapped by a coin, row by row, differ as much as they do. None: they have no
    value. Exact for models that are alike, where the bootstrap's p is too small for few rows.
    """
    patterns, counts = np.unique(np.hstack([first, second]), axis=0, return_counts=True)
    one, other = np.hsplit(patterns, 2)
    value = abs(float(statistic(second.sum(axis=0)) - statistic(first.sum(axis=0))))
    rng, beyond = np.random.default_rng(seed), 0
    for size in _batches(draws, len(patterns)):
        turned = rng.binomial(counts, 0.5, size=(size, len(counts)))
        sums = turned @ other + (counts - turned) @ one, turned @ one + (counts - turned) @ other
        beyond += int((abs(statistic(sums[1]) - statistic(sums[0])) >= value - 1e-9).sum())
    return None if np.isnan(value) else (beyond + 1) / (draws + 1)


def _corrected_tails(
    parts: Floats, statistic: Statistic, drawn: Floats, tails: Floats
) -> Floats | None:
    from scipy.stats import norm  # noqa: PLC0415 # the extra `evaluate`, and 0.9 s

    value = statistic(parts.sum(axis=0))
    near = np.ptp(drawn) * 1e-9  # draws of few values often hit the value itself, but for rounding
    below = ((drawn < value - near).mean() + (drawn <= value + near).mean()) / 2
    acceleration = _acceleration(parts, statistic)
    if not 0 < below < 1 or acceleration is None:
        return None
    bias = norm.ppf(below)
    shifted = bias + norm.ppf(tails)
    corrected: Floats = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return corrected if np.isfinite(corrected).all() else None


def _acceleration(parts: Floats, statistic: Statistic) -> float | None:
    patterns, counts = np.unique(parts, axis=0, return_counts=True)
    left_out = statistic(parts.sum(axis=0) - patterns)
    if np.isnan(left_out).any():
        return None
    away = np.average(left_out, weights=counts) - left_out
    spread = float(counts @ away**2)
    return float(counts @ away**3) / (6 * spread**1.5) if spread > 0 else None


def _at(ordered: Floats, upto: npt.NDArray[np.int64], parts: Floats) -> Floats:
    ranks = parts * (upto[-1] - 1)
    low = ordered[np.searchsorted(upto, np.floor(ranks), side="right")]
    high = ordered[np.searchsorted(upto, np.ceil(ranks), side="right")]
    return np.asarray(low + (high - low) * (ranks - np.floor(ranks)))


def _batches(draws: int, cells: int) -> Iterator[int]:
    size = max(1, _CELLS // max(1, cells))
    while draws > 0:
        yield min(size, draws)
        draws -= size
