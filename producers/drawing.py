"""Charts as PNG, by matplotlib. Its own program, too: charts as JSON on stdin, the folder as word.

It imports nothing of ours: any interpreter that has matplotlib runs it.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

SIZE_INCHES = (8.0, 5.0)
DOTS_PER_INCH = 150
Chart = Mapping[str, Any]
"""`file`, the `axes`' labels and scales, and `lines`: `xs`, `ys` and how each looks."""


def draw(charts: Sequence[Chart], folder: Path) -> None:
    """Writes every chart into `folder`. Raises `ImportError` if matplotlib is not installed."""
    figure_of = import_module("matplotlib.figure").Figure  # without global state: opens no window
    folder.mkdir(parents=True, exist_ok=True)
    for chart in charts:
        figure = figure_of(figsize=SIZE_INCHES, layout="constrained")
        _draw(figure, chart)
        figure.savefig(folder / chart["file"], dpi=DOTS_PER_INCH)


def _draw(figure: Any, chart: Chart) -> None:
    axes = figure.add_subplot()
    for line in chart["lines"]:
        axes.plot(line["xs"], line["ys"], **line["look"])
    axes.set(**chart["axes"])
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small")


if __name__ == "__main__":
    draw(json.load(sys.stdin), Path(sys.argv[1]))
