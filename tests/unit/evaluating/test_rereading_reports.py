"""Kept reports read again, also those of other versions."""

from typing import Any

import orjson
import pytest
from report_builders import a_report

from producers.evaluating.report import to_json
from producers.evaluating.rereading import to_report


def kept() -> dict[str, Any]:
    """A report after its way through the database."""
    return dict(orjson.loads(orjson.dumps(to_json(a_report()))))


def test_a_report_is_what_it_was():
    """Nothing is lost on the way to JSON and back."""
    again = to_report(kept())
    assert again is not None
    assert orjson.loads(orjson.dumps(to_json(again))) == kept()


def test_what_is_new_is_passed_over_and_what_lacks_has_its_default():
    """Of a later version, and of an earlier one."""
    told = kept()
    told["of_tomorrow"] = told["summary"]["of_tomorrow"] = 1
    del told["warnings"], told["comparisons"][0]["rows_needed"]
    again = to_report(told)
    assert again is not None
    assert (again.warnings, again.comparisons[0].rows_needed) == ((), None)


@pytest.mark.parametrize("told", [{}, {"summary": 7}, {**kept(), "summary": {"rows": [1]}}])
def test_what_cannot_be_read_is_none(told: dict[str, Any]):
    """No trace for a report that is damaged."""
    assert to_report(told) is None
