"""The charts of a training run: curves over steps, and a sweep's scores. Pure: points in, SVG out.

Unlike charts of pulses they need not begin at zero: what matters is how a loss changes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape

from dashboard.charts.drawing import (
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
from dashboard.charts.job import Chart
from dashboard.charts.scales import log_ticks, range_ticks, scientific, short
from models.tables import TrainingPoint
from models.training.plan import perplexity

Place = tuple[float, float]
HINT_WIDTH = 14.0
BEYOND = 1e300
NOTHING = "Nothing was told yet"


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
    empty: str = NOTHING
    """What stands there if nothing was told."""


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
    losses: Sequence[TrainingPoint],
    validations: Sequence[TrainingPoint],
    *,
    empty: str = NOTHING,
    has_rate: bool = True,
) -> Sequence[Chart]:
    """Loss, perplexity and, where it is told, learning rate over the steps of one run."""
    train = Curve("training", "train", places_of(losses, lambda point: point.loss))
    valid = Curve(
        "validation", "valid", places_of(validations, lambda point: point.valid_loss), has_dots=True
    )
    likely = Curve(
        "perplexity",
        "valid",
        places_of(validations, lambda point: perplexity(point.valid_loss)),
        has_dots=True,
    )
    rate = Curve("learning rate", "rate", places_of(losses, lambda point: point.learning_rate))
    look = partial(Look, x_label="step", empty=empty)
    drawn = [
        chart(look("loss", "Loss, nats per token"), [train, valid]),
        chart(look("perplexity", "Perplexity on the validation part"), [likely]),
    ]
    if has_rate:
        drawn.append(chart(look("rate", "Learning rate", write_y=scientific), [rate]))
    return drawn


def chart(look: Look, curves: Sequence[Curve], *, said: str = "", joint: str = ", ") -> Chart:
    """The picture of these curves, and the same in words; `joint` stands between those of an x."""
    told = [curve for curve in curves if curve.places]
    if not told:
        summary = f"{look.empty}."
        parts = nothing(look.empty)
        return Chart(look.title, picture(look.name, look.title, summary, parts), summary, [])
    plane = Plane.around(told, is_log=look.is_log)
    parts = [*axes(plane, look)]
    for curve in told:
        parts += _drawn(plane, curve)
    parts += _hints(plane, look, told, joint)
    summary = f"{said or '; '.join(_told(curve, look) for curve in told)}."
    legend = list(dict.fromkeys((one.label, one.style) for one in told))
    svg = picture(look.name, look.title, summary, parts)
    return Chart(look.title, svg, summary, legend if len(legend) > 1 else [])


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


def _hints(plane: Plane, look: Look, curves: Sequence[Curve], joint: str) -> Iterator[str]:
    """What the pointer reads off: an unseen strip with its figures over each x."""
    at: dict[float, list[str]] = {}
    for curve in curves:
        for x, y in curve.places:
            at.setdefault(x, []).append(f"{curve.label} {look.write_y(y)}")
    wide = min(HINT_WIDTH, (WIDTH - LEFT - RIGHT) / len(at))
    for x, told in sorted(at.items()):
        left = min(max(plane.x(x) - wide / 2, LEFT), WIDTH - RIGHT - wide)
        title = escape(f"{look.x_label} {look.write_x(x)}:{joint[1:] or joint}{joint.join(told)}")
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


def places_of(
    points: Sequence[TrainingPoint], value: Callable[[TrainingPoint], float | None]
) -> list[Place]:
    """The points where the value can be drawn: a run that diverged may tell of others."""
    told = ((float(point.step), value(point)) for point in points)
    return [(step, one) for step, one in told if one is not None and can_be_drawn(one)]


def can_be_drawn(value: float) -> bool:
    """Whether it is a number, and a span to others has an end."""
    return abs(value) < BEYOND  # so is no NaN
