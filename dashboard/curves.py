"""The charts of a training run: curves over steps, and a sweep's scores. Pure: points in, SVG out.

Unlike charts of pulses they need not begin at zero: what matters is how a loss changes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from dashboard.charts import Chart
from dashboard.drawing import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    nothing,
    picture,
    ruled,
    written,
)
from dashboard.scales import log_ticks, range_ticks, scientific, short
from models.store.trainingpage import SweptRun
from models.tables import TrainingPoint
from models.training.plan import perplexity

Place = tuple[float, float]
HINT_WIDTH = 14.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A row of places in order of x, as they are joined."""

    label: str
    style: str
    """Ends the names of its classes: `chart-line-STYLE`."""
    places: Sequence[Place]
    has_dots: bool = False
    """Few and worth a mark each."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a chart is called, and how its values are written."""

    name: str
    title: str
    x_label: str
    write_x: Callable[[float], str] = short
    write_y: Callable[[float], str] = short
    is_log: bool = False
    """Whether x is drawn by its logarithm."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where things lie: values to places in the view box."""

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    is_log: bool

    @classmethod
    def around(cls, curves: Sequence[Curve], *, is_log: bool) -> "Plane":
        """The plane that shows all places of all curves, of which there is at least one."""
        xs, ys = zip(*(place for curve in curves for place in curve.places), strict=True)
        reach = min(xs), max(xs)
        x_ticks = log_ticks(*reach) if is_log else range_ticks(*reach, least=1.0)
        return cls(x_ticks, range_ticks(min(ys), max(ys)), is_log)

    def x(self, value: float) -> float:
        """A value to a place from the left."""
        first, last, at = self.x_ticks[0], self.x_ticks[-1], value
        if self.is_log:
            first, last, at = math.log(first), math.log(last), math.log(at)
        return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """A value to a place from the top."""
        first, last = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (value - first) / (last - first) * (HEIGHT - TOP - BOTTOM)


def of_run(
    losses: Sequence[TrainingPoint], validations: Sequence[TrainingPoint]
) -> Sequence[Chart]:
    """Loss, perplexity and learning rate over the steps of one run."""
    train = Curve("training", "train", _places(losses, lambda point: point.loss))
    valid = Curve(
        "validation", "valid", _places(validations, lambda point: point.valid_loss), has_dots=True
    )
    likely = Curve(
        "perplexity",
        "valid",
        _places(validations, lambda point: perplexity(point.valid_loss)),
        has_dots=True,
    )
    rate = Curve("learning rate", "rate", _places(losses, lambda point: point.learning_rate))
    return [
        chart(Look("loss", "Loss, nats per token", "step"), [train, valid]),
        chart(Look("perplexity", "Perplexity on the validation part", "step"), [likely]),
        chart(Look("rate", "Learning rate", "step", write_y=scientific), [rate]),
    ]


def of_sweep(scored: Sequence[tuple[float, SweptRun]]) -> Chart:
    """Validation loss by learning rate, a dot for each run; the best of each rate are joined."""
    places = sorted((rate, run.loss_after) for rate, run in scored if _is_number(run.loss_after))
    dots = [(rate, loss) for rate, loss in places if loss is not None]
    lowest = dict(reversed(dots))
    drawn = [Curve("run", "valid", [place]) for place in dots]
    joined = Curve("best", "train", sorted(lowest.items()))
    look = Look("score", "Validation loss by learning rate", "rate", scientific, is_log=True)
    said = ""
    if dots:
        rate, loss = min(dots, key=lambda place: place[1])
        said = f"{len(dots)} scored; the best loss is {short(loss)} at a rate of {scientific(rate)}"
    return chart(look, [joined, *drawn] if len(lowest) > 1 else drawn, said=said, has_legend=False)


def chart(look: Look, curves: Sequence[Curve], *, said: str = "", has_legend: bool = True) -> Chart:
    """The picture of these curves, and the same in words."""
    told = [curve for curve in curves if curve.places]
    if not told:
        summary = "Nothing was told yet."
        parts = nothing("Nothing was told yet")
        return Chart(look.title, picture(look.name, look.title, summary, parts), summary, [])
    plane = Plane.around(told, is_log=look.is_log)
    parts = [*axes(plane, look)]
    for curve in told:
        parts += _drawn(plane, curve)
    parts += _hints(plane, look, told)
    summary = f"{said or '; '.join(_told(curve, look) for curve in told)}."
    legend = [(one.label, one.style) for one in told] if has_legend and len(told) > 1 else []
    return Chart(look.title, picture(look.name, look.title, summary, parts), summary, legend)


def axes(plane: Plane, look: Look) -> Iterator[str]:
    """Lines and labels of both axes."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    labels = [look.write_y(tick) for tick in plane.y_ticks]
    if len(set(labels)) < len(labels):  # a curve that hardly moves
        labels = [f"{tick:.6g}" for tick in plane.y_ticks]
    for number, (tick, label) in enumerate(zip(plane.y_ticks, labels, strict=True)):
        yield ruled(LEFT, plane.y(tick), right, plane.y(tick), "grid" if number else "axis")
        yield written(LEFT - 6, plane.y(tick) + 4, label, "label", "end")
    for number, tick in enumerate(plane.x_ticks):
        x = plane.x(tick)
        yield ruled(x, bottom, x, bottom + 4, "axis")
        is_last = number == len(plane.x_ticks) - 1
        anchor = "end" if is_last else "middle" if number else "start"
        yield written(right if is_last else x, bottom + 17, look.write_x(tick), "label", anchor)


def _drawn(plane: Plane, curve: Curve) -> Iterator[str]:
    places = [(plane.x(x), plane.y(y)) for x, y in curve.places]
    if len(places) > 1:
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path class="chart-line-{curve.style}" d="M{path}"/>'
    if curve.has_dots or len(places) == 1:
        for x, y in places:
            yield f'<circle class="chart-dot-{curve.style}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def _hints(plane: Plane, look: Look, curves: Sequence[Curve]) -> Iterator[str]:
    """What the pointer reads off: an unseen strip with its figures over each x."""
    at: dict[float, list[str]] = {}
    for curve in curves:
        for x, y in curve.places:
            at.setdefault(x, []).append(f"{curve.label} {look.write_y(y)}")
    wide = min(HINT_WIDTH, (WIDTH - LEFT - RIGHT) / len(at))
    for x, told in sorted(at.items()):
        left = min(max(plane.x(x) - wide / 2, LEFT), WIDTH - RIGHT - wide)
        title = escape(f"{look.x_label} {look.write_x(x)}: {', '.join(told)}")
        yield (
            f'<rect class="chart-hint" x="{left:.1f}" y="{TOP}" width="{wide:.1f}" '
            f'height="{HEIGHT - TOP - BOTTOM}"><title>{title}</title></rect>'
        )


def _told(curve: Curve, look: Look) -> str:
    """`validation 2.31 at step 80, 4.02 at step 0`."""
    (first, begun), (last, ended) = curve.places[0], curve.places[-1]
    label = curve.label.capitalize()
    now = f"{label} {look.write_y(ended)} at {look.x_label} {look.write_x(last)}"
    if len(curve.places) == 1:
        return now
    return f"{now}, from {look.write_y(begun)} at {look.x_label} {look.write_x(first)}"


def _places(
    points: Sequence[TrainingPoint], value: Callable[[TrainingPoint], float | None]
) -> list[Place]:
    """The points where the value is a number: a run that diverged may tell of others."""
    told = ((float(point.step), value(point)) for point in points)
    return [(step, one) for step, one in told if one is not None and math.isfinite(one)]


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
