"""Pairs, points and preferences: the pure part of judging."""

from typing import Any

import pytest

from models.recipes.problems import RowProblem
from models.suites.pairing import (
    as_text,
    both_orders,
    pairs,
    points_of,
    preference,
    rows_answers,
)
from models.suites.schema import Criterion, Judge

JUDGE = Judge.model_validate(
    {
        "ask": {"prompt": "{{ first }} {{ second }}"},
        "criteria": [{"name": "right", "description": "It is right.", "points": 2}],
    }
)


def test_two_or_three_are_all_compared_and_more_with_the_first() -> None:
    """All pairs grow too many; against the first one they never do."""
    assert pairs(["a", "b"]) == [("a", "b")]
    assert pairs(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs(["a", "b", "c", "d"]) == [("a", "b"), ("a", "c"), ("a", "d")]


def test_both_orders_of_a_pair_are_shown() -> None:
    """Each stands first once."""
    assert both_orders("a", "b") == (("a", "b"), ("b", "a"))


def test_without_a_judge_there_are_all_points_or_none() -> None:
    """As many as each criterion has."""
    criteria = [Criterion(name="right", description="-", points=2)]
    assert points_of(criteria, wins=True) == {"right": 2}
    assert points_of(criteria, wins=False) == {"right": 0}


def test_an_answer_by_schema_is_judged_as_json() -> None:
    """And with its accents as they are."""
    assert as_text("plain") == "plain"
    assert as_text({"a": "é"}) == '{"a": "é"}'


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("first", 1),
        (" Second ", -1),
        ("TIE", 0),
        (3, 3),
        (-0.5, -0.5),
        (0, 0),
        ("2", 2),
        ("-1.5", -1.5),
    ],
)
def test_an_experts_word_becomes_a_number(said: Any, number: float) -> None:
    """Above 0 for the first; numbers may come as text, as CSV has them."""
    assert preference(JUDGE, {"preference": said}) == number


@pytest.mark.parametrize("said", ["both", "", None, True, [1], "nan", "inf", "1;2"])
def test_any_other_word_fails_the_row(said: Any) -> None:
    """A guess would be counted as the expert's word."""
    with pytest.raises(RowProblem, match="preference is"):
        preference(JUDGE, {"preference": said})


def test_a_row_without_two_answers_fails() -> None:
    """There is nothing to judge."""
    assert rows_answers(JUDGE, {"first": "a", "second": " b "}) == ("a", "b")
    with pytest.raises(RowProblem, match="second is missing or empty"):
        rows_answers(JUDGE, {"first": "a", "second": " "})
