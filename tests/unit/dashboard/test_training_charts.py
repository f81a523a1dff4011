"""The charts of trainings: well-formed, in words too, right when there is little to draw."""

import math
import re
from xml.etree import ElementTree

import pytest

from dashboard.charts.drawing import HEIGHT, WIDTH
from dashboard.charts.job import Chart
from dashboard.charts.scales import log_ticks, range_ticks, scientific
from dashboard.charts.training import of_run
from models.tables import TrainingPoint


def a_point(step: int, **told: float | None) -> TrainingPoint:
    return TrainingPoint(job_id="job_1", step=step, at=1.0, **told)


def of_class(chart: Chart, name: str) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(chart.svg)
    return [found for found in root.iter() if found.get("class") == name]


def numbers(chart: Chart) -> list[tuple[float, float]]:
    """The places of its lines and dots."""
    path = r"[ML]([\d.-]+) ([\d.-]+)"
    dots = re.findall(r'cx="([\d.-]+)" cy="([\d.-]+)"', chart.svg)
    return [(float(x), float(y)) for x, y in [*re.findall(path, chart.svg), *dots]]


@pytest.mark.parametrize("count", [0, 1, 2, 120])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_a_chart_is_well_formed_and_everything_lies_inside(count: int, size: float):
    """Of no point and of one too, whatever the values; nothing in it runs or links."""
    points = [
        a_point(step, loss=size / (step + 1), valid_loss=size, learning_rate=1e-4)
        for step in range(count)
    ]
    for chart in of_run(points, points):
        root = ElementTree.fromstring(chart.svg)
        assert root.get("role") == "img"
        assert not re.search(r"style=|<script|on\w+=|href|nan|inf", chart.svg)
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in numbers(chart))
        assert ("Nothing was told" in chart.summary) == (not numbers(chart))


def test_the_words_tell_what_the_picture_shows():
    """The newest and the first of each curve; perplexity is e to the loss."""
    losses = [a_point(1, loss=4.0, learning_rate=2e-5), a_point(80, loss=2.25, learning_rate=1e-4)]
    validations = [a_point(0, valid_loss=4.3), a_point(80, valid_loss=math.log(8))]
    loss, perplexity, rate = of_run(losses, validations)
    assert loss.summary == (
        "Training 2.25 at step 80, from 4 at step 1; "
        "Validation 2.08 at step 80, from 4.3 at step 0."
    )
    assert loss.legend == [("training", "train"), ("validation", "valid")]
    assert perplexity.summary.startswith("Perplexity 8 at step 80, from 73.7")
    assert rate.summary.startswith("Learning rate 1e-4 at step 80, from 2e-5")
    assert len(of_class(loss, "chart-dot-valid")) == 2
    assert "step 80: training 2.25, validation 2.08" in loss.svg


@pytest.mark.parametrize("strange", [None, math.nan, math.inf])
def test_what_is_no_number_is_not_drawn(strange: float | None):
    """A run that diverged may tell of one."""
    (loss, *_) = of_run([a_point(1, loss=3.0), a_point(2, loss=strange)], [])
    assert loss.summary == "Training 3 at step 1."


def test_a_hosted_run_has_no_curve_of_rates_and_what_is_over_tells_no_more():
    """Its provider does not tell any; and "yet" is said only while something may follow."""
    charts = of_run([], [], empty="Nothing was told", has_rate=False)
    assert [chart.summary for chart in charts] == ["Nothing was told."] * 2
    assert not any("yet" in chart.svg for chart in charts)


def test_a_curve_that_hardly_moves_has_labels_that_differ():
    """Three digits would all be the same."""
    (loss, *_) = of_run([a_point(1, loss=2.3001), a_point(2, loss=2.3004)], [])
    labels = [found.text for found in of_class(loss, "chart-label")]
    assert len(labels) == len(set(labels))


def test_ticks_are_round_and_reach_around_the_values():
    """Steps are whole; rates go by 1, 2, 5, or by powers where those are many."""
    assert range_ticks(2.1, 4.3) == [2.0, 3.0, 4.0, 5.0]
    assert range_ticks(0, 2, least=1.0) == [0.0, 1.0, 2.0]
    assert range_ticks(0, 0) == [-0.5, -0.25, 0.0, 0.25, 0.5]
    assert log_ticks(5e-5, 1e-4) == pytest.approx([2e-5, 5e-5, 1e-4, 2e-4])
    assert log_ticks(1e-6, 1e-3) == pytest.approx([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert [scientific(one) for one in (0, 1e-4, 2.5e-5, 1.0)] == ["0", "1e-4", "2.5e-5", "1e0"]


@pytest.mark.parametrize("values", [(1e-4, 0.00010000000000000002), (2.5, 2.5000000000000004)])
def test_values_apart_by_rounding_alone_are_drawn_as_one(values: tuple[float, float]):
    """A constant rate whose last digits waver has no axis of its own noise."""
    points = [a_point(step, learning_rate=rate) for step, rate in enumerate(values)]
    rate = of_run(points, [])[2]
    assert len({y for _x, y in numbers(rate)}) == 1
    assert len(set(range_ticks(*values))) > 1


def test_values_beyond_any_axis_are_left_out():
    """As what is no number is: their span would have no end."""
    for beyond in (1.7e308, -1.7e308, math.inf, math.nan):
        points = [a_point(1, loss=2.0), a_point(2, loss=beyond)]
        assert of_run(points, [])[0].summary == "Training 2 at step 1."
