"""Two models on the same rows: McNemar, the sign test, the bootstrap, Holm, and plain words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import tt_solve_power

from models.suites.pairing import ALL_PAIRS_UP_TO
from producers.evaluating.figures.classification import f1_of
from producers.evaluating.figures.intervals import ratio_of_sums
from producers.evaluating.figures.paired import (
    MCNEMAR,
    MOST_FOR_ALL_PAIRS,
    SIGN,
    Metric,
    Paired,
    compare_hits,
    compare_ratios,
    compare_values,
    holm,
    mcnemar,
    pairs,
    sign_test,
)
from producers.evaluating.figures.resampling import swapped
from producers.evaluating.figures.verdicts import comparisons_of, p_value, rounded
from producers.evaluating.report import Figure

ACCURACY = Metric("accuracy")


def hits(*values: float) -> np.ndarray:
    return np.array(values, float)[:, None]


def two(both: int, only_first: int, only_second: int, neither: int) -> dict[str, np.ndarray]:
    """Two models, by how many rows each gets right."""
    counts = (both, only_first, only_second, neither)
    first, second = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)
    return {"base": hits(*first), "tuned": hits(*second)}


def test_mcnemar_by_hand_and_by_statsmodels():
    """1 row for the first, 9 for the second: 2 (1 + 10) / 2**10 = 22 / 1024 = 0.021484375."""
    found = compare_hits(ACCURACY, two(20, 1, 9, 10), 0)[0]
    assert found.p == pytest.approx(22 / 1024)
    assert found.p == pytest.approx(their_mcnemar([[20, 1], [9, 10]], exact=True).pvalue)
    assert (found.test, found.rows, found.differing) == (MCNEMAR, 40, 10)
    assert found.difference.value == pytest.approx(8 / 40)


@pytest.mark.parametrize("seed", range(5))
def test_mcnemar_is_the_sign_test_of_single_attempts(seed):
    """For one attempt, the exact McNemar is the sign test over rows that differ."""
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 2, (2, 60, 1)).astype(float)
    assert mcnemar(first, second) == pytest.approx(sign_test((second - first)[:, 0]))


def test_rows_that_one_model_did_not_answer_are_not_compared():
    """A row without a value of both is in no pair."""
    values = two(10, 0, 8, 2)
    values["tuned"][-1] = np.nan
    found = compare_hits(ACCURACY, values, 0)[0]
    assert (found.rows, found.difference.n) == (19, 19)


def test_several_attempts_take_the_sign_test_over_rows():
    """Rows, not attempts, are counted: 6 rows at 3 attempts, each better by one: 2 / 2**6."""
    first = np.array([[0, 0, 1]] * 6, float)
    second = np.array([[1, 0, 1]] * 6, float)
    found = compare_hits(ACCURACY, {"a": first, "b": second}, 0)[0]
    assert (found.test, found.p) == (SIGN, pytest.approx(2 / 64))
    assert found.p == pytest.approx(stats.binomtest(6, 6).pvalue)


def test_the_interval_of_a_difference_is_scipys_paired_bootstrap():
    """The differences of rows, drawn: as scipy's BCa of the mean difference."""
    rng = np.random.default_rng(2)
    first = rng.normal(1.4, 0.5, 80)
    second = first + rng.normal(0.3, 0.6, 80)
    values = {"a": first[:, None], "b": second[:, None]}
    found = compare_values(Metric("points", "points"), values, 0)[0]
    theirs = stats.bootstrap((second - first,), np.mean, n_resamples=9999, method="BCa", rng=0)
    low, high = theirs.confidence_interval
    assert found.difference.value == pytest.approx((second - first).mean())
    got = (found.difference.low, found.difference.high)
    assert got == pytest.approx((low, high), abs=0.1 * (high - low))
    assert found.difference.method == "paired bootstrap over rows (BCa)"


def test_ratios_weigh_rows_by_their_size():
    """By hand: 10 nats of 10 tokens and 90 of 30 are 100 / 40 = 2.5 nats a token; the other has 5
    and 60, 65 / 40 = 1.625: -0.875 (a mean of the rows' own ratios would say -0.75)."""
    one, other = np.tile([[10, 10], [90, 30]], (5, 1)), np.tile([[5, 10], [60, 30]], (5, 1))
    metric = Metric("loss", "nats", higher_is_better=False)
    found = compare_ratios(metric, {"a": one.astype(float), "b": other.astype(float)}, 0)[0]
    assert found.difference.value == pytest.approx(-0.875)
    assert found.p == pytest.approx(2 / 2**10)
    assert "b is better than a by 0.875 nats" in comparisons_of([found])[0].verdict


def test_swapping_by_hand_and_by_scipy():
    """Six rows, each better by 1: only all coins alike differ as much: 2 / 2**6 = 0.03125. And as
    scipy's own permutation test of paired samples, for a mean of uneven differences."""
    first, second = np.array([[0.0, 1.0]] * 6), np.array([[1.0, 1.0]] * 6)
    assert swapped(first, second, ratio_of_sums, 0, 50_000) == pytest.approx(2 / 64, abs=0.003)
    rng = np.random.default_rng(3)
    one, other = rng.normal(0, 1, 40), rng.normal(0.3, 1, 40)
    parts = [np.column_stack([values, np.ones(40)]) for values in (one, other)]
    theirs = stats.permutation_test(
        (one, other), lambda a, b: (b - a).mean(), permutation_type="samples", rng=0
    )
    ours = swapped(*parts, ratio_of_sums, 0, 20_000)
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)
    assert swapped(np.zeros((3, 2)), np.zeros((3, 2)), ratio_of_sums, 0) is None


def test_like_models_are_called_different_one_time_in_twenty():
    """F1 of two models that are the same but for chance, 100 rows, 1,000 times: 5%, not more."""
    rng, told = np.random.default_rng(42), 0
    for seed in range(1000):
        gold = (rng.random(100) < 0.7).astype(int)
        ease = rng.beta(2, 1, 100)
        cells = np.zeros((2, 100, 6))
        for one in cells:
            one[np.arange(100), gold * 3 + np.where(rng.random(100) < ease, gold, 1 - gold)] = 1
        told += swapped(*cells, f1_of(0, 2), seed, 400) < 0.05
    assert 0.03 <= told / 1000 <= 0.065


def test_holm_by_hand_and_by_statsmodels():
    """0.01, 0.03, 0.04: times 3, 2, 1 and never below the one before: 0.03, 0.06, 0.06."""
    assert holm([0.04, None, 0.01, 0.03]) == [
        pytest.approx(0.06),
        None,
        pytest.approx(0.03),
        pytest.approx(0.06),
    ]
    theirs = multipletests([0.04, 0.01, 0.03], method="holm")[1]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx(list(theirs))
    assert holm([None]) == [None]


def test_few_models_are_all_compared_and_many_with_the_first():
    """Up to four: every pair. Five: four pairs."""
    assert len(pairs("abcd")) == 6
    assert pairs("abcde") == [("a", "b"), ("a", "c"), ("a", "d"), ("a", "e")]
    assert pairs("a") == []


def test_the_guide_says_who_is_compared_with_whom():
    """With the numbers that the code has, wherever it speaks of it."""
    guide = " ".join(Path("docs/suites.md").read_text("utf-8").split())
    words = ("two", "three", "four", "five")
    few, judged = words[MOST_FOR_ALL_PAIRS - 2], words[ALL_PAIRS_UP_TO - 2]
    told = f"Up to {few} are all compared with each other (up to {judged} before a judge), of more"
    assert told in guide
    assert f"Up to {few} models are all compared with each other; of more, the first" in guide
    assert f"Up to {judged} are all judged in pairs; of more, the first" in guide
    assert "the one that others are compared with" not in guide


def test_a_clear_difference_is_told_in_words():
    """The second model is better, by how much, with the p that was corrected."""
    told = comparisons_of(compare_hits(ACCURACY, two(50, 0, 30, 20), 0))[0]
    assert told.told
    assert told.verdict == "tuned is better than base by 30.0 percentage points (p < 0.001)."
    assert told.rows_needed is None


def test_verdicts_go_by_the_corrected_p():
    """One comparison of p = 0.039 is told; as one of six it is not, and Holm is named."""
    one = compare_hits(ACCURACY, two(20, 1, 8, 10), 0)[0]
    assert one.p == pytest.approx(20 / 512)
    assert comparisons_of([one])[0].told
    others = [replace(one, p=0.5) for _ in range(5)]
    told = comparisons_of([one, *others])[0]
    assert (told.told, told.family, told.adjusted) == (False, 6, pytest.approx(6 * 20 / 512))
    assert "Holm for 6 comparisons" in told.verdict
    assert "a hint, no proof" in told.verdict


def test_too_few_rows_say_how_many_would_tell():
    """3 of 20 rows more: not told; the number needed is in the verdict."""
    told = comparisons_of(compare_hits(ACCURACY, two(10, 2, 5, 3), 0))[0]
    assert not told.told
    assert told.rows_needed > 20
    assert f"about {rounded(told.rows_needed)} would be needed" in told.verdict
    assert "15.0 percentage points" in told.verdict


@pytest.mark.parametrize("effect", [0.1, 0.25])
def test_rows_needed_are_those_of_the_t_tests_power(effect):
    """For a difference of `effect` standard deviations, statsmodels says about as many."""
    rng = np.random.default_rng(1)
    away = rng.normal(size=400)
    away = (away - away.mean()) / away.std() + effect
    values = {"a": np.zeros((400, 1)), "b": away[:, None]}
    found = compare_values(Metric("points", "points"), values, 0)[0]
    theirs = tt_solve_power(effect_size=effect, alpha=0.05, power=0.8)
    assert found.needed(1) == pytest.approx(theirs, rel=0.1)
    assert found.needed(10) > found.needed(1)


def test_rows_needed_are_connors_for_right_and_wrong():
    """Connor (1987): (z_a sqrt(q) + z_b sqrt(q - d2))2 / d2, q the share of rows that differ:
    q = 0.3, d = 0.1: (1.96 * 0.5477 + 0.8416 * 0.5385)2 / 0.01 = (1.0735 + 0.4532)2 / 0.01 = 233.
    """
    found = compare_hits(ACCURACY, two(40, 10, 20, 30), 0)[0]
    assert found.needed(1) == pytest.approx(233, rel=0.08)


def test_identical_models_are_alike():
    """No row differs: p is 1, no number of rows would tell, and the words are plain."""
    told = comparisons_of(compare_hits(ACCURACY, two(30, 0, 0, 10), 0))[0]
    assert (told.p, told.difference.value, told.rows_needed) == (1.0, 0.0, None)
    assert told.verdict == "Alike on all 40 rows."


def test_equal_models_that_differ_are_not_called_better():
    """As many rows for one as for the other: no difference, and no number of rows needed."""
    told = comparisons_of(compare_hits(ACCURACY, two(10, 7, 7, 10), 0))[0]
    assert (told.told, told.rows_needed, told.p) == (False, None, 1.0)
    assert told.verdict.startswith("Cannot be told from chance on 34 rows")


def test_one_row_and_no_row_are_no_comparison():
    """One row: no interval, not told. None: nothing to compare, and no p."""
    one = comparisons_of(compare_hits(ACCURACY, two(0, 0, 1, 0), 0))[0]
    assert (one.told, one.difference.low, one.rows) == (False, None, 1)
    values = {"a": hits(1, np.nan), "b": hits(np.nan, 1)}
    none = comparisons_of(compare_hits(ACCURACY, values, 0))[0]
    assert (none.p, none.adjusted, none.rows) == (None, None, 0)
    assert none.verdict.startswith("Nothing to compare")


def test_losses_are_better_when_they_are_lower():
    """A metric that is better low turns the words around."""
    metric = Metric("loss", "nats", higher_is_better=False)
    rng = np.random.default_rng(0)
    base = rng.normal(3, 0.1, (40, 1))
    told = comparisons_of(compare_values(metric, {"base": base, "worse": base + 0.2}, 0))[0]
    assert told.verdict.startswith("worse is worse than base by 0.200 nats")


def test_words_for_numbers():
    """p to three digits where it matters; numbers of rows to two."""
    assert [p_value(p) for p in (0.0004, 0.0213, 0.5)] == ["p < 0.001", "p = 0.021", "p = 0.50"]
    assert [rounded(n) for n in (7, 42, 1234, 98_765)] == ["7", "42", "1,300", "99,000"]


def test_a_difference_that_is_noise_of_the_arithmetic_needs_no_number_of_rows() -> None:
    """A report is JSON, whose whole numbers end at 64 bits; and nobody asks 10^30 rows."""
    noise = Figure(5e-17, "share", n=24)
    found = Paired(Metric("f"), "a", "b", noise, rows=24, differing=2, error=0.05)
    assert found.needed(1) is None


def test_among_several_pairs_a_verdict_names_its_own():
    """Alike, or not to be told from chance: between whom stands in the verdict itself."""
    hits = {**two(40, 10, 20, 30), "c": two(40, 10, 20, 30)["base"]}
    told = comparisons_of(compare_hits(ACCURACY, hits, 0))
    assert len(told) == 3
    silent = [one for one in told if not one.told]
    assert silent
    for one in silent:
        assert one.verdict.startswith(f"{one.second} against {one.first}: ")
    assert any(one.verdict == "c against base: alike on all 100 rows." for one in silent)
