"""The charts of an evaluation's report in the dashboard's look. Pure: kept JSON in, SVG out.

Bars lie, since names of figures and models are long; their intervals are drawn over them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from dashboard.charts.drawing import WIDTH, picture, ruled, written
from dashboard.charts.job import Chart
from dashboard.charts.scales import range_ticks, short
from dashboard.charts.sweep import style_of
from dashboard.charts.training import Curve, Look
from dashboard.charts.training import chart as curves
from models.figure_words import written as figure
from models.words import safe

Told = Mapping[str, Any]
DRAWN = 4
"""Charts on the job's page; all of them are in the report."""
MOST_LABELS = 20
NAMES, ENDS = 128, 52
"""Room for names on the left and for figures on the right."""
BAR, GAP, TOP, FOOT = 13, 12, 8, 24
CELL = 30
CUT = 20
FULL = 0.85


def of_report(report: Told) -> list[Chart]:
    """The first charts of the report that can be drawn here."""
    told = [chart for section in report.get("sections", ()) for chart in section.get("charts", ())]
    known = (one for one in told if one.get("form") in _DRAWN and _values(one))
    return [
        _DRAWN[chart["form"]](chart, number)
        for number, chart in zip(range(1, DRAWN + 1), known, strict=False)
    ]


def bars(told: Told, number: int) -> Chart:
    """A group of bars per label."""
    labels, series = _parts(told)
    ends = [end for one in series for end in _ends(one, len(labels))]
    ticks = range_ticks(min(0.0, *ends), max(*ends, 1e-9))
    left, right = NAMES, WIDTH - ENDS

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left)

    group = BAR * len(series) + GAP
    bottom = TOP + group * len(labels)
    parts = [*_axis(told, ticks, x, bottom)]
    for place, label in enumerate(labels):
        y = TOP + group * place + GAP / 2
        middle = y + BAR * len(series) / 2 + 4
        parts.append(written(left - 6, middle, _cut(label), "name", "end"))
        for at, one in enumerate(series):
            parts += _bar(told, one, place, x, y + BAR * at, style_of(at))
    return _chart(told, number, parts, bottom + FOOT, _legend(series))


def _axis(told: Told, ticks: Sequence[float], x: Any, bottom: float) -> Iterator[str]:
    for tick in ticks:
        yield ruled(x(tick), TOP, x(tick), bottom, "grid" if tick else "axis")
        yield written(x(tick), bottom + 16, _tick(tick, _unit(told)), "label", "middle")


def _bar(told: Told, one: Told, place: int, x: Any, y: float, style: str) -> Iterator[str]:
    value = _at(one, "values", place)
    if value is None:
        return
    low, high = _at(one, "low", place), _at(one, "high", place)
    start, end = sorted((x(0.0), x(value)))
    middle = y + BAR / 2 - 1
    told_as = f"{safe(one.get('name', ''), 60)}: {figure(value, _unit(told))}"
    yield (
        f'<rect class="chart-bar-{style}" x="{start:.1f}" y="{y:.1f}" '
        f'width="{max(1.0, end - start):.1f}" height="{BAR - 2}">'
        f"<title>{escape(told_as)}</title></rect>"
    )
    if low is not None and high is not None:
        yield ruled(x(low), middle, x(high), middle, "whisker")
        for tip in (low, high):
            yield ruled(x(tip), middle - 3, x(tip), middle + 3, "whisker")
        end = max(end, x(high))
    yield written(end + 5, middle + 4, figure(value, _unit(told)), "value", "start")


def matrix(told: Told, number: int) -> Chart:
    """A cell per series (down) and label (across), the darker the more of its row is in it."""
    labels, series = _parts(told)
    wide = (WIDTH - NAMES - 8) / max(1, len(labels))
    parts = []
    for down, one in enumerate(series):
        y = TOP + CELL * down
        parts.append(written(NAMES - 6, y + 19, _cut(one.get("name", "")), "name", "end"))
        values = [_at(one, "values", across) for across in range(len(labels))]
        whole = sum(abs(value) for value in values if value is not None) or 1.0
        for across, value in enumerate(values):
            share = abs(value or 0.0) / whole
            parts += _cell(told, NAMES + wide * across, y, wide, share, value)
    bottom = TOP + CELL * len(series)
    room = max(4, int(wide / 6))
    for across, label in enumerate(labels):
        middle = NAMES + wide * (across + 0.5)
        parts.append(written(middle, bottom + 15, _cut(label, room), "label", "middle"))
    if axis := safe(told.get("x_title", ""), 40):
        parts.append(written(NAMES + wide * len(labels) / 2, bottom + 31, axis, "label", "middle"))
    return _chart(told, number, parts, bottom + FOOT + (16 if axis else 0), [])


def _cell(
    told: Told, x: float, y: float, wide: float, share: float, value: float | None
) -> Iterator[str]:
    yield (
        f'<rect class="chart-cell" x="{x:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" '
        f'height="{CELL - 2}" fill-opacity="{0.06 + FULL * share:.2f}"/>'
    )
    if value is not None:
        style = "in-cell" if share > 0.55 else "value"
        words = figure(value, _unit(told))
        yield written(x + wide / 2 - 1, y + 19, words, style, "middle")


def lines(told: Told, number: int) -> Chart:
    """A line per series over its own places."""
    _labels, series = _parts(told)
    look = Look(f"figure-{number}", _title(told), safe(told.get("x_title", ""), 40) or "x")
    drawn = [
        Curve(safe(one.get("name", ""), 60), style_of(at), _places(one), has_dots=True)
        for at, one in enumerate(series)
    ]
    return curves(look, drawn)


def _places(one: Told) -> list[tuple[float, float]]:
    values = one.get("values", ())
    xs = one.get("xs") or range(len(values))
    pairs = zip(xs, values, strict=False)
    return [(float(x), float(y)) for x, y in pairs if _is_real(x) and _is_real(y)]


_DRAWN = {"bars": bars, "matrix": matrix, "lines": lines}


def _chart(
    told: Told, number: int, parts: Sequence[str], height: float, legend: Sequence[tuple[str, str]]
) -> Chart:
    title = _title(told)
    said = _said(told)
    svg = picture(f"figure-{number}", title, said, parts, height=math.ceil(height))
    return Chart(title, svg, "", legend)


def _said(told: Told) -> str:
    labels, series = _parts(told)
    parts = []
    for one in series:
        pairs = ((label, _at(one, "values", at)) for at, label in enumerate(labels))
        words = ", ".join(
            f"{_cut(label, 40)} {figure(value, _unit(told))}" for label, value in pairs
        )
        parts.append(f"{safe(one.get('name', ''), 60)}: {words}")
    return f"{'; '.join(parts)}."


def _parts(told: Told) -> tuple[list[str], list[Told]]:
    labels = [str(label) for label in told.get("labels", ())]
    return labels[:MOST_LABELS], list(told.get("series", ()))[:MOST_LABELS]


def _legend(series: Sequence[Told]) -> list[tuple[str, str]]:
    names = [(safe(one.get("name", ""), 60), style_of(at)) for at, one in enumerate(series)]
    return names if len(names) > 1 else []


def _title(told: Told) -> str:
    return safe(told.get("title", ""), 100)


def _unit(told: Told) -> str:
    return str(told.get("unit", "number"))


def _tick(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "share" else short(value)


def _cut(text: object, most: int = CUT) -> str:
    words = safe(text, 200)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _values(told: Told) -> bool:
    return any(_is_real(value) for one in told.get("series", ()) for value in one.get("values", ()))


def _ends(one: Told, count: int) -> list[float]:
    names = ("values", "low", "high")
    found = [_at(one, name, place) for name in names for place in range(count)]
    return [value for value in found if value is not None] or [0.0]


def _at(one: Told, name: str, place: int) -> float | None:
    values = one.get(name) or ()
    value = values[place] if place < len(values) else None
    return float(value) if value is not None and _is_real(value) else None


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
