"""Charts by matplotlib, off any display: as SVG for the page, and as PNG for folders.

No text in them is interpreted, and letters are drawn as paths: so they need no font, and nothing
of what stands in them can be markup.
"""

import io
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from producers.evaluating.rendering import plots
from producers.evaluating.rendering.svg import embedded
from producers.evaluating.rendering.texts import plain, slug
from producers.evaluating.report import Chart, Report

WIDTH_INCHES = 4.4
DOTS_PER_INCH = 200
MOST_HEIGHT_INCHES = 14.0
LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8.5,
    "text.parse_math": False,
    "text.color": plots.INK,
    "axes.edgecolor": plots.LINE,
    "axes.labelcolor": plots.MUTED,
    "xtick.color": plots.MUTED,
    "ytick.color": plots.MUTED,
    "grid.color": plots.LINE,
    "svg.fonttype": "path",
    "svg.hashsalt": "maestrale",
}
MISSING = "There are no charts, which matplotlib draws: pip install 'maestrale[evaluate]'"
_one_at_a_time = threading.Lock()  # matplotlib's settings are the process's


@dataclass(frozen=True, slots=True)
class Drawn:
    """One chart as it stands in a report."""

    title: str
    file: str
    """Its name in a folder: `01-accuracy.png`."""
    svg: str
    """Safe to embed in a page as it is."""
    chart: Chart
    legend: Sequence[tuple[str, str]]
    """Name and style of each series, where there is more than one."""
    described: str
    """The same in words."""

    def picture(self) -> bytes:
        """PNG with title and legend; drawn when it is asked for: a page needs none."""
        with _one_at_a_time, _settings():
            return _saved(_titled(_figure(self.chart), self.chart), "png")


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw_all(report: Report) -> list[list[Drawn]]:
    """The charts of each section, in order; none at all where matplotlib is missing."""
    if not can_draw():
        return [[] for _section in report.sections]
    numbers = iter(range(1, 1000))
    return [
        [draw(chart, next(numbers)) for chart in section.charts if plots.has_values(chart)]
        for section in report.sections
    ]


def draw(chart: Chart, number: int) -> Drawn:
    """The chart; `number` tells it from the report's others."""
    with _one_at_a_time, _settings():
        bare = _saved(_figure(chart), "svg")
    legend = [(plain(one.name), f"s{at % plots.STYLES + 1}") for at, one in enumerate(chart.series)]
    return Drawn(
        title=plain(chart.title),
        file=f"{number:02d}-{slug(chart.title)}.png",
        svg=embedded(bare.decode(), f"c{number}", plots.CLASSES),
        chart=chart,
        legend=legend if _has_legend(chart) else [],
        described=plots.described(chart),
    )


def _has_legend(chart: Chart) -> bool:
    return len(chart.series) > 1 and chart.form != "matrix"


def _settings() -> Any:
    return import_module("matplotlib").rc_context(LOOK)


def _figure(chart: Chart) -> Any:
    figure_of = import_module("matplotlib.figure").Figure  # without global state: opens no window
    height = min(MOST_HEIGHT_INCHES, plots.height(chart))
    figure = figure_of(figsize=(WIDTH_INCHES, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)
    _PLOTS[chart.form](axes, chart)
    return figure


def _titled(figure: Any, chart: Chart) -> Any:
    """The figure with what the page says beside it: a file stands alone."""
    figure.suptitle(plots.wrapped(chart.title, 60), x=0.01, ha="left", weight="bold")
    more = 0.3
    if _has_legend(chart):
        names = [plots.wrapped(one.name, 30) for one in chart.series]
        names = [f" {name}" if name.startswith("_") else name for name in names]  # else left out
        patch_of = import_module("matplotlib.patches").Patch
        patches = [patch_of(color=plots.colour(at)) for at in range(len(names))]
        columns = 1 if max(map(len, names)) > 24 else 2
        figure.legend(patches, names, loc="outside upper left", ncols=columns, frameon=False)
        more += 0.25 * -(-len(names) // columns)
    figure.set_figheight(figure.get_figheight() + more)
    return figure


def _saved(figure: Any, form: str) -> bytes:
    out = io.BytesIO()
    how: dict[str, Any] = {"facecolor": "white", "dpi": DOTS_PER_INCH}
    if form == "svg":
        how = {"transparent": True, "metadata": {"Date": None}}
    with warnings.catch_warnings():  # of letters that the font lacks
        warnings.simplefilter("ignore")
        figure.savefig(out, format=form, **how)
    return out.getvalue()


_PLOTS: dict[str, Callable[[Any, Chart], None]] = {
    "bars": plots.bars,
    "matrix": plots.matrix,
    "lines": plots.lines,
    "histogram": plots.histogram,
}
