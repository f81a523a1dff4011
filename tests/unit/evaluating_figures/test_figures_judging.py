"""A judge's verdicts: points, won and lost, and a planted position bias that cancels."""

import numpy as np
import pytest
from evaluated import (
    CRITERIA,
    JUDGE,
    an_evaluation,
    comparison,
    figure,
    found,
    report_of,
    said,
    verdicts,
)
from scipy import stats

from models.suites.outcomes import Verdict

TALL = {**JUDGE, "criteria": [{**CRITERIA[0], "points": 100}]}


def judged(*rows, models=("base", "tuned"), **more):
    return report_of(an_evaluation("pairwise", models, judge=TALL, **more), found(*rows))


def duel(points: list[tuple[int, int]], bias: int = 0):
    """Rows of (base, tuned) points; `bias` goes to whichever is shown first."""
    return judged(
        *(
            verdicts("base", "tuned", (base + bias, tuned), (base, tuned + bias))
            for base, tuned in points
        )
    )


def tables_of(report):
    return {table.title: table for one in report.sections for table in one.tables}


def random_points(seed: int, rows: int = 60):
    rng = np.random.default_rng(seed)
    return [(int(one), int(other)) for one, other in rng.integers(0, 9, (rows, 2))]


def test_points_wins_and_the_sign_test_by_hand():
    """Leads of tuned: +2, +1, 0, -1, +1, +1: won 4 of 6, tied 1, lost 1; sign test of 4 and 1:
    2 * (1 + 5) / 32 = 0.375. Means: base (1+1+2+2+0+0)/6 = 1, tuned (3+2+2+1+1+1)/6 = 10/6."""
    told = duel([(1, 3), (1, 2), (2, 2), (2, 1), (0, 1), (0, 1)])
    assert figure(told, "base", "points").value == pytest.approx(1)
    assert figure(told, "tuned", "points").value == pytest.approx(10 / 6)
    shares = [figure(told, "tuned", name).value for name in ("won", "tied", "lost", "win_rate")]
    assert shares == pytest.approx([4 / 6, 1 / 6, 1 / 6, 4.5 / 6])
    assert figure(told, "base", "won") == figure(told, "tuned", "lost")
    assert figure(told, "tuned", "won").method == "Wilson"
    one = comparison(told, "points")
    assert (one.test, one.p) == ("sign test over rows", pytest.approx(0.375))
    assert one.p == pytest.approx(stats.binomtest(4, 5).pvalue)
    assert one.difference.value == pytest.approx(4 / 6)


@pytest.mark.parametrize("bias", [1, 5, -4])
@pytest.mark.parametrize("seed", range(3))
def test_a_planted_position_bias_cancels_over_both_orders(seed, bias):
    """A judge that gives `bias` points more to whatever it is shown first: differences, intervals,
    tests, wins and losses are exactly those of the judge without it, and it is named."""
    points = [(one + 10, other + 10) for one, other in random_points(seed)]
    fair, biased = duel(points), duel(points, bias)
    one, other = comparison(fair, "points"), comparison(biased, "points")
    assert other.difference.value == pytest.approx(one.difference.value)
    assert (other.difference.low, other.difference.high) == pytest.approx(
        (one.difference.low, one.difference.high)
    )
    assert (other.p, other.told) == (one.p, one.told)
    for name in ("won", "tied", "lost", "win_rate"):
        assert figure(biased, "tuned", name) == figure(fair, "tuned", name)
    raised = figure(biased, "tuned", "points").value - figure(fair, "tuned", "points").value
    assert raised == pytest.approx(bias / 2), "each stands first once"
    place = "first" if bias > 0 else "second"
    assert any(f"leans to the answer shown {place}" in one for one in biased.warnings)
    assert not any("leans" in one for one in fair.warnings)


def test_one_order_alone_would_be_taken_in_by_the_bias():
    """The proof above is of something: the same biased verdicts, base always first, say that base
    is the better one, while both orders say that they are equal."""
    points = [(10, 10)] * 40
    told = duel(points, bias=2)
    assert comparison(told, "points").difference.value == 0
    one_order = [
        (one.first_points["law"], one.second_points["law"])
        for row in points
        for one in verdicts("base", "tuned", (row[0] + 2, row[1]), None)[:1]
    ]
    assert np.mean([base - tuned for base, tuned in one_order]) == 2


def test_disagreement_of_the_orders_is_shown():
    """Three rows: the first shown wins both; the same model wins both; a tie in both."""
    told = judged(
        verdicts("base", "tuned", (3, 1), (1, 3)),
        verdicts("base", "tuned", (1, 3), (1, 3)),
        verdicts("base", "tuned", (2, 2), (2, 2)),
    )
    cells = tables_of(told)["Position bias"].rows[0][1:]
    assert [one.value for one in cells] == pytest.approx([1 / 3, 1 / 3, 0, 2 / 3])
    assert figure(told, "tuned", "tied").value == pytest.approx(2 / 3)


def test_invalid_verdicts_are_counted_and_decide_nothing():
    """One order without a verdict leaves the pair out of points and wins, since the other order's
    bias would stay; the report says how many."""
    told = judged(
        *[verdicts("base", "tuned", (1, 3), (1, 3)) for _ in range(4)],
        verdicts("base", "tuned", (9, 0), None),
    )
    assert figure(told, "tuned", "won").n == 4
    assert figure(told, "base", "points").value == 1
    assert any("1 of 10 verdicts were not valid" in one for one in told.warnings)


def test_no_valid_verdict_at_all():
    """Nothing to compare, and said; no figure is 0 for want of verdicts."""
    told = judged(*[verdicts("base", "tuned", None, None) for _ in range(3)])
    assert figure(told, "tuned", "points").value is None
    assert told.comparisons == []
    assert any("nothing to compare" in one for one in told.warnings)


def test_all_ties_are_alike():
    """Every pair ties: nothing is told, p is 1."""
    told = duel([(2, 2)] * 20)
    one = comparison(told, "points")
    assert (one.p, one.verdict) == (1.0, "Alike on all 20 rows.")
    assert figure(told, "tuned", "tied").value == 1
    assert figure(told, "tuned", "tied").low == pytest.approx(0.8389, abs=1e-4)


def test_an_answer_of_no_use_loses_without_being_judged():
    """It is lost, and in no mean of points, which a judge never gave."""
    row = verdicts("base", "tuned", (0, 100), (0, 100), unasked=True)
    told = judged(*[verdicts("base", "tuned", (2, 1), (2, 1)) for _ in range(9)], row)
    assert figure(told, "tuned", "won").value == pytest.approx(0.1)
    assert figure(told, "tuned", "points").value == 1
    assert comparison(told, "points").rows == 9
    assert any("1 pair went to the judge with an answer" in one for one in told.warnings)


def test_three_models_are_judged_in_their_pairs():
    """Each comparison takes the points of its own pair; a model's mean is over all its pairs."""
    row = [
        *verdicts("a", "b", (1, 2), (1, 2)),
        *verdicts("a", "c", (1, 5), (1, 5)),
        *verdicts("b", "c", (4, 5), (4, 5)),
    ]
    told = judged(*[row] * 6, models=("a", "b", "c"))
    differences = {(one.first, one.second): one.difference.value for one in told.comparisons}
    assert differences == {("a", "b"): 1, ("a", "c"): 4, ("b", "c"): 1}
    assert [figure(told, name, "points").value for name in "abc"] == [1, 3, 5]
    assert [figure(told, name, "win_rate").value for name in "abc"] == [0, 0.5, 1]
    assert told.comparisons[0].family == 3


def test_of_many_models_it_is_said_that_they_met_other_opponents():
    """Of four, the first meets all and these meet it alone: their means and shares in one table
    are over other opponents. Three meet all the others, and nothing is said."""
    row = [one for name in "bcd" for one in verdicts("a", name, (1, 2), (1, 2))]
    told = judged(*[row] * 6, models=("a", "b", "c", "d"))
    assert any("each of the others against a alone" in one for one in told.warnings)
    three = [*verdicts("a", "b", (1, 2), (1, 2)), *verdicts("a", "c", (1, 2), (1, 2))]
    told = judged(*[[*three, *verdicts("b", "c", (1, 1), (1, 1))]] * 6, models=("a", "b", "c"))
    assert not any("alone" in one for one in told.warnings)


def test_attempts_of_a_row_are_one_row_to_the_tests():
    """Two attempts at 8 rows: 16 pairs won, and a sign test of 8."""
    rows = [
        [
            *verdicts("base", "tuned", (1, 2), (1, 2), 1),
            *verdicts("base", "tuned", (1, 3), (1, 3), 2),
        ]
        for _ in range(8)
    ]
    told = judged(*rows, attempts=2)
    assert figure(told, "tuned", "won").n == 16
    assert comparison(told, "points").p == pytest.approx(2 / 2**8)


def test_points_by_criterion():
    """Several criteria: a column for each, by name."""
    criteria = [{"name": name, "description": name, "points": 3} for name in ("law", "style")]
    row = [
        Verdict("judge", one, other, 1, points[one], points[other])
        for points in [{"base": {"law": 1, "style": 3}, "tuned": {"law": 3, "style": 2}}]
        for one, other in (("base", "tuned"), ("tuned", "base"))
    ]
    suite = {**JUDGE, "criteria": criteria}
    told = report_of(an_evaluation("pairwise", judge=suite), found(*[row] * 5))
    got = {
        name: figure(told, "tuned", name).value for name in ("points", "points_law", "points_style")
    }
    assert got == {"points": 5, "points_law": 3, "points_style": 2}


def test_examples_are_of_rows_that_are_won():
    """Rows that one model wins come before those that tie; the note says by how much."""
    answers = [said("base", "x", None), said("tuned", "y", None)]
    told = judged(
        [*answers, *verdicts("base", "tuned", (2, 2), (2, 2))],
        [*answers, *verdicts("base", "tuned", (1, 3), (1, 3))],
    )
    assert [one.row_id for one in told.examples] == ["r1", "r0"]
    assert told.examples[0].note == "The judge gives tuned 4 points more, over both orders."
