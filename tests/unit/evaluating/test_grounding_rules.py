"""The formulas of faithfulness and answer relevancy, against examples worked by hand."""

import math

import pytest

from models.suites import grounding
from models.suites.grounding import cosine, faithfulness, relevancy, supported


def test_faithfulness_is_the_share_of_supported_claims() -> None:
    """The example of the paper's definition: |V| / |S|; without claims there is none."""
    assert faithfulness(2, 4) == 0.5
    assert faithfulness(0, 3) == 0.0
    assert faithfulness(0, 0) is None


def test_relevancy_is_the_mean_cosine_to_the_question() -> None:
    """Worked by hand: cosines 1, 0 and the root of a half."""
    back = [[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]
    found = relevancy([1.0, 0.0], back, noncommittal=[False] * 3)
    assert found == pytest.approx((1 + 0 + math.sqrt(0.5)) / 3)


def test_an_answer_that_all_draws_call_noncommittal_is_not_relevant() -> None:
    """However near its questions are; one draw alone does not decide."""
    near = [[1.0, 0.0], [1.0, 0.0]]
    assert relevancy([1.0, 0.0], near, noncommittal=[True, True]) == 0.0
    assert relevancy([1.0, 0.0], near, noncommittal=[True, False]) == 1.0


def test_relevancy_may_be_below_zero() -> None:
    """A cosine is not cut off: two opposite questions are what they are."""
    assert relevancy([1.0, 0.0], [[-1.0, 0.0]], noncommittal=[False]) == -1.0


def test_a_vector_without_direction_has_no_cosine() -> None:
    """It is not to be had, rather than zero."""
    assert cosine([0.0, 0.0], [1.0, 0.0]) is None
    assert relevancy([1.0, 0.0], [[0.0, 0.0], [1.0, 0.0]], noncommittal=[False, False]) is None
    with pytest.raises(ValueError, match="argument 2"):
        cosine([1.0], [1.0, 2.0])


def test_each_claim_needs_its_verdict() -> None:
    """One too few is told to the judge in the re-ask."""
    one = {"claim": "It rains.", "supported": True}
    assert grounding.complaint_about({"verdicts": [one, one]}, 2) == ""
    assert "3 claims and 2 verdicts" in grounding.complaint_about({"verdicts": [one, one]}, 3)
    assert supported({"verdicts": [one, {**one, "supported": False}]}) == 1
