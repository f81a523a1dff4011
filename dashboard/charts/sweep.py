"""The charts of a sweep: how its runs learn, one upon the other, and their scores. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dashboard.charts.job import Chart
from dashboard.charts.scales import scientific, short
from dashboard.charts.training import Curve, Look, Place, can_be_drawn, chart, places_of
from models.store.views.trainingpage import SweptRun
from models.tables import TrainingPoint
from models.training import TrainingSpec
from models.training.plan import perplexity
from models.words import counted, safe

STYLES = 12
"""Looks of lines in `static/charts.css`: six colours, whole and dashed."""
NAME = 40
"""Characters of a run's name, where it is called by that."""
FEW = 15
"""Points of a curve that are worth a mark each."""
CHOICES: Mapping[str, Callable[[TrainingSpec], str]] = {
    "learning_rate": lambda spec: f"lr {scientific(spec.learning_rate)}",
    "steps": lambda spec: counted(spec.steps, "step"),
    "batch_size": lambda spec: f"batch {spec.batch_size:,}",
    "seq_len": lambda spec: f"{spec.seq_len:,} tokens a row",
    "lora_rank": lambda spec: f"rank {spec.lora_rank}",
    "seed": lambda spec: f"seed {spec.seed}",
}
"""What runs of a sweep may differ in, as a legend tells it."""


@dataclass(frozen=True, slots=True)
class Swept:
    """A run whose spec can be read."""

    run: SweptRun
    spec: TrainingSpec
    label: str
    """What it differs in from the others."""


def of_sweep(runs: Sequence[tuple[SweptRun, TrainingSpec]], *, empty: str) -> list[Chart]:
    """Validation loss and perplexity over the steps of each run, and the score of each rate."""
    swept = labelled(runs)
    losses = Look("loss", "Validation loss, nats per token", "step", empty=empty)
    likely = Look("perplexity", "Perplexity on the validation part", "step", empty=empty)
    return [
        learning(losses, swept, lambda point: point.valid_loss),
        learning(likely, swept, lambda point: perplexity(point.valid_loss)),
        scores(swept, empty=empty),
    ]


def labelled(runs: Sequence[tuple[SweptRun, TrainingSpec]]) -> list[Swept]:
    """Each run with what it differs in; with its name where two would be called the same."""
    specs = [spec for _run, spec in runs]
    differ = [word for word in CHOICES.values() if len({word(spec) for spec in specs}) > 1]
    labels = [", ".join(word(spec) for word in differ) for spec in specs]
    return [
        Swept(
            run,
            spec,
            label if label and labels.count(label) == 1 else safe(run.name or run.id, NAME),
        )
        for (run, spec), label in zip(runs, labels, strict=True)
    ]


def learning(
    look: Look, swept: Sequence[Swept], value: Callable[[TrainingPoint], float | None]
) -> Chart:
    """A line for each run that is drawn, in the order of their names: so colours stay."""
    drawn = [(one, places_of(one.run.validations, value)) for one in swept]
    drawn = sorted(
        (one for one in drawn if one[1]), key=lambda one: (one[0].run.name, one[0].label)
    )
    curves = [
        Curve(one.label, style_of(number), places, has_dots=len(places) <= FEW)
        for number, (one, places) in enumerate(drawn)
    ]
    return chart(look, curves, said=_best_said(curves, len(swept)), joint="\n")


def scores(swept: Sequence[Swept], *, empty: str) -> Chart:
    """Validation loss by learning rate, a dot for each run; a line for each number of steps."""
    places: dict[int, list[Place]] = {}
    for one in swept:
        if (loss := one.run.loss_after) is not None and can_be_drawn(loss):
            places.setdefault(one.spec.steps, []).append((one.spec.learning_rate, loss))
    title = "Validation loss by learning rate"
    look = Look("score", title, "rate", scientific, is_log=True, empty=empty)
    curves = [
        curve
        for number, (steps, scored) in enumerate(sorted(places.items()))
        for curve in _scored(counted(steps, "step"), style_of(number), sorted(scored))
    ]
    return chart(look, curves, said=_scores_said(list(places.values())), joint="\n")


def style_of(number: int) -> str:
    """The look of the line with this number, from 0."""
    return f"run{number % STYLES + 1}"


def _scored(label: str, style: str, scored: Sequence[Place]) -> Iterator[Curve]:
    """The best of each rate, joined; the others as dots."""
    lowest = dict(reversed(scored))
    yield Curve(label, style, sorted(lowest.items()), has_dots=True)
    best = set(lowest.items())
    yield from (Curve(label, style, [place]) for place in scored if place not in best)


def _scores_said(scored: Sequence[Sequence[Place]]) -> str:
    places = [place for each in scored for place in each]
    if not places:
        return ""
    rate, loss = min(places, key=lambda place: place[1])
    return f"{len(places)} scored; the best loss is {short(loss)} at a rate of {scientific(rate)}"


def _best_said(curves: Sequence[Curve], runs: int) -> str:
    """`3 runs; the lowest is 2.31 at step 60: lr 1e-4, 60 steps`."""
    if not curves:
        return ""
    best = min(curves, key=lambda curve: min(y for _x, y in curve.places))
    step, value = min(best.places, key=lambda place: place[1])
    count = counted(runs, "run") if len(curves) == runs else f"{len(curves)} of {runs} runs"
    return f"{count}; the lowest is {short(value)} at step {step:,.0f}: {best.label}"
