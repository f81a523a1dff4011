"""Options shuffled, and the right one found."""

import math
from collections import Counter
from typing import Any

import pytest

from models.recipes.problems import RowProblem
from models.suites.schema import Choice
from models.suites.shuffling import (
    gold_letter,
    options_of,
    order_shown,
    permutation,
    shown_options,
)

TOLD = Choice()
ROW = {"options": {"A": "one", "B": "two", "C": "three", "D": "four"}, "answer": "C"}
DRAWS = 24_000
PINNED = [[2, 3, 1, 0], [0, 3, 2, 1]]


def shown(attempt: int = 1, *, seed: int = 0, row_id: str = "r1") -> str:
    return order_shown(shown_options(TOLD, ROW, seed=seed, row_id=row_id, attempt=attempt))


def test_an_order_depends_on_seed_row_and_attempt_and_on_nothing_else() -> None:
    """The same for every model and every run; another for other attempts, seeds and rows."""
    assert shown() == shown()
    assert len({shown(attempt) for attempt in range(1, 60)}) > 15
    assert len({shown(seed=seed) for seed in range(60)}) > 15
    assert len({shown(row_id=f"r{no}") for no in range(60)}) > 15


def test_an_order_is_the_same_for_ever() -> None:
    """Evaluations are repeated for nothing only if this never changes."""
    assert [permutation(4, f"0/{no}/r1") for no in (1, 2)] == PINNED


def test_every_order_is_equally_likely() -> None:
    """24 orders over 24,000 draws: chi-square is where 23 degrees of freedom put it."""
    counted = Counter(tuple(permutation(4, f"0/1/row-{no}")) for no in range(DRAWS))
    expected = DRAWS / math.factorial(4)
    chi_square = sum((seen - expected) ** 2 / expected for seen in counted.values())
    assert len(counted) == 24
    assert 8.0 < chi_square < 44.2, "0.1% and 99.5% of the distribution"


def test_every_place_gets_every_option() -> None:
    """Also of 26 options, each stands everywhere about as often."""
    counted = Counter(at for no in range(5_200) for at in [permutation(26, str(no)).index(0)])
    assert len(counted) == 26
    assert max(counted.values()) < 2 * min(counted.values())


def test_shown_letters_go_from_a_in_the_order_shown() -> None:
    """What is shown under A is what the order names first."""
    options = shown_options(TOLD, ROW, seed=1, row_id="r1", attempt=1)
    assert [one.letter for one in options] == ["A", "B", "C", "D"]
    assert {one.own: one.text for one in options} == ROW["options"]
    assert order_shown(options) != "ABCD"


def test_options_that_are_not_shuffled_stand_as_in_the_row() -> None:
    """A list gets letters of its own."""
    still = Choice(shuffle=False)
    row = {"options": ["x", "y", 3]}
    options = shown_options(still, row, seed=0, row_id="r", attempt=1)
    assert [(one.letter, one.own, one.text) for one in options] == [
        ("A", "A", "x"),
        ("B", "B", "y"),
        ("C", "C", "3"),
    ]


@pytest.mark.parametrize(
    ("options", "gold", "letter"),
    [
        (ROW["options"], "C", "C"),
        (ROW["options"], "c", "C"),
        (ROW["options"], "(C)", "C"),
        (ROW["options"], "three", "C"),
        (ROW["options"], " Three ", "C"),
        (["one", "two"], "B", "B"),
        (["one", "two"], "two", "B"),
        ({"1": "one", "2": "two"}, 2, "2"),
        ({"1": "one", "2": "two"}, "2", "2"),
        (["1", "2", "3"], 3, "C"),
        ({"a)": "x", "b)": "y"}, "B", "b"),
        (["A", "B"], "a", "A"),
    ],
)
def test_the_right_option_is_named_by_letter_or_by_text(
    options: Any, gold: object, letter: str
) -> None:
    """Whatever the case and the brackets around it."""
    assert gold_letter(TOLD, {"options": options, "answer": gold}) == letter


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**ROW, "answer": "E"}, "none of the options"),
        ({**ROW, "answer": "seven"}, "none of the options"),
        ({**ROW, "answer": None}, "letter or text"),
        ({**ROW, "answer": True}, "letter or text"),
        ({**ROW, "answer": ["A"]}, "letter or text"),
        ({"options": ["x", "y"], "answer": 1}, "none of the options"),
        ({"options": ["B", "A"], "answer": "A"}, "means two options"),
        ({"options": ["x"], "answer": "A"}, "1 options"),
        ({"options": [], "answer": "A"}, "0 options"),
        ({"options": ["x"] * 27, "answer": "A"}, "0 options"),
        ({"options": ["x", "X "], "answer": "A"}, "say the same"),
        ({"options": ["x", ""], "answer": "A"}, "has to be a text"),
        ({"options": ["x", None], "answer": "A"}, "has to be a text"),
        ({"options": ["x", {"y": 1}], "answer": "A"}, "has to be a text"),
        ({"options": "x or y", "answer": "A"}, "list of texts"),
        ({"answer": "A"}, "list of texts"),
        ({"options": {"first": "x", "second": "y"}, "answer": "first"}, "is no letter"),
        ({"options": {"a": "x", "A": "y"}, "answer": "A"}, "same letter"),
    ],
)
def test_a_row_that_cannot_be_asked_says_why(row: dict[str, Any], why: str) -> None:
    """It fails by name before anything is paid for it."""
    with pytest.raises(RowProblem, match=why):
        gold_letter(TOLD, row)


def test_26_options_are_asked() -> None:
    """As many as there are letters."""
    assert options_of(TOLD, {"options": [f"text {no}" for no in range(26)]})[-1].letter == "Z"
