"""Letters: accuracy per attempt, spread, consistency, and models that lean to a place."""

import itertools

import numpy as np
import pytest
from evaluated import an_evaluation, comparison, figure, found, report_of, said

from producers.evaluating.figures.choice import always, consistent
from producers.evaluating.figures.gathering import shown_at

NAN = np.nan


def exam(*rows: str, gold: str = "A", **more):
    """Rows by what is said at each attempt; `-` is an answer of no use."""
    attempts = len(rows[0])
    answers = [
        [said("m", None if told == "-" else told, gold, at) for at, told in enumerate(row, 1)]
        for row in rows
    ]
    return report_of(an_evaluation("choice", ["m"], attempts, **more), found(*answers))


def test_accuracy_per_attempt_mean_and_spread():
    """By hand, 4 rows at 3 attempts: right 4, 2 and 3 of 4: 100, 50 and 75%; mean 75%; standard
    deviation sqrt((0.25**2 + 0.25**2 + 0) / 2) = 0.25."""
    told = exam("AAA", "AAA", "ABA", "A-B")
    values = {name: one.value for name, one in told.figures["m"].items()}
    assert values["accuracy"] == 0.75
    assert (values["accuracy_least"], values["accuracy_most"]) == (0.5, 1.0)
    assert values["accuracy_sd"] == pytest.approx(0.25)
    tables = {table.title: table for one in told.sections for table in one.tables}
    each = tables["Each attempt"].rows[0][1:]
    assert [(one.value, one.n, one.method) for one in each] == [
        (1.0, 4, "Wilson"),
        (0.5, 4, "Wilson"),
        (0.75, 4, "Wilson"),
    ]


def test_consistency_is_the_same_valid_option_every_time():
    """Of four rows two always say the same, rightly or not; three invalid answers are no option."""
    told = exam("AAA", "BBB", "ABA", "---")
    assert figure(told, "m", "consistency").value == 0.5
    assert figure(told, "m", "always_right").value == 0.25
    assert figure(told, "m", "invalid").value == 0.25


def test_consistency_needs_two_answers():
    """A row with one answer is neither consistent nor not."""
    value = np.array([[1, 1, NAN], [1, NAN, NAN], [1, 2, NAN], [-1, -1, -1]])
    assert consistent(value) == pytest.approx([1, NAN, 0, 0], nan_ok=True)
    assert always(np.array([[1, NAN], [NAN, NAN], [1, 0]])) == pytest.approx(
        [1, NAN, 0], nan_ok=True
    )


def test_one_attempt_has_no_spread_and_no_consistency():
    """They cannot be had, which is not 0."""
    told = exam("A", "B")
    assert figure(told, "m", "accuracy_sd").value is None
    assert figure(told, "m", "consistency").value is None
    assert "Consistency" not in told.summary.columns


ORDERS = ["".join(order) for order in itertools.permutations("ABCD")]


def leaning(picks):
    """120 rows, the right option at every place as often; `picks(row, order)` says the letter."""
    rows = [[said("m", picks(no, order), "A", order=order)] for no, order in enumerate(ORDERS * 5)]
    return report_of(an_evaluation("choice", ["m"]), found(*rows))


def test_a_model_that_always_picks_the_first_place_is_seen():
    """Right at place 1 always and nowhere else; chosen 100% where 25% is due; warned of."""
    told = leaning(lambda _no, order: order[0])
    tables = {table.title: table for one in told.sections for table in one.tables}
    by_place = tables["Accuracy by the right option's place"].rows[0][1:]
    assert [one.value for one in by_place] == [1, 0, 0, 0]
    assert [one.n for one in by_place] == [30] * 4
    more = tables["Chosen more often than right"].rows[0][1:]
    assert [one.value for one in more] == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert [one for one in told.warnings if "leans to place 1" in one]


@pytest.mark.parametrize("seed", range(3))
def test_a_model_that_reads_the_options_leans_nowhere(seed):
    """Right four times in five, else any letter: no place is warned of."""
    rng = np.random.default_rng(seed)
    told = leaning(lambda _no, _order: "A" if rng.random() < 0.8 else "BCD"[rng.integers(3)])
    assert not [one for one in told.warnings if "leans" in one]


def test_places_without_an_order_are_the_letters_own():
    """Options that were not shuffled stand as they are named."""
    places = {
        (order, letter): shown_at(said("m", letter, "A", order=order), letter)
        for order, letter in (("ABCD", "C"), ("", "C"), ("DCBA", "C"), ("ABCD", None))
    }
    assert list(places.values()) == [2, 2, 1, -1]


def test_models_are_compared_over_all_attempts():
    """Several attempts: the sign test over rows."""
    rows = [
        [
            said(name, value, "A", at)
            for name, value in (("base", "B"), ("tuned", "A"))
            for at in (1, 2)
        ]
        for _ in range(12)
    ]
    told = comparison(report_of(an_evaluation("choice", attempts=2), found(*rows)), "accuracy")
    assert (told.test, told.p) == ("sign test over rows", pytest.approx(2 / 2**12))
    assert told.difference.value == 1
