"""The charts of a sweep: a line for each run, a line of scores for each number of steps."""

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from dashboard.charts.job import Chart
from dashboard.charts.sweep import STYLES, of_sweep
from models.states import JobState
from models.store.views.trainingpage import SweptRun
from models.tables import TrainingPoint
from models.training import DatasetRef, TrainingSpec

DATA = DatasetRef(name="news", hash="d" * 64, folder="/data", train_rows=9)


def a_run(
    rate: float, loss: float | None = 2.0, *, name: str = "news", **changes: Any
) -> tuple[SweptRun, TrainingSpec]:
    """A run that began at 4 and came to `loss` at step 60."""
    values = {"trainer": "local", "base": "smol", "name": "news", "steps": 60, "dataset": DATA}
    spec = TrainingSpec(**{**values, "learning_rate": rate, **changes})
    told = [(0, 4.0), (60, loss)] if loss is not None else []
    points = [TrainingPoint(job_id="j", step=step, at=1.0, valid_loss=at) for step, at in told]
    return SweptRun("j", name, JobState.RUNNING, "{}", 1, 4.0, loss, validations=points), spec


def charts(*runs: tuple[SweptRun, TrainingSpec]) -> list[Chart]:
    return of_sweep(runs, empty="Nothing was told yet")


def of_class(chart: Chart, name: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(chart.svg)
    return [found for found in root.iter() if found.get("class") == name]


def test_a_run_is_called_by_what_it_differs_in():
    """Only that; by its name where two would be called the same."""
    loss, *_ = charts(a_run(1e-4), a_run(5e-5, steps=120))
    assert [label for label, _style in loss.legend] == ["lr 1e-4, 60 steps", "lr 5e-5, 120 steps"]
    loss, *_ = charts(a_run(1e-4, seed=1), a_run(1e-4, seed=2))
    assert [label for label, _style in loss.legend] == ["seed 1", "seed 2"]
    loss, *_ = charts(a_run(1e-4, name="a"), a_run(1e-4, name="b"))
    assert [label for label, _style in loss.legend] == ["a", "b"]


def test_loss_and_perplexity_are_a_line_for_each_run():
    """Perplexity is e to the loss; the words name the best run."""
    loss, perplexity, _score = charts(a_run(1e-4, math.log(8)), a_run(3e-4, 2.5), a_run(1e-3, None))
    for chart in (loss, perplexity):
        assert len(of_class(chart, "chart-line-run1") + of_class(chart, "chart-line-run2")) == 2
    assert loss.summary == "2 of 3 runs; the lowest is 2.08 at step 60: lr 1e-4."
    assert perplexity.summary == "2 of 3 runs; the lowest is 8 at step 60: lr 1e-4."
    assert "step 60:\nlr 1e-4 2.08\nlr 3e-4 2.5<" in loss.svg


def test_colours_stay_when_the_ranks_change():
    """Lines come by the runs' names."""
    first, second = a_run(1e-4, 3.0, name="news-01"), a_run(5e-5, 2.0, name="news-02")
    assert charts(second, first)[0].legend == charts(first, second)[0].legend


def test_scores_have_a_line_for_each_number_of_steps():
    """A dot for each run, the best of each rate joined, equal factors at equal distances."""
    runs = [a_run(1e-3, 3.0), a_run(1e-5, 2.5), a_run(1e-4, 2.0), a_run(1e-4, 2.2, seed=1)]
    *_, score = charts(*runs)
    assert score.summary == "4 scored; the best loss is 2 at a rate of 1e-4."
    assert score.legend == []
    (line,) = of_class(score, "chart-line-run1")
    xs = [float(x) for x in re.findall(r"[ML]([\d.]+)", line.get("d", ""))]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
    dots = of_class(score, "chart-dot-run1")
    assert len(dots) == 4
    lowest = max(float(dot.get("cy", 0)) for dot in dots)
    assert f" {lowest:.1f}L" in line.get("d", "")
    *_, score = charts(*runs, a_run(1e-4, 1.9, steps=120), a_run(1e-5, 2.1, steps=120))
    assert score.legend == [("60 steps", "run1"), ("120 steps", "run2")]
    assert len(of_class(score, "chart-line-run2")) == 1


@pytest.mark.parametrize("strange", [None, math.nan, math.inf])
def test_what_is_no_number_is_not_scored(strange: float | None):
    """A run that diverged may tell of one."""
    for chart in charts(a_run(1e-4, strange))[2:]:
        assert chart.summary == "Nothing was told yet."
        assert not re.search(r"\bnan\b|\binf\b", chart.svg)


@pytest.mark.parametrize("count", [0, 1, 2, 12, 30])
def test_a_chart_is_well_formed(count: int):
    """However many runs; looks begin again after the last one."""
    for chart in charts(*(a_run(1e-5 * (one + 1), 1 + 1 / (one + 1)) for one in range(count))):
        assert ElementTree.fromstring(chart.svg).get("role") == "img"
        looks = set(re.findall(r"-(run\d+)\"", chart.svg))
        assert looks <= {f"run{one}" for one in range(1, STYLES + 1)}
