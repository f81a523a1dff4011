"""What runs of a sweep are ranked by: one figure of a suite, or the mean of several."""

from producers.evaluating.report import Figure
from producers.pipelines.ranking import mean_of

FOUND = {"faithfulness": Figure(0.9), "relevancy": Figure(0.5), "claims": Figure(None)}


def test_one_figure_is_itself() -> None:
    """As `rank_by = "general.toml:faithfulness"` says."""
    assert mean_of(FOUND, ["faithfulness"]) == 0.9


def test_several_are_their_mean() -> None:
    """As `rank_by = "general.toml:faithfulness+relevancy"` says."""
    assert mean_of(FOUND, ["faithfulness", "relevancy"]) == 0.7


def test_a_run_that_lacks_one_has_none() -> None:
    """A figure that cannot be had, or is none of the suite's, is not passed over."""
    assert mean_of(FOUND, ["faithfulness", "claims"]) is None
    assert mean_of(FOUND, ["faithfulness", "f1"]) is None
    assert mean_of({}, ["faithfulness"]) is None
