"""An evaluation's kept report on its job's page: figures in words, charts as SVG."""

import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as Tree

import orjson
import pytest
from report_builders import BASE, TUNED, a_report

from dashboard.charts import evaluation as measured
from dashboard.evaluation import asked_of, report_facts

HOSTILE = '<script>alert(1)</script>"x" \x1b[31m\u202e'


def kept(**changes: Any) -> dict[str, Any]:
    """A report after its way through the database."""
    return dict(orjson.loads(orjson.dumps(asdict(a_report(**changes)))))


def a_chart(form: str = "bars", **changes: Any) -> dict[str, Any]:
    """Two models, two figures."""
    series = [
        {"name": "a", "values": [0.5, None], "low": [0.4, None], "high": [0.6, None], "xs": []},
        {"name": "b", "values": [0.8, 0.2], "low": [], "high": [], "xs": []},
    ]
    usual = {"title": "Shares", "form": form, "labels": ["x", "y"], "series": series}
    return {**usual, "unit": "share", "x_title": "", **changes}


def drawn(chart: dict[str, Any]) -> Tree.Element:
    """The picture of a report's only chart."""
    (found,) = measured.of_report({"sections": [{"charts": [chart]}]})
    return Tree.fromstring(found.svg)


def styles(picture: Tree.Element) -> list[str]:
    """The classes of its parts."""
    return [part.get("class", "") for part in picture.iter()]


def test_figures_are_worded():
    """With interval, n, and a letter for what is missing."""
    facts = report_facts(orjson.dumps(kept()).decode())
    assert facts is not None
    first = facts.lines[0]
    assert (first.name, first.cells[0].column) == (BASE, "Accuracy")
    assert str(first.cells[0].words) == "87.0% [81.6, 91.0] n=200"
    assert [cell.mark for cell in facts.lines[2].cells][:3] == ["", "a", "b"]
    assert facts.notes[0] == ("a", "no interval: all rows are alike")
    assert [one.is_told for one in facts.verdicts] == [True, False]
    assert TUNED in facts.verdicts[0].text


@pytest.mark.parametrize("report", ["", "{}", "[]", '{"summary": {"rows": [[]]}}'])
def test_what_cannot_be_read_is_none(report: str):
    """The page says so, and stands."""
    assert report_facts(report) is None


def test_an_unreadable_spec_is_said_to_be_so():
    """Of another version, or damaged; a pipeline asks nothing itself."""
    assert asked_of("{") == [("Suite", "this version cannot read it")]
    assert asked_of("{}") == []


def test_bars_lie_with_their_intervals():
    """One for each value that is there, its figure at its end."""
    picture = drawn(a_chart())
    found = styles(picture)
    assert sum(one.startswith("chart-bar-run") for one in found) == 3
    assert found.count("chart-whisker") == 3
    values = [part.text for part in picture.iter() if part.get("class") == "chart-value"]
    assert values == ["50.0%", "80.0%", "20.0%"]


def test_a_negative_bar_points_the_other_way():
    """Differences may be below nothing."""
    series = [{"name": "a", "values": [-2.0], "low": [-3.0], "high": [-1.0]}]
    picture = drawn(a_chart(labels=["x"], series=series, unit="points"))
    (bar,) = [part for part in picture.iter() if part.get("class") == "chart-bar-run1"]
    assert float(bar.get("x", 0)) >= measured.NAMES
    assert float(bar.get("width", 0)) > 0


def test_a_matrix_has_a_cell_per_pair():
    """The more of its row, the darker."""
    picture = drawn(a_chart("matrix", unit="count"))
    cells = [part for part in picture.iter() if part.get("class") == "chart-cell"]
    assert len(cells) == 4
    shades = [float(cell.get("fill-opacity", 0)) for cell in cells]
    assert shades[0] > shades[2] > shades[3] > shades[1]


def test_lines_go_over_their_own_places():
    """As the curves of trainings do."""
    series = [{"name": "a", "values": [3.0, None, 2.0], "xs": [0, 10, 20]}]
    picture = drawn(a_chart("lines", labels=[], series=series, unit="nats", x_title="step"))
    assert "chart-line-run1" in styles(picture)


def test_what_cannot_be_drawn_here_is_in_the_report():
    """Histograms, charts of nothing, and more than the page has room for."""
    empty = a_chart(series=[{"name": "a", "values": [None]}])
    charts = [a_chart("histogram"), empty, *[a_chart()] * 9]
    found = measured.of_report({"sections": [{"charts": charts}]})
    assert len(found) == measured.DRAWN
    ids = [re.findall(r' id="([^"]+)"', one.svg) for one in found]
    assert len({one for each in ids for one in each}) == 2 * measured.DRAWN


@pytest.mark.parametrize("form", ["bars", "matrix", "lines"])
def test_hostile_names_are_text(form: str):
    """In labels, legends, titles: the picture stays a picture."""
    series = [{"name": HOSTILE, "values": [1.0, 2.0]}, {"name": "b", "values": [1.0, 3.0]}]
    picture = drawn(
        a_chart(form, title=HOSTILE, labels=[HOSTILE, "y"], series=series, x_title=HOSTILE)
    )
    assert not [part for part in picture.iter() if part.tag.endswith("script")]
    assert not {"\x1b", "\u202e"} & set("".join(picture.itertext()))
