"""What the page of a training job shows beside the usual: its curves, its model, a sweep's runs.

A run may tell of a hundred thousand steps, and the page is asked for every few seconds: so curves
come thinned, and newest and best values by queries of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from models.states import JobKind, JobState
from models.store import money, reading, registry
from models.tables import Job, TrainingPoint, TunedModel, table_of
from models.training.grid import MOST_RUNS

jobs = table_of(Job)
points = table_of(TrainingPoint)
models = table_of(TunedModel)

POINTS = 120
"""Of a curve at most, and its last one: as many as a phone's screen tells apart."""
CHECKPOINTS = 10
RUN_POINTS = 40
"""Of a curve that shares its chart with others."""
DRAWN = 12
"""Runs of a sweep whose curves are told, the best ones: as many as eyes tell apart."""


@dataclass(frozen=True, slots=True)
class SweptRun:
    """One run of a sweep as it stands."""

    id: str
    name: str
    state: JobState
    spec: str
    step: int
    """How far it is."""
    loss_before: float | None
    """Measured before the first step; hosted runs have none."""
    loss_after: float | None
    """Of the adapter that was kept, else the best one told so far: by this it is ranked."""
    calls_made: int = 0
    calls_unpriced: int = 0
    cost_nano: int = 0
    validations: Sequence[TrainingPoint] = ()
    """Points with a validation loss, thinned; of the best `DRAWN` runs only."""


@dataclass(frozen=True, slots=True)
class TrainingPage:
    """A training job's part of its page, from the same snapshot as the rest."""

    step: int
    """The newest that anything was told of."""
    losses: Sequence[TrainingPoint]
    """Points with a training loss, thinned; the newest is always there."""
    validations: Sequence[TrainingPoint]
    """Points with a validation loss, thinned likewise."""
    best: TrainingPoint | None
    """The best validation."""
    checkpoints: Sequence[TrainingPoint]
    """The newest first."""
    model: TunedModel | None
    """What it became."""
    runs: Sequence[SweptRun]
    """Of a sweep, the best first."""
    costs: Sequence[money.Cost] = ()
    """Of a sweep: what its runs cost in all, by model."""


def read(connection: Connection, job: Job) -> TrainingPage | None:
    """What the page of a training job shows; None: the job trains nothing."""
    if job.kind != JobKind.TRAIN:
        return None
    newest = select(func.coalesce(func.max(points.c.step), 0)).where(points.c.job_id == job.id)
    runs = ranked_runs(connection, job.id)
    return TrainingPage(
        step=connection.execute(newest).scalar_one(),
        losses=curve(connection, job.id, "loss"),
        validations=curve(connection, job.id, "valid_loss"),
        best=best(connection, job.id),
        checkpoints=checkpoints(connection, job.id),
        model=registry.of_job(connection, job.id),
        runs=with_curves(connection, runs),
        costs=paid(connection, [run.id for run in runs]) if runs else (),
    )


def curve(connection: Connection, job_id: str, name: str) -> list[TrainingPoint]:
    """The points that have a value of this name, in order, not many more than `POINTS`."""
    return _thinned(connection, points.c.job_id == job_id, name, POINTS)


def with_curves(connection: Connection, runs: Sequence[SweptRun]) -> list[SweptRun]:
    """The same runs, those that are drawn with their validations."""
    drawn = [run.id for run in runs[:DRAWN] if run.loss_after is not None]
    curves: dict[str, list[TrainingPoint]] = {run_id: [] for run_id in drawn}
    if drawn:
        for point in _thinned(connection, points.c.job_id.in_(drawn), "valid_loss", RUN_POINTS):
            curves[point.job_id].append(point)
    return [replace(run, validations=curves.get(run.id, ())) for run in runs]


def paid(connection: Connection, ids: Sequence[str]) -> list[money.Cost]:
    """What these jobs cost together, by model, the dearest first; doubts are not counted."""
    spending = money.spending
    names = ("calls", "calls_unpriced", "prompt_tokens", "completion_tokens", "cost_nano")
    sums = [func.sum(spending.c[name]) for name in names]
    query = select(spending.c.model, *sums).where(spending.c.job_id.in_(ids))
    found = [
        money.Cost(model, **dict(zip(names, map(int, told), strict=True)))
        for model, *told in connection.execute(query.group_by(spending.c.model))
    ]
    return sorted(found, key=lambda cost: (-cost.cost_nano, -cost.calls, cost.key))


def _thinned(
    connection: Connection, which: ColumnElement[bool], name: str, most: int
) -> list[TrainingPoint]:
    """Points of some jobs in order; of each job not many more than `most`, and both ends."""
    of_job = points.c.job_id
    numbered = select(
        points,
        func.row_number().over(partition_by=of_job, order_by=points.c.step).label("number"),
        func.count().over(partition_by=of_job).label("count"),
    )
    found = numbered.where(which, points.c[name].is_not(None)).subquery()
    stride = (found.c.count + most - 1) // most
    kept = or_((found.c.number - 1) % stride == 0, found.c.number == found.c.count)
    wanted = [found.c[column.name] for column in points.c]
    return _points(connection, select(*wanted).where(kept).order_by(found.c.job_id, found.c.step))


def best(connection: Connection, job_id: str) -> TrainingPoint | None:
    """The point with the lowest validation loss, the first of equals."""
    has_value = and_(points.c.job_id == job_id, points.c.valid_loss.is_not(None))
    order = points.c.valid_loss, points.c.step
    found = _points(connection, select(points).where(has_value).order_by(*order).limit(1))
    return found[0] if found else None


def checkpoints(connection: Connection, job_id: str) -> list[TrainingPoint]:
    """The newest points at which one was written."""
    written = and_(points.c.job_id == job_id, points.c.checkpoint != "")
    query = select(points).where(written).order_by(points.c.step.desc()).limit(CHECKPOINTS)
    return _points(connection, query)


def ranked_runs(connection: Connection, parent_id: str) -> list[SweptRun]:
    """The runs of a sweep, the best validation loss first; those without one last, by name."""
    wanted = [jobs.c[name] for name in _OF_RUN]
    trained = and_(jobs.c.parent_id == parent_id, jobs.c.kind == JobKind.TRAIN)
    query = select(*wanted).where(trained).order_by(jobs.c.name, jobs.c.id).limit(MOST_RUNS)
    found = connection.execute(query).all()
    ids = [job.id for job in found]
    told = _told(connection, points.c.job_id.in_(ids)) if ids else {}
    kept = _kept(connection, ids) if ids else {}
    runs = [_run(job, told.get(job.id), kept.get(job.id, {})) for job in found]
    return sorted(runs, key=lambda run: (run.loss_after is None, run.loss_after or 0.0))


_OF_RUN = ("id", "name", "state", "spec", "calls_made", "calls_unpriced", "cost_nano")


def _told(connection: Connection, which: ColumnElement[bool]) -> Mapping[str, Any]:
    """By job: newest step, the validation before the first step, the best one."""
    begun = select(points.c.job_id, points.c.valid_loss).where(which, points.c.step == 0)
    before: Mapping[str, float | None] = {
        found.job_id: found.valid_loss for found in connection.execute(begun)
    }
    query = (
        select(
            points.c.job_id,
            func.max(points.c.step).label("step"),
            func.min(points.c.valid_loss).label("best"),
        )
        .where(which)
        .group_by(points.c.job_id)
    )
    return {
        job_id: (step, before.get(job_id), lowest)
        for job_id, step, lowest in connection.execute(query)
    }


def _kept(connection: Connection, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The metrics of the models that these jobs became."""
    query = select(models.c.job_id, models.c.metrics).where(models.c.job_id.in_(ids))
    return {job_id: orjson.loads(metrics) for job_id, metrics in connection.execute(query)}


def _run(job: Any, told: tuple[int, Any, Any] | None, kept: Mapping[str, Any]) -> SweptRun:
    step, first, lowest = told or (0, None, None)
    before, after = kept.get("valid_loss_before"), kept.get("valid_loss_after")
    return SweptRun(
        id=job.id,
        name=job.name,
        state=JobState(job.state),
        spec=job.spec,
        step=step,
        loss_before=first if before is None else before,
        loss_after=lowest if after is None else after,
        calls_made=job.calls_made,
        calls_unpriced=job.calls_unpriced,
        cost_nano=job.cost_nano,
    )


def _points(connection: Connection, query: Any) -> list[TrainingPoint]:
    return reading.all_of(connection, query, TrainingPoint)
