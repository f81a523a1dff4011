"""Records of outcomes: what is empty is left out, but not what a model said."""

import json

import pytest

from models.recipes.strict_json import Json
from models.suites.outcomes import Answer, to_outcomes, to_record


@pytest.mark.parametrize("value", ["", [], {}, 0, 0.0, False, "x", None])
def test_a_usable_answer_keeps_its_value_however_empty(value: Json) -> None:
    """`[]` and an empty text are answers; without them an answer could not be used."""
    answer = Answer("m", 1, value=value)
    record = json.loads(json.dumps(to_record(answer)))
    assert record["value"] == value
    assert list(to_outcomes([record])) == [answer]


def test_what_is_empty_besides_is_left_out() -> None:
    """The value too, of an answer that cannot be used."""
    record = to_record(Answer("m", 1, problem="invalid_answer"))
    assert record.keys() == {"what", "model", "attempt", "problem", "paid"}
