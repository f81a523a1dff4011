"""Forgets what is finished, in short transactions; repeated after an interruption, it goes on.

A job goes first, in one guarded statement, and what it leaves behind after it: so nobody ever
meets half a job. Its events and its shards go last: without a job they tell where an interrupted
run stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    union,
)

from models.states import SETTLED, DeliveryState, JobKind, ShardState
from models.store.remote import OPEN
from models.tables import (
    Attempt,
    BatchRequest,
    BudgetHold,
    Call,
    Delivery,
    Doubt,
    Endpoint,
    EvaluationReport,
    Event,
    Job,
    Pulse,
    RemoteOperation,
    Row,
    Shard,
    Stage,
    TrainingPoint,
    table_of,
)

jobs = table_of(Job)
sweeps = jobs.alias("sweeps")
runs = jobs.alias("runs")
rows = table_of(Row)
shards = table_of(Shard)
calls = table_of(Call)
doubts = table_of(Doubt)
holds = table_of(BudgetHold)
events = table_of(Event)
endpoints = table_of(Endpoint)
deliveries = table_of(Delivery)
attempts = table_of(Attempt)
pulses = table_of(Pulse)
operations = table_of(RemoteOperation)
requests = table_of(BatchRequest)
points = table_of(TrainingPoint)
reports = table_of(EvaluationReport)
stages = table_of(Stage)

BATCH = 500
"""Rows of a table that one transaction deletes: some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is to forget."""

    jobs: int
    rows: int
    """Rows of these jobs, with their records."""
    answers: int
    """Paid answers of jobs that are gone, or go: forgotten only if asked for."""
    half_gone: int
    """Jobs of an earlier run that was interrupted."""
    untold: int
    """Jobs old enough that stay: their events or deliveries are still on their way."""


def survey(connection: Connection, before: float) -> Survey:
    """Counts what finished before `before` (seconds since the epoch, the database's clock)."""
    going = _may_go(before)
    found = connection.execute(
        select(func.count(), func.coalesce(func.sum(jobs.c.rows_total), 0)).where(going)
    ).one()
    kept = select(jobs.c.id).where(not_(going))
    answers = select(func.count()).where(calls.c.created_at < before, calls.c.job_id.not_in(kept))
    untold = select(func.count()).select_from(jobs).where(_is_old(before), _is_untold())
    return Survey(
        jobs=int(found[0]),
        rows=int(found[1]),
        answers=connection.scalar(answers) or 0,
        half_gone=len(half_gone(connection)),
        untold=connection.scalar(untold) or 0,
    )


def candidates(connection: Connection, before: float, *, limit: int = 100) -> list[str]:
    """Jobs that may be forgotten, the longest finished first."""
    query = select(jobs.c.id).where(_may_go(before)).order_by(jobs.c.finished_at, jobs.c.id)
    return list(connection.scalars(query.limit(limit)))


def forget(connection: Connection, job_id: str, before: float) -> bool:
    """Takes the job away, unless somebody re-opened it meanwhile. Its rest is `half_gone` now."""
    gone = connection.execute(delete(jobs).where(jobs.c.id == job_id, _may_go(before))).rowcount
    return bool(gone)


def half_gone(connection: Connection) -> list[str]:
    """Jobs that are gone and have left something behind: sweeps and runs of pipelines, which have
    no shards, by their events."""
    leavings = (shards.c.job_id, stages.c.run_id, reports.c.job_id, endpoints.c.job_id)
    queries = [select(one).where(one.is_not(None), _of_no_job(one)) for one in leavings]
    subject = events.c.subject_id
    of_jobs = subject.startswith("job_", autoescape=True)  # the others are endpoints'
    queries.append(select(subject).where(of_jobs, _of_no_job(subject)))
    return sorted(connection.scalars(union(*queries)))


def forget_some(connection: Connection, job_id: str) -> int:
    """Deletes up to a batch of what a job that is gone left; 0: nothing is left.

    Spending stays: it is the bookkeeping. The ledger's answers stay: see `forget_answers`. Tuned
    models and stores of vectors stay: they are in use. Reviews stay, with the answers in them:
    people's work is not made again by asking for it (`maestrale review forget` deletes one).
    """
    return (
        _some(connection, rows, [rows.c.job_id, rows.c.seq], rows.c.job_id == job_id)
        or _deliveries(connection, deliveries.c.subject_id == job_id)
        or _endpoints_of(connection, job_id)
        or _some(connection, doubts, [doubts.c.id], doubts.c.job_id == job_id)
        or _some(connection, pulses, [pulses.c.job_id, pulses.c.at], pulses.c.job_id == job_id)
        or _some(connection, requests, [requests.c.key], requests.c.job_id == job_id)
        or _some(connection, operations, [operations.c.id], operations.c.job_id == job_id)
        or _some(connection, points, [points.c.job_id, points.c.step], points.c.job_id == job_id)
        or connection.execute(delete(reports).where(reports.c.job_id == job_id)).rowcount
        or connection.execute(delete(holds).where(holds.c.job_id == job_id)).rowcount
        or _some(connection, stages, [stages.c.run_id, stages.c.place], stages.c.run_id == job_id)
        or _some(connection, events, [events.c.id], events.c.subject_id == job_id)
        or _some(connection, shards, [shards.c.job_id, shards.c.no], shards.c.job_id == job_id)
    )


def forget_told(connection: Connection, before: float) -> int:
    """Deletes up to a batch of old news of endpoints, and old test deliveries; 0: none is left."""
    done = and_(
        deliveries.c.state != DeliveryState.PENDING,
        deliveries.c.settled_at < before,
        _of_no_job(deliveries.c.subject_id),
    )
    told = and_(
        events.c.relayed_at < before,
        _of_no_job(events.c.subject_id),
        not_(exists().where(deliveries.c.subject_id == events.c.subject_id, _is_pending())),
    )
    return _deliveries(connection, done) or _some(connection, events, [events.c.id], told)


def payers_gone(connection: Connection) -> list[str]:
    """Jobs that are gone and whose answers the ledger keeps."""
    query = select(calls.c.job_id).where(_of_no_job(calls.c.job_id)).distinct()
    return sorted(connection.scalars(query))


def forget_answers(connection: Connection, job_id: str, before: float) -> int:
    """Deletes up to a batch of answers, older than `before`, that a job now gone paid for.

    Whoever asks the same again pays again.
    """
    old = and_(calls.c.job_id == job_id, calls.c.created_at < before)
    return _some(connection, calls, [calls.c.key], old)


def _is_old(before: float, of: Any = jobs) -> ColumnElement[bool]:
    return and_(of.c.state.in_(SETTLED), of.c.finished_at < before)


def _is_pending() -> ColumnElement[bool]:
    return and_(deliveries.c.state == DeliveryState.PENDING)


def _is_untold() -> ColumnElement[bool]:
    """Whether somebody still waits to hear of the job."""
    return or_(
        exists().where(events.c.subject_id == jobs.c.id, events.c.relayed_at.is_(None)),
        exists().where(deliveries.c.subject_id == jobs.c.id, _is_pending()),
    )


def _may_go(before: float) -> ColumnElement[bool]:
    """Settled for long enough, told of, and out of every worker's hand, here and over there.

    A run goes with its sweep, which is counted by its runs until it is over.
    """
    is_needed = exists().where(sweeps.c.id == jobs.c.parent_id, not_(_is_old(before, sweeps)))
    in_hand = exists().where(shards.c.job_id == jobs.c.id, shards.c.state == ShardState.LEASED)
    is_out = exists().where(operations.c.job_id == jobs.c.id, operations.c.state.in_(OPEN))
    mine = and_(_is_old(before), not_(_is_untold()), not_(in_hand), not_(is_out))
    return and_(mine, not_(is_needed), not_(_is_read(before)))


def _is_read(before: float) -> ColumnElement[bool]:
    """Whether a pipeline's run that is not over, or not for long, counts or reads the job: one of
    a sweep of its own, or one that an earlier run made and a stage of this one took over."""
    young = and_(runs.c.kind == JobKind.PIPELINE, not_(_is_old(before, runs)))
    of_sweep = and_(sweeps.c.id == jobs.c.parent_id, runs.c.id == sweeps.c.parent_id)
    of_stage = and_(stages.c.job_id == jobs.c.id, runs.c.id == stages.c.run_id)
    return or_(exists().where(of_sweep, young), exists().where(of_stage, young))


def _of_no_job(job_id: ColumnElement[str]) -> ColumnElement[bool]:
    return not_(exists().where(jobs.c.id == job_id))


def _deliveries(connection: Connection, which: ColumnElement[bool]) -> int:
    """Deletes up to a batch of deliveries with their log."""
    query = select(deliveries.c.id).where(which).order_by(deliveries.c.id).limit(BATCH)
    ids = list(connection.scalars(query))
    if ids:
        connection.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
        connection.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return len(ids)


def _endpoints_of(connection: Connection, job_id: str) -> int:
    """Deletes the endpoints that heard of this job only, with their own deliveries and news."""
    query = select(endpoints.c.id).where(endpoints.c.job_id == job_id).order_by(endpoints.c.id)
    ids = list(connection.scalars(query))
    if not ids:
        return 0
    left = _deliveries(connection, deliveries.c.endpoint_id.in_(ids))
    return left or connection.execute(delete(endpoints).where(endpoints.c.id.in_(ids))).rowcount


def _some(
    connection: Connection, table: Any, key: Sequence[Any], which: ColumnElement[bool]
) -> int:
    """Deletes up to a batch of what `which` finds, in the order of the primary key."""
    batch = connection.execute(select(*key).where(which).order_by(*key).limit(BATCH)).all()
    if not batch:
        return 0
    if len(key) == 1:
        chosen = and_(which, key[0].in_([found[0] for found in batch]))
    else:  # (job, number): a run of numbers within one job
        chosen = and_(which, key[1].between(batch[0][1], batch[-1][1]))
    return int(connection.execute(delete(table).where(chosen)).rowcount)
