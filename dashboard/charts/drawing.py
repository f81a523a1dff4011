"""How a chart is drawn as SVG: axes, lines with gaps, bars. Pure: numbers in, text out.

Only numbers of ours and escaped labels go into it, so that it may be embedded as it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import groupby

from dashboard.charts.scales import short, time_labels, time_ticks, value_ticks
from models.store.pulses import Point

WIDTH, HEIGHT = 420, 210
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 26
"""Room around the plot, in the units of the view box: about a pixel of a phone's screen."""
SHORTEST_S = 60.0
"""A chart spans at least a minute, so that one point does not fill it."""

Value = float | None


@dataclass(frozen=True, slots=True)
class Series:
    """One row of values, a value for each point; None: there is none."""

    label: str
    style: str
    """Ends the names of its classes: `chart-line-STYLE`."""
    values: Sequence[Value]


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things lie: moments and values to places in the view box."""

    first: float
    last: float
    ticks: Sequence[float]

    @classmethod
    def around(cls, points: Sequence[Point], most: float) -> "Frame":
        """The frame that shows all points, and values up to `most`."""
        first, last = float(points[0].at), points[-1].at + points[-1].seconds
        missing = max(0.0, SHORTEST_S - (last - first))
        return cls(first - missing / 2, last + missing / 2, value_ticks(most))

    def x(self, at: float) -> float:
        """Seconds since the epoch to a place from the left."""
        return LEFT + (at - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """A value to a place from the top."""
        return HEIGHT - BOTTOM - value / self.ticks[-1] * (HEIGHT - TOP - BOTTOM)


def picture(
    name: str, title: str, summary: str, parts: Sequence[str], *, height: int = HEIGHT
) -> str:
    """The whole SVG element; `name` makes its ids unlike those of the page's other charts."""
    ids = f"chart-{name}-title", f"chart-{name}-desc"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-labelledby="{ids[0]} {ids[1]}" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{ids[0]}">{escape(title)}</title><desc id="{ids[1]}">{escape(summary)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def nothing(words: str) -> list[str]:
    """What stands in the place of a chart without points."""
    return [written(WIDTH / 2, HEIGHT / 2, words, "empty", "middle")]


def axes(frame: Frame) -> Iterator[str]:
    """Lines and labels of both axes, time in UTC."""
    right = WIDTH - RIGHT
    for tick in frame.ticks:
        style = "grid" if tick else "axis"
        yield ruled(LEFT, frame.y(tick), right, frame.y(tick), style)
        yield written(LEFT - 6, frame.y(tick) + 4, short(tick), "label", "end")
    moments = time_ticks(frame.first, frame.last)
    for moment, label in zip(moments, time_labels(moments), strict=True):
        x, bottom = frame.x(moment), frame.y(0)
        yield ruled(x, bottom, x, bottom + 4, "axis")
        anchor = "end" if x > right - 16 else "start" if x < LEFT + 4 else "middle"
        yield written(x, bottom + 17, label, "label", anchor)


def lines(frame: Frame, points: Sequence[Point], drawn: Sequence[Series]) -> Iterator[str]:
    """A line for each series, broken where nothing ran; a point alone is a dot."""
    for series in drawn:
        for run in _runs(series.values):
            places = [
                (frame.x(points[at].at + points[at].seconds / 2), frame.y(series.values[at] or 0))
                for at in run
            ]
            if len(places) == 1:
                (x, y) = places[0]
                yield f'<circle class="chart-dot-{series.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
                continue
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
            bottom = frame.y(0)
            closed = f"{path}L{places[-1][0]:.1f} {bottom:.1f}L{places[0][0]:.1f} {bottom:.1f}Z"
            yield f'<path class="chart-area-{series.style}" d="M{closed}"/>'
            yield f'<path class="chart-line-{series.style}" d="M{path}"/>'


def _runs(values: Sequence[Value]) -> Iterator[list[int]]:
    """Numbers of points that follow one another, each with a value."""
    for has_value, numbers in groupby(range(len(values)), lambda at: values[at] is not None):
        if has_value:
            yield list(numbers)


def bars(frame: Frame, points: Sequence[Point], drawn: Sequence[Series]) -> Iterator[str]:
    """One upon the other; what is zero is not drawn."""
    for at, point in enumerate(points):
        base = 0.0
        left, right = frame.x(point.at), frame.x(point.at + point.seconds)
        for series in drawn:
            value = series.values[at] or 0.0
            if value:
                top, bottom = frame.y(base + value), frame.y(base)
                wide = max(1.0, 0.85 * (right - left))
                yield (
                    f'<rect class="chart-bar-{series.style}" x="{left:.1f}" y="{top:.1f}" '
                    f'width="{wide:.1f}" height="{max(1.0, bottom - top):.1f}"/>'
                )
                base += value


def hints(frame: Frame, points: Sequence[Point], drawn: Sequence[Series]) -> Iterator[str]:
    """What the pointer reads off: an unseen strip with its figures over each point."""
    height = HEIGHT - TOP - BOTTOM
    for at, point in enumerate(points):
        left, right = frame.x(point.at), frame.x(point.at + point.seconds)
        values = [(series.label, series.values[at]) for series in drawn]
        told = ", ".join(f"{label} {short(value)}" for label, value in values if value is not None)
        if not told:
            continue
        moment = f"{datetime.fromtimestamp(point.at, UTC):%H:%M:%S} UTC"
        yield (
            f'<rect class="chart-hint" x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" '
            f'height="{height}"><title>{escape(f"{moment}: {told}")}</title></rect>'
        )


def ruled(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<line class="chart-{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def written(x: float, y: float, text: str, style: str, anchor: str) -> str:
    """A label, escaped."""
    return (
        f'<text class="chart-{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )
