"""The charts of a job's pulses: throughput, latency, refusals. Pure: points in, SVG out.

No script and no style in them: colours are classes, so that both themes have their own. Each
says in words what it shows, for those who do not see it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from dashboard.charts.drawing import (
    Frame,
    Series,
    Value,
    axes,
    bars,
    hints,
    lines,
    nothing,
    picture,
)
from dashboard.charts.scales import short
from models.store.pulses import Point

SECONDS_FROM_MS = 2000
"""Latencies from here up are shown in seconds."""

Draw = Callable[[Frame, Sequence[Point], Sequence[Series]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, and the same in words."""

    title: str
    svg: str
    """Safe to embed as it is."""
    summary: str
    legend: Sequence[tuple[str, str]]
    """Label and style of each series, where there is more than one."""


def of_job(points: Sequence[Point]) -> list[Chart]:
    """The three charts of a job's page."""
    return [throughput(points), latency(points), refusals(points)]


def throughput(points: Sequence[Point]) -> Chart:
    """Calls per second over time."""
    rates = [point.calls / point.seconds if _ran(point) else None for point in points]
    drawn = [Series("calls/s", "calls", rates)]
    said = ""
    if (last := _last(rates)) is not None:
        seconds = sum(point.seconds for point in points if _ran(point))
        mean = sum(point.calls for point in points) / seconds
        most = max(rate for rate in rates if rate is not None)
        said = (
            f"{short(last)} calls/s at last, {short(mean)} on average while it ran, "
            f"{short(most)} at most."
        )
    return _chart("throughput", "Throughput, calls/s", points, drawn, lines, said)


def latency(points: Sequence[Point]) -> Chart:
    """The latency of half and of nearly all calls over time, in milliseconds or seconds."""
    most = max((value for p in points for value in (p.p50_ms, p.p95_ms) if value), default=0)
    unit, size = ("s", 1000.0) if most >= SECONDS_FROM_MS else ("ms", 1.0)
    half = [_divided(point.p50_ms, size) for point in points]
    nearly_all = [_divided(point.p95_ms, size) for point in points]
    drawn = [Series("p95", "p95", nearly_all), Series("p50 (median)", "p50", half)]
    ends = [_last(half), _last(nearly_all)]
    said = ""
    if None not in ends:
        told = [short(value) for value in ends if value is not None]
        said = f"Half of the last calls within {told[0]} {unit}, 95% within {told[1]} {unit}."
    return _chart("latency", f"Latency, {unit}", points, drawn, lines, said)


def refusals(points: Sequence[Point]) -> Chart:
    """Refused (429) and broken calls over time, per minute."""
    refused = [60 * point.refusals / point.seconds for point in points]
    faulty = [60 * point.faults / point.seconds for point in points]
    drawn = [Series("429", "refused", refused), Series("other errors", "fault", faulty)]
    said = ""
    if points:
        sums = sum(point.refusals for point in points), sum(point.faults for point in points)
        said = f"{sums[0]:,} refused with 429 and {sums[1]:,} other errors in all."
    return _chart("refusals", "Refusals, per minute", points, drawn, bars, said)


def _ran(point: Point) -> bool:
    """Whether anything came back: nothing is drawn for a pause."""
    return bool(point.calls or point.refusals or point.faults)


def _divided(value: Value, by: float) -> Value:
    return None if value is None else value / by


def _last(values: Sequence[Value]) -> Value:
    return next((value for value in reversed(values) if value is not None), None)


def _chart(
    name: str,
    title: str,
    points: Sequence[Point],
    drawn: Sequence[Series],
    draw: Draw,
    said: str,
) -> Chart:
    legend = [(series.label, series.style) for series in drawn] if len(drawn) > 1 else []
    if not points:
        summary = "Nothing has run yet."
        parts = nothing("Nothing has run yet")
    else:
        summary = said or "No figures."
        most = _most(drawn, is_stacked=draw is bars)
        frame = Frame.around(points, most)
        parts = [*axes(frame), *draw(frame, points, drawn), *hints(frame, points, drawn)]
        parts += nothing("None") if draw is bars and not most else []
    described = f"{summary} {_span(points)}" if points else summary
    return Chart(title, picture(name, title, described, parts), summary, legend)


def _most(drawn: Sequence[Series], *, is_stacked: bool) -> float:
    columns = zip(*(series.values for series in drawn), strict=True)
    heap = sum if is_stacked else max
    return max(heap(value or 0.0 for value in column) for column in columns)


def _span(points: Sequence[Point]) -> str:
    first = datetime.fromtimestamp(points[0].at, UTC)
    last = datetime.fromtimestamp(points[-1].at + points[-1].seconds, UTC)
    end = f"{last:%H:%M:%S}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M:%S}"
    return f"From {first:%Y-%m-%d %H:%M:%S} to {end} UTC."
