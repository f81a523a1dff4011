"""The charts: well-formed, in words too, honest about gaps, right when there is little to draw."""

import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import pytest

from dashboard.charts import drawing
from dashboard.charts import job as charts
from dashboard.charts.drawing import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Frame, Series
from dashboard.charts.job import Chart, latency, refusals, throughput
from dashboard.charts.scales import short, time_labels, time_ticks, value_ticks
from models.store.pulses import Point

BEGIN = 1_763_840_000
SVG = "{http://www.w3.org/2000/svg}"
MAKERS: list[Callable[[Sequence[Point]], Chart]] = [throughput, latency, refusals]


def a_point(no: int, calls: int = 50, **changes) -> Point:
    """Ten seconds of a job, the `no`-th."""
    values = {"at": BEGIN + 10 * no, "seconds": 10.0, "calls": calls, "refusals": 0, "faults": 0}
    times = {"p50_ms": 300.0, "p95_ms": 700.0} if calls else {"p50_ms": None, "p95_ms": None}
    return Point(**{**values, "tokens": 0, **times, **changes})


def parsed(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg)


def of_class(chart: Chart, name: str) -> list[ElementTree.Element]:
    return [found for found in parsed(chart).iter() if found.get("class") == name]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("count", [0, 1, 2, 120])
def test_a_chart_is_well_formed_and_says_in_words_what_it_shows(make, count: int):
    """Also of no point and of one: a title, a description, a size that a phone can scale."""
    chart = make([a_point(no, refusals=no % 3) for no in range(count)])
    root = parsed(chart)
    assert root.get("role") == "img"
    assert root.get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"
    named = {found.get("id"): found.text for found in root if found.get("id")}
    title, described = (named[name] for name in root.get("aria-labelledby").split())
    assert title == chart.title
    assert described.startswith(chart.summary)
    assert ("From 2025-11-22 19:33:20 to" in described) == (count > 0)
    assert "nan" not in chart.svg
    assert not re.search(r"style=|<script|on\w+=|href", chart.svg)


@pytest.mark.parametrize("make", MAKERS)
def test_everything_lies_inside(make):
    """Whatever the values: no line leaves its picture."""
    values = [(0, 0), (1, 1), (10**9, 10**6), (3, 0)]
    chart = make([a_point(no, calls, refusals=more) for no, (calls, more) in enumerate(values)])
    for mark in parsed(chart).iter():
        numbers = [float(mark.get(name, LEFT)) for name in ("x", "x1", "x2", "cx")]
        assert all(0 <= number <= WIDTH for number in numbers), mark.attrib
        if mark.tag == f"{SVG}path":
            places = re.findall(r"(-?[\d.]+) (-?[\d.]+)", mark.get("d"))
            assert all(LEFT <= float(x) <= WIDTH - RIGHT for x, _ in places)
            assert all(TOP - 1 <= float(y) <= HEIGHT - BOTTOM + 1 for _, y in places)


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_yet_is_said(make):
    """An empty series is a sentence, not an empty frame."""
    chart = make([])
    assert "Nothing has run yet" in chart.summary
    (words,) = of_class(chart, "chart-empty")
    assert words.text == "Nothing has run yet"


def test_a_single_point_is_a_dot():
    """A line of one point could not be seen."""
    chart = throughput([a_point(0)])
    (dot,) = of_class(chart, "chart-dot-calls")
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    assert float(dot.get("cx")) == pytest.approx(middle, abs=1)
    assert not of_class(chart, "chart-line-calls")
    assert "5 calls/s at last" in chart.summary


def test_the_line_breaks_where_nothing_ran():
    """A pause is a gap, not a line through it, and not an average that it pulls down."""
    points = [a_point(no, 0 if 3 <= no < 6 else 100) for no in range(9)]
    chart = throughput(points)
    assert len(of_class(chart, "chart-line-calls")) == 2
    assert "10 on average while it ran" in chart.summary


def test_refused_calls_are_no_gap():
    """A job that was only refused ran, at no calls per second."""
    points = [a_point(0), a_point(1, 0, refusals=5), a_point(2)]
    assert len(of_class(throughput(points), "chart-line-calls")) == 1
    assert len(of_class(latency(points), "chart-dot-p50")) == 2


def test_a_busy_stretch_is_higher_than_a_calm_one():
    """Up is more, and right is later."""
    (line,) = of_class(throughput([a_point(0, 10), a_point(1, 100)]), "chart-line-calls")
    (x1, y1), (x2, y2) = (
        tuple(map(float, place)) for place in re.findall(r"([\d.]+) ([\d.]+)", line.get("d"))
    )
    assert x1 < x2
    assert y1 > y2


def test_latency_changes_its_unit_when_it_grows():
    """Above two seconds nobody reads milliseconds."""
    assert latency([a_point(0)]).title == "Latency, ms"
    slow = latency([a_point(0, p50_ms=2500.0, p95_ms=9000.0)])
    assert slow.title == "Latency, s"
    assert "Half of the last calls within 2.5 s, 95% within 9 s" in slow.summary


def test_refusals_stand_upon_each_other_and_none_is_said():
    """Two colours, one bar; without any the plot says so."""
    chart = refusals([a_point(0, refusals=4, faults=2)])
    (refused,), (fault,) = (of_class(chart, f"chart-bar-{name}") for name in ("refused", "fault"))
    top = float(refused.get("y"))
    assert float(fault.get("y")) + float(fault.get("height")) == pytest.approx(top, abs=0.2)
    assert "4 refused with 429 and 2 other errors" in chart.summary
    calm = refusals([a_point(0)])
    assert not of_class(calm, "chart-bar-refused")
    assert of_class(calm, "chart-empty")[0].text == "None"


def test_what_the_pointer_reads_is_over_its_point():
    """One strip a point with its figures; none over a gap."""
    chart = latency([a_point(0), a_point(1, 0), a_point(2)])
    hints = of_class(chart, "chart-hint")
    assert len(hints) == 2
    assert hints[0].find(f"{SVG}title").text == "19:33:20 UTC: p95 700, p50 (median) 300"


def test_labels_are_escaped():
    """A series' name that is markup stays text."""
    hostile = "<script>alert(1)</script>&"
    frame = Frame.around([a_point(0)], 5)
    series = [Series(hostile, "calls", [5.0])]
    parts = [*drawing.hints(frame, [a_point(0)], series), *drawing.nothing(hostile)]
    root = ElementTree.fromstring(drawing.picture("x", hostile, hostile, parts))
    assert not [found for found in root.iter() if found.tag.endswith("script")]
    assert root[0].text == hostile


def test_the_ids_of_a_page_are_unlike():
    """Three charts on one page: no id twice."""
    ids = [name for chart in charts.of_job([]) for name in re.findall(r' id="([^"]+)"', chart.svg)]
    assert len(ids) == len(set(ids)) == 6


@pytest.mark.parametrize(
    ("most", "labels"),
    [
        (0, "0 1"),
        (0.3, "0 0.1 0.2 0.3"),
        (7, "0 2 4 6 8"),
        (10, "0 2.5 5 7.5 10"),
        (1234, "0 500 1,000 1,500"),
        (8.4e6, "0 2.5M 5M 7.5M 10M"),
        (float("nan"), "0 1"),
    ],
)
def test_values_have_round_ticks(most: float, labels: str):
    """From 0 to the most or just above, in steps that people count in."""
    ticks = value_ticks(most)
    assert [short(tick) for tick in ticks] == labels.split()


@pytest.mark.parametrize("most", [10.0**power * step for power in range(-4, 9) for step in (1, 3)])
def test_ticks_reach_the_most_with_little_above(most: float):
    """Whatever the size: between 3 and 6 ticks, none needlessly far up."""
    ticks = value_ticks(most)
    assert 3 <= len(ticks) <= 6
    assert most * 0.99 <= ticks[-1] <= most * 2


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (60, "19:33:20 19:33:40 19:34:00 19:34:20"),
        (3600, "19:45 20:00 20:15 20:30"),
        (36_000, "20:00 22:00 23+Nov 02:00 04:00"),
        (400_000, "23+Nov 24+Nov 25+Nov 26+Nov 27+Nov"),
    ],
)
def test_times_have_round_ticks(seconds: int, labels: str):
    """Full minutes, hours and days; midnight tells the date."""
    found = time_labels(time_ticks(BEGIN, BEGIN + seconds))
    assert [label.replace(" ", "+") for label in found] == labels.split()


@pytest.mark.parametrize("seconds", [10 * 2**power for power in range(20)])
def test_there_are_some_moments_and_not_too_many(seconds: int):
    """From ten seconds to a few months."""
    ticks = time_ticks(BEGIN, BEGIN + seconds)
    assert 1 <= len(ticks) <= 8
    assert all(BEGIN <= tick <= BEGIN + seconds for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.1234, "0.123"), (99.97, "100"), (1234, "1,230"), (999_999, "1M"), (15e3, "15k")],
)
def test_figures_are_short(value: float, text: str):
    """Three digits, with a letter where there would be many."""
    assert short(value) == text
