"""Runs of a sweep compared by a suite: all of them put to it, and the best figure found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.errors import SpentError
from models.pipelines.schema import Train
from models.suites import Suite
from models.tables import Job
from producers.evaluating import Evaluating, Wish
from producers.evaluating.report import Figure
from producers.pipelines import evaluating, serving
from producers.pipelines.ahead import Ahead
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Outcome, of_plan

PART = "ranking"


def submitted(
    hand: Hand, asked: Train, models: Sequence[str], *, notes: Mapping[str, Any]
) -> Outcome:
    """Puts the models to the suite of `rank_by`, in one job.

    Raises `SpentError` where nothing is left of the run's budget for it.
    """
    if hand.budget_nano is not None and hand.budget_nano <= 0:
        raise SpentError("nothing is left to rank the runs of the sweep with")
    serving.serve(hand, models)
    with Evaluating(hand.maestrale).plan(_wish(hand, asked, models)) as planned:
        return evaluating.submit(hand, planned, part=PART, notes=notes)


def expected(hand: Hand, asked: Train, models: Sequence[str], ahead: Ahead) -> Expected:
    """What that will take."""
    wish = _wish(hand, asked, models)
    wish = replace(wish, store_model=ahead.stores.get(asked.ranking.store or "", ""))
    maestrale = ahead.client  # it knows the runs' models by now
    with Evaluating(maestrale).plan(wish) as planned:
        return of_plan(planned, ahead, wish.data or "", wish.limit)


def _wish(hand: Hand, asked: Train, models: Sequence[str]) -> Wish:
    told = asked.ranking
    return Wish(
        suite=Suite.model_validate(hand.prepared.suite),
        named=hand.prepared.suite_file,
        models=tuple(asked_in(told.prompt, models)),
        data=hand.file(told.data) if told.data else hand.prepared.suite_data,
        attempts=told.attempts,
        judges=evaluating.texts(told.judge),
        store=told.store,
        limit=told.limit,
    )


def asked_in(prompt: str | None, models: Sequence[str]) -> list[str]:
    """The models as a suite is told them, each in that prompt."""
    return [f"{model}@{prompt}" for model in models] if prompt else list(models)


def best(hand: Hand, asked: Train, job: Job, names: Mapping[str, str]) -> str | None:
    """The registered model with the best figure; None: no model has it."""
    from producers.evaluating import reports  # noqa: PLC0415 # figures are slow to import

    wanted = asked.rank_by.rpartition(":")[2].split("+")
    figures = reports.make(hand.maestrale, job).report.figures
    by_model = {label.rpartition("@")[0] or label: found for label, found in figures.items()}
    values = {
        registered: mean_of(by_model.get(model, {}), wanted) for registered, model in names.items()
    }
    known = {name: value for name, value in values.items() if value is not None}
    sign = -1 if asked.ranking.lowest else 1
    return max(known, key=lambda name: sign * known[name], default=None)


def mean_of(figures: Mapping[str, Figure], wanted: Sequence[str]) -> float | None:
    """A figure, or the mean of several (`faithfulness+relevancy`); None: one cannot be had."""
    values = [figures[name].value for name in wanted if name in figures]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(wanted) else None
