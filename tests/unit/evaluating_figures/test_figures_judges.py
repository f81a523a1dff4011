"""Judges against experts: correlations, agreement and kappa, and which judge to use."""

import itertools

import numpy as np
import pytest
from evaluated import an_evaluation, comparison, figure, found, preferred, report_of, verdicts
from scipy import stats
from sklearn.metrics import cohen_kappa_score

from producers.evaluating.figures.judges import drawn_spearman, kappa_of_sums, spearman


def report(experts, attempts=1, **leads):
    """Rows by the experts' preferences and each judge's lead."""
    rows = [
        list(
            itertools.chain(*(preferred(judge, told[no], expert) for judge, told in leads.items()))
        )
        for no, expert in enumerate(experts)
    ]
    return report_of(an_evaluation("judges", ["-"], attempts, judges=list(leads)), found(*rows))


def random_judges(seed: int, rows: int = 60, noise: float = 1.5):
    rng = np.random.default_rng(seed)
    experts = rng.integers(-2, 3, rows)
    leads = np.clip(np.round(experts + rng.normal(0, noise, rows)), -3, 3)
    return [float(one) for one in experts], [float(one) for one in leads]


@pytest.mark.parametrize("seed", range(3))
def test_they_are_scipys_and_scikit_learns(seed):
    """Spearman, Kendall and kappa of random judges, and agreement by counting."""
    experts, leads = random_judges(seed)
    told = report(experts, good=leads)
    got = {name: figure(told, "good", name).value for name in ("spearman", "kendall", "kappa")}
    expected = {
        "spearman": stats.spearmanr(leads, experts).statistic,
        "kendall": stats.kendalltau(leads, experts).statistic,
        "kappa": cohen_kappa_score(np.sign(experts), np.sign(leads)),
    }
    assert got == pytest.approx(expected)
    agreement = np.mean(np.sign(experts) == np.sign(leads))
    assert figure(told, "good", "agreement").value == pytest.approx(agreement)
    for name in ("spearman", "kendall", "kappa", "agreement"):
        one = figure(told, "good", name)
        assert one.low < one.value < one.high
        assert one.n == 60


def test_kappa_by_hand():
    """Ten rows, first / second: both say first 4, both second 3, they differ in 3 (2 and 1): seen
    0.7; chance 0.6 * 0.5 + 0.4 * 0.5 = 0.5; kappa (0.7 - 0.5) / 0.5 = 0.4."""
    experts = [1.0] * 4 + [-1.0] * 3 + [1.0] * 2 + [-1.0]
    leads = [1.0] * 4 + [-1.0] * 3 + [-1.0] * 2 + [1.0]
    told = report(experts, one=leads)
    assert figure(told, "one", "kappa").value == pytest.approx(0.4)
    assert figure(told, "one", "agreement").value == pytest.approx(0.7)
    counts = np.zeros((4, 4))
    counts[2, 2], counts[0, 0], counts[2, 0], counts[0, 2] = 4, 3, 2, 1
    assert float(kappa_of_sums(counts.ravel())) == pytest.approx(0.4)


def test_draws_of_spearman_are_scipys():
    """Ranks of each draw, ties and all, as scipy's of the drawn rows."""
    experts, leads = random_judges(4)
    valid = np.column_stack([leads, experts])
    rng = np.random.default_rng(9)
    rows = rng.integers(60, size=(30, 60))
    expected = [spearman(*valid[one].T) for one in rows]
    assert drawn_spearman(valid, 9, draws=30)[:, 0] == pytest.approx(expected)


def test_the_interval_of_spearman_is_scipys_bootstrap():
    """Percentiles of paired draws, as scipy's own bootstrap has them."""
    experts, leads = random_judges(5)
    got = figure(report(experts, one=leads), "one", "spearman")
    theirs = stats.bootstrap(
        (leads, experts),
        lambda *both: stats.spearmanr(*both).statistic,
        paired=True,
        vectorized=False,
        method="percentile",
        n_resamples=2000,
        rng=1,
    ).confidence_interval
    assert (got.low, got.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_orders_are_turned_to_the_rows_first():
    """A judge's liking for a place cancels here too: leads 2 + 3 and 2 - 3 are a lead of 2."""
    rows = [
        verdicts("first", "second", (5, 0), (3, 4), judge="biased", expert=1.0),
        verdicts("first", "second", (3, 4), (1, 8), judge="biased", expert=-1.0),
    ]
    told = report_of(an_evaluation("judges", ["-"], judges=["biased"]), found(*rows))
    assert figure(told, "biased", "agreement").value == 1


def test_a_judge_without_a_verdict_agrees_with_nobody():
    """Invalid verdicts lower agreement and kappa, and are left out of correlations, as n says."""
    told = report([1.0, 1.0, -1.0, -1.0], one=[1.0, None, -1.0, None])
    assert figure(told, "one", "agreement").value == 0.5
    assert figure(told, "one", "invalid").value == 0.5
    assert figure(told, "one", "spearman").n == 2
    theirs = cohen_kappa_score([1, 1, -1, -1], [1, 9, -1, 9])
    assert figure(told, "one", "kappa").value == pytest.approx(theirs)


def test_the_better_judge_is_advised_where_it_can_be_told():
    """A judge that follows the experts, and one that rolls dice: use the first, told apart."""
    experts, leads = random_judges(6, 120, 0.5)
    dice = [float(one) for one in np.random.default_rng(1).integers(-3, 4, 120)]
    told = report(experts, dice=dice, good=leads)
    advice = told.sections[0].text
    assert advice.startswith("Use good: ")
    assert advice.endswith("It is better than the others.")
    assert comparison(told, "spearman").test == "paired bootstrap"


def test_judges_that_cannot_be_told_apart_are_named():
    """Two judges as good as each other: one is named, and that it cannot be told from the other."""
    rng = np.random.default_rng(7)
    experts = rng.integers(-2, 3, 40).astype(float)
    one, other = (np.clip(np.round(experts + rng.normal(0, 1.5, 40)), -3, 3) for _ in "12")
    told = report(experts.tolist(), one=one.tolist(), other=other.tolist())
    assert "cannot be told from" in told.sections[0].text


def test_judges_that_are_alike_are_alike():
    """The same verdicts: p is 1, and nobody is better."""
    experts, leads = random_judges(9)
    one = comparison(report(experts, a=leads, b=leads), "spearman")
    assert (one.p, one.verdict) == (1.0, "Alike on all 60 rows.")


def test_a_perfect_judge_is_told_from_chance():
    """Draws of a perfect correlation do not differ: no interval, and no doubt either."""
    experts = [1.0, 2.0, 3.0, -1.0, -2.0, -3.0] * 5
    told = report(experts, perfect=experts)
    assert figure(told, "perfect", "spearman").value == pytest.approx(1)
    assert "chance" not in told.sections[0].text


def test_a_judge_no_better_than_dice_is_not_advised_without_a_word():
    """An interval that holds 0: more rows are asked for."""
    rng = np.random.default_rng(11)
    experts, dice = rng.integers(-2, 3, (2, 40)).astype(float).tolist()
    assert "judge more rows" in report(experts, dice=dice).sections[0].text


@pytest.mark.parametrize("leads", [[1.0] * 8, [None] * 8])
def test_leads_that_never_vary_correlate_with_nothing(leads):
    """All the same, or none: None and why, never 0; and no judge is advised."""
    told = report([1.0, -1.0] * 4, one=leads)
    assert figure(told, "one", "spearman").value is None
    assert figure(told, "one", "spearman").why
    assert told.sections[0].text.startswith("No judge can be named")
