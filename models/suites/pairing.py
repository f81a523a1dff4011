"""Which answers stand against which before a judge, and what an expert said of two. Pure."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.schema import Criterion, Judge

ALL_PAIRS_UP_TO = 3
"""So many contestants are all compared with each other; of more, the first with each other one.
Fewer than where figures are only counted (`paired.MOST_FOR_ALL_PAIRS`): here each pair is paid."""
WORDS: Mapping[str, float] = {"first": 1.0, "second": -1.0, "tie": 0.0}
"""An expert's preference in words."""

Points = dict[str, int]


def pairs(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Who is compared with whom, each pair once. One more contestant never takes a pair away that
    the first is in."""
    found = combinations(labels, 2)
    if len(labels) <= ALL_PAIRS_UP_TO:
        return list(found)
    return [(labels[0], other) for other in labels[1:]]


def both_orders(one: str, other: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The pair as it is shown first and as it is shown then: a judge's liking for a place cancels
    out over the two."""
    return (one, other), (other, one)


def criteria_told(criteria: Sequence[Criterion]) -> list[dict[str, Json]]:
    """What the judge's prompt reads as `criteria`."""
    return [criterion.model_dump() for criterion in criteria]


def points_of(criteria: Sequence[Criterion], *, wins: bool) -> Points:
    """What an answer has without a judge: all points, or none."""
    return {criterion.name: criterion.points if wins else 0 for criterion in criteria}


def as_text(value: Json) -> str:
    """An answer as a judge reads it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def rows_answers(judge: Judge, row: Mapping[str, Any]) -> tuple[str, str]:
    """The two answers that the row holds; `RowProblem` if one is missing or empty."""
    first, second = (_answer(row, field) for field in (judge.first, judge.second))
    return first, second


def preference(judge: Judge, row: Mapping[str, Any]) -> float:
    """The expert's word in the row as a number, above 0 for the first answer.

    Raises `RowProblem` for anything but `first`, `second`, `tie` or a number.
    """
    given = row.get(judge.preference)
    word = str(given).strip().casefold()
    number = WORDS.get(word)
    if number is None and isinstance(given, str | int | float) and not isinstance(given, bool):
        number = next(_numbers(word), None)
    if number is None:
        raise RowProblem(
            FailureCode.BAD_ROW,
            f"{judge.preference} is {given!r}: give first, second, tie, or a number above 0 for "
            "the first answer and below 0 for the second",
        )
    return number


def _answer(row: Mapping[str, Any], field: str) -> str:
    text = as_text(row[field]).strip() if row.get(field) is not None else ""
    if not text:
        raise RowProblem(FailureCode.BAD_ROW, f"{field} is missing or empty: it is to be judged")
    return text


def _numbers(word: str) -> Iterator[float]:
    try:
        number = float(word)
    except ValueError:
        return
    if math.isfinite(number):
        yield number
