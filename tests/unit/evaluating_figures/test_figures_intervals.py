"""Intervals: against scipy and statsmodels, by hand, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from producers.evaluating.figures.intervals import (
    mean,
    of_sums,
    quantiles,
    ratio,
    ratio_of_sums,
    share,
    wilson,
)
from producers.evaluating.figures.resampling import drawn_quantiles, drawn_sums, interval, two_sided

NAN = np.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def test_a_share_of_single_attempts_has_wilsons_interval():
    """8 of 10, by hand: centre (p + z2/2n) / (1 + z2/n) with z = 1.96, z2 = 3.8416 is
    (0.8 + 0.19208) / 1.38416 = 0.71674; half width 1.96 / 1.38416 * sqrt(0.8 * 0.2 / 10 +
    3.8416 / 400) = 1.41602 * 0.16001 = 0.22657: 0.4902 to 0.9433."""
    figure = share(column(*[1] * 8, *[0] * 2))
    assert (figure.value, figure.n, figure.method) == (0.8, 10, "Wilson")
    assert (figure.low, figure.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert (figure.low, figure.high) == pytest.approx(proportion_confint(8, 10, method="wilson"))


@pytest.mark.parametrize("hits", [0, 10])
def test_a_share_of_none_or_all_has_an_interval_all_the_same(hits):
    """0 of 10 and 10 of 10 are not certain."""
    figure = share(column(*[1] * hits, *[0] * (10 - hits)))
    assert figure.high - figure.low > 0.2


def test_attempts_of_a_row_are_not_counted_as_rows():
    """Three attempts that always agree tell no more than one: the interval is that of the rows,
    not the narrower one of three times as many answers."""
    once = np.array([1] * 30 + [0] * 20, float)
    figure = share(np.repeat(once[:, None], 3, axis=1))
    assert (figure.n, figure.method) == (150, "bootstrap over rows (BCa)")
    width, of_rows, of_answers = (
        high - low for low, high in ((figure.low, figure.high), wilson(30, 50), wilson(90, 150))
    )
    assert width == pytest.approx(of_rows, rel=0.1)
    assert width > 1.5 * of_answers


def test_attempts_that_are_all_right_are_as_sure_as_their_rows():
    """No draw differs: Wilson over the 20 rows, not over the 60 answers, and said."""
    figure = share(np.ones((20, 3)))
    assert (figure.low, figure.high) == wilson(20, 20)
    assert figure.method == "Wilson over rows"


def test_the_interval_of_a_share_holds_the_truth_19_times_in_20():
    """2,000 made-up evaluations of 80 rows at 3 attempts, where rows are easy or hard: the interval
    over rows holds the true 50% in about 95%; the naive one of 240 answers in far fewer.

    So many, because the share that is measured is itself known to 0.5 percentage points only: of
    300 it may well be 92% (6,000 with other data: 95.65%).
    """
    rng = np.random.default_rng(7)
    held = naive = 0
    for seed in range(2000):
        ease = rng.choice([0.05, 0.95], size=(80, 1))
        hits = (rng.random((80, 3)) < ease).astype(float)
        figure = share(hits, seed)
        held += figure.low <= 0.5 <= figure.high
        low, high = wilson(hits.sum(), hits.size)
        naive += low <= 0.5 <= high
    assert 0.935 <= held / 2000 <= 0.975
    assert naive / 2000 < 0.85


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("draw", ["normal", "skewed", "few"])
def test_the_bootstrap_is_scipys(draw, seed):
    """BCa of a mean, by sums and by scipy's own bootstrap: the same but for the draws."""
    rng = np.random.default_rng(seed)
    values = {
        "normal": rng.normal(5, 2, 60),
        "skewed": rng.lognormal(0, 1, 60),
        "few": rng.integers(0, 4, 60).astype(float),
    }[draw]
    figure = mean(values[:, None], "ms", seed)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=seed)
    low, high = theirs.confidence_interval
    assert figure.value == pytest.approx(values.mean())
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_bca_by_its_formula():
    """Efron's ends for a skewed mean, spelled out: bias from the share of draws below the mean,
    acceleration from the means that leave one row out. Without the acceleration they differ."""
    values = np.random.default_rng(1).lognormal(0, 1.2, 25)
    parts = np.column_stack([values, np.ones(25)])
    drawn = ratio_of_sums(drawn_sums(parts, 3))
    left_out = np.array([np.delete(values, row).mean() for row in range(25)])
    away = left_out.mean() - left_out
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    bias = stats.norm.ppf((drawn < values.mean()).mean())
    z = bias + stats.norm.ppf([0.025, 0.975])
    ends = np.quantile(drawn, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    low, high, method = interval(parts, ratio_of_sums, drawn)
    assert method == "BCa"
    assert (low, high) == pytest.approx(tuple(ends))
    assert high != pytest.approx(np.quantile(drawn, stats.norm.cdf(bias + z))[1], rel=0.01)


def test_rounding_does_not_move_an_interval():
    """Draws of few values often equal the estimate: a shift, which rounds them otherwise, shifts
    the interval and no more (BCa counts the draws below the estimate, and ties as halves)."""
    values = np.random.default_rng(0).integers(0, 9, (60, 1)).astype(float)
    figure = mean(values / 10, "points")
    for shift in (0.1, 0.7, 1 / 3, 1e3):
        moved = mean(values / 10 + shift, "points")
        assert (moved.low - shift, moved.high - shift) == pytest.approx((figure.low, figure.high))


def test_few_kinds_of_rows_are_drawn_as_all_are():
    """Rows of few kinds are drawn by how often each kind comes; that is the same distribution."""
    values = np.random.default_rng(0).integers(0, 3, 200).astype(float)
    by_kind = drawn_sums(values[:, None], 1, 20_000)[:, 0]
    # a column that tells all rows apart makes each row its own kind
    told_apart = np.column_stack([values, np.arange(200)])
    by_row = drawn_sums(told_apart, 2, 20_000)[:, 0]
    assert by_kind.mean() == pytest.approx(by_row.mean(), rel=0.005)
    assert by_kind.std() == pytest.approx(by_row.std(), rel=0.03)
    assert by_kind.std() == pytest.approx(values.std() * np.sqrt(200), rel=0.03)


def test_quantiles_are_numpys_and_their_draws_too():
    """Sorted once, a draw's median and 95th percentile are what numpy says of the drawn rows."""
    rng = np.random.default_rng(3)
    values = rng.lognormal(5, 1, (40, 3))
    values[3, 1] = values[7, :] = NAN
    median, p95 = quantiles(values, [0.5, 0.95], "ms")
    assert median.value == pytest.approx(np.nanquantile(values, 0.5))
    assert p95.value == pytest.approx(np.nanquantile(values, 0.95))
    assert (median.n, median.method) == (116, "bootstrap over rows (percentile)")
    drawn = drawn_quantiles(values, [0.5, 0.95], seed=5, draws=50)
    again = np.random.default_rng(5)
    for one in drawn:
        expected = np.nanquantile(values[again.integers(40, size=40)], [0.5, 0.95])
        assert one == pytest.approx(expected)


def test_a_high_quantile_of_few_rows_has_no_interval():
    """Ten rows know nothing of what lies beyond their largest value, and it is said."""
    median, p95 = quantiles(column(*range(10)), [0.5, 0.95], "ms")
    assert median.low is not None
    assert (p95.low, p95.why) == (None, "no interval: it needs 20 rows")


def test_one_row_has_a_value_and_no_bootstrap():
    """One row: Wilson for a share, which knows one row; none for a mean, and said why."""
    figure = mean(column(3.0), "points")
    assert (figure.value, figure.low, figure.n) == (3.0, None, 1)
    assert "5 rows" in figure.why
    assert share(column(1.0)).low == pytest.approx(0.2065, abs=1e-4)


def test_nothing_has_no_value_and_says_why():
    """No row, or none with a value: None, never 0."""
    for values in (np.empty((0, 1)), column(NAN, NAN)):
        for figure in (share(values), mean(values, "ms"), *quantiles(values, [0.5], "ms")):
            assert (figure.value, figure.n) == (None, 0)
            assert figure.why
    assert ratio(np.zeros(3), np.zeros(3), why="never said").why == "never said"
    assert of_sums(np.zeros((9, 2)), ratio_of_sums, "nats", why="empty").why == "empty"


def test_values_that_are_all_alike_have_no_interval():
    """No draw differs: that says nothing of rows that were not asked."""
    figure = mean(column(*[2.0] * 50), "points")
    assert (figure.value, figure.low, figure.why) == (2.0, None, "no interval: all rows are alike")


def test_the_same_seed_draws_the_same():
    """Figures are repeatable to the last digit; another seed differs a little."""
    values = np.random.default_rng(0).normal(size=(50, 2))
    assert mean(values, "ms", 4) == mean(values, "ms", 4)
    assert mean(values, "ms", 4) != mean(values, "ms", 5)


def test_the_bootstraps_p_is_two_sided_and_never_0():
    """By hand: 1 of 99 draws at or below 0: 2 (1 + 1) / (99 + 1) = 0.04; none of 99: 0.02."""
    assert two_sided(np.array([-1.0] + [1.0] * 98)) == pytest.approx(0.04)
    assert two_sided(np.ones(99)) == pytest.approx(0.02)
    assert two_sided(np.zeros(99)) == 1
    assert two_sided(np.full(9, NAN)) is None
