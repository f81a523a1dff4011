"""How each form of chart is plotted on matplotlib's axes. Knows matplotlib by its objects only."""

import math
import textwrap
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from models.figure_words import written
from producers.evaluating.rendering.texts import plain
from producers.evaluating.report import Chart, Series

INK, MUTED, LINE = "#1f2937", "#5b6472", "#d8dde4"
COLOURS = (
    "#2563eb",
    "#c2570c",
    "#15803d",
    "#9333ea",
    "#be123c",
    "#0e7490",
    "#a16207",
    "#475569",
)
STYLES = len(COLOURS)
CELL = "#2458d8"
"""Of a matrix; dark enough for white figures on it."""
CLASSES = {INK: "ink", MUTED: "mute", LINE: "rule", CELL: "cell"} | {
    tone: f"s{at}" for at, tone in enumerate(COLOURS, 1)
}
"""Class by colour: the page has colours of its own for them, light and dark."""
MOST_LABELS = 40
FEW_POINTS = 25
FEW_CELLS = 12
BINS = 20
ROOM = 1.24
"""Bars leave room for the words at their ends."""
Values = Sequence[float | None]


def has_values(chart: Chart) -> bool:
    """Whether there is anything to draw."""
    return any(_real(value) for series in chart.series for value in series.values)


def height(chart: Chart) -> float:
    """Inches that the chart needs."""
    labels = min(len(chart.labels), MOST_LABELS)
    match chart.form:
        case "bars":
            return 0.55 + labels * (0.16 + 0.2 * max(1, len(chart.series)))
        case "matrix":
            return 0.95 + 0.36 * min(len(chart.series), MOST_LABELS)
        case _:
            return 2.5


def colour(at: int) -> str:
    """Of the series with this number."""
    return COLOURS[at % STYLES]


def wrapped(text: str, width: int = 16, most: int = 3) -> str:
    """A label in a few short lines."""
    parted = plain(text, 80).replace("_", "_ ")  # names of labels and models may break there
    found = textwrap.wrap(parted, width, max_lines=most, placeholder=" …")
    return "\n".join(line.replace("_ ", "_") for line in found)


def bars(axes: Any, chart: Chart) -> None:
    """A group of bars per label from top to bottom, each with its interval and its value."""
    labels, count = chart.labels[:MOST_LABELS], max(1, len(chart.series))
    thick = 0.8 / count
    for at, series in enumerate(chart.series):
        for place, value in enumerate(series.values[: len(labels)]):
            if _real(value):
                _bar(axes, chart, series, place, place - 0.4 + thick * (at + 0.5), at, thick)
    axes.set_yticks(range(len(labels)), [wrapped(label) for label in labels])
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    ends = [end for series in chart.series for end in _ends(series)]
    least, most = min(0.0, *ends), max(0.0, *ends)
    axes.set_xlim(least * ROOM, most * ROOM or 1.0)
    _name_values(axes, axes.xaxis, chart)


def _bar(
    axes: Any, chart: Chart, series: Series, place: int, y: float, at: int, thick: float
) -> None:
    value = series.values[place]
    assert value is not None
    low, high = _at(series.low, place), _at(series.high, place)
    axes.barh(y, value, height=thick * 0.86, color=colour(at))
    end = value
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=INK, linewidth=1)
        for tip in (low, high):
            axes.plot([tip, tip], [y - thick * 0.2, y + thick * 0.2], color=INK, linewidth=1)
        end = high if value >= 0 else low
    side = ("left", 3) if value >= 0 else ("right", -3)
    axes.annotate(
        written(value, chart.unit),
        (end, y),
        (side[1], 0),
        textcoords="offset points",
        ha=side[0],
        va="center",
        fontsize=7.5,
    )


def matrix(axes: Any, chart: Chart) -> None:
    """A cell per series (down) and label (across), the darker the more of its row is in it."""
    rectangle_of = import_module("matplotlib.patches").Rectangle
    labels, rows = chart.labels[:MOST_LABELS], chart.series[:MOST_LABELS]
    for down, series in enumerate(rows):
        values = [value if _real(value) else None for value in series.values[: len(labels)]]
        whole = sum(abs(value) for value in values if value is not None) or 1.0
        for across, value in enumerate(values):
            part = abs(value) / whole if value is not None else 0.0
            cell = rectangle_of((across - 0.48, down - 0.48), 0.96, 0.96, color=CELL)
            cell.set_alpha(0.05 + 0.85 * part)
            axes.add_patch(cell)
            if value is not None and len(labels) <= FEW_CELLS:
                tone = "white" if part > 0.55 else INK
                told = written(value, chart.unit)
                axes.text(across, down, told, ha="center", va="center", color=tone)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xticks(range(len(labels)), [wrapped(label, 12) for label in labels])
    axes.set_yticks(range(len(rows)), [wrapped(one.name) for one in rows])
    axes.tick_params(labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel(plain(chart.x_title, 60))


def lines(axes: Any, chart: Chart) -> None:
    """A line per series over its own places, or over the labels; a band for its interval."""
    for at, series in enumerate(chart.series):
        xs = list(series.xs or range(len(series.values)))[: len(series.values)]
        ys, low, high = (
            [_or_nan(values, place) for place in range(len(xs))]
            for values in (series.values, series.low, series.high)
        )
        few = "o" if len(xs) <= FEW_POINTS else ""
        axes.plot(xs, ys, color=colour(at), marker=few, markersize=3, linewidth=1.4)
        axes.fill_between(xs, low, high, color=colour(at), alpha=0.15, linewidth=0)
    if chart.labels and not any(series.xs for series in chart.series):
        axes.set_xticks(range(len(chart.labels)), [wrapped(label, 10) for label in chart.labels])
    axes.set_xlabel(plain(chart.x_title, 60))
    _name_values(axes, axes.yaxis, chart)


def histogram(axes: Any, chart: Chart) -> None:
    """How many values of each series fall where, in the same bins for all."""
    told = [[value for value in series.values if _real(value)] for series in chart.series]
    every = [value for values in told for value in values if value is not None]
    low, high = min(every), max(every)
    span = (low, high) if high > low else (low - 0.5, high + 0.5)
    for at, values in enumerate(told):
        tone = colour(at)
        axes.hist(values, bins=BINS, range=span, histtype="stepfilled", color=tone, alpha=0.12)
        axes.hist(values, bins=BINS, range=span, histtype="step", color=tone, linewidth=1.4)
    axes.set_xlabel(plain(chart.x_title, 60))
    _name_values(axes, axes.xaxis, chart)
    axes.yaxis.get_major_locator().set_params(integer=True)


def described(chart: Chart) -> str:
    """What the chart shows in words, for those who do not see it."""
    parts = []
    for series in chart.series[:STYLES]:
        values = [value for value in series.values if _real(value)]
        if chart.form in ("bars", "matrix"):
            pairs = zip(chart.labels, series.values, strict=False)
            told = ", ".join(f"{plain(name, 40)} {_word(value, chart)}" for name, value in pairs)
        else:
            ends = [one for one in values if one is not None]
            told = f"from {_word(min(ends), chart)} to {_word(max(ends), chart)}" if ends else ""
        parts.append(f"{plain(series.name, 60)}: {told}")
    return plain(f"{plain(chart.title)}. {'; '.join(parts)}.", 1500)


def _word(value: float | None, chart: Chart) -> str:
    return written(value, chart.unit)


def _real(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _at(values: Values, place: int) -> float | None:
    found = values[place] if place < len(values) else None
    return found if _real(found) else None


def _or_nan(values: Values, place: int) -> float:
    found = _at(values, place)
    return math.nan if found is None else found


def _ends(series: Series) -> list[float]:
    told = (*series.values, *series.low, *series.high)
    return [value for value in told if value is not None and math.isfinite(value)] or [0.0]


def _name_values(axes: Any, axis: Any, chart: Chart) -> None:
    """Round ticks in the chart's unit, with lines across."""
    ticker = import_module("matplotlib.ticker")
    axis.set_major_locator(ticker.MaxNLocator(5))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _place: _tick(value, chart.unit)))
    axes.grid(visible=True, axis=axis.axis_name, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left" if axis.axis_name == "x" else "bottom"].set_visible(True)


def _tick(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.0%}"
    if unit == "usd":
        return f"${value:g}"
    return f"{value:,g}" if abs(value) < 1e5 else f"{value:.3g}"
