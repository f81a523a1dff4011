"""What the page of one job shows, in few queries that cost the same at a hundred rows or a million.

Nothing here counts rows: the job's counters do, and the failed ones have an index of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    and_,
    distinct,
    func,
    literal,
    literal_column,
    select,
    union_all,
)

from models.states import FailureCode, JobState, RowState, ShardState
from models.store import deliveries, fleet, money, pulses, reading, reports, stages_seen
from models.store import jobs as job_moves
from models.store.engine import read_now
from models.store.views import board, operations_seen, trainingpage
from models.tables import Doubt, Event, Job, Row, Shard, table_of

doubts = table_of(Doubt)
events = table_of(Event)
jobs = table_of(Job)
rows = table_of(Row)
shards = table_of(Shard)

SAMPLES = 3
COUNT_UP_TO = 10_000
"""Failures of one reason that are counted; a page is looked at again every few seconds."""
EVENTS = 30
RELATIVES = 20
DELIVERIES = 20
OPERATIONS = 20


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that failed, as people are shown it."""

    seq: int
    row_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The failed rows of one reason, and the first few of them."""

    code: str
    count: int
    is_exact: bool
    """False: `count` or more."""
    samples: Sequence[FailedRow]


@dataclass(frozen=True, slots=True)
class DoubtGroup:
    """Calls perhaps paid without an answer, by what happened to them."""

    reason: str
    calls: int
    calls_unpriced: int
    cost_nano: int


@dataclass(frozen=True, slots=True)
class Relative:
    """A job that this one came from, or that came from this one."""

    id: str
    name: str
    state: JobState
    rows_total: int


@dataclass(frozen=True, slots=True)
class Hands:
    """Who works on the job just now."""

    shards: int
    workers: int


@dataclass(frozen=True, slots=True)
class JobPage:
    """One job with everything around it, from one snapshot."""

    job: Job
    now: float
    """By the database's clock."""
    calls_per_s: float
    hands: Hands
    workers_alive: int
    standings: Sequence[board.Standing]
    """How its account and others stand with their models."""
    asked: Mapping[str, int]
    """Calls paid for, by model."""
    points: Sequence[pulses.Point]
    operations: Sequence[operations_seen.OperationSeen]
    """Its batches and training runs: those still out first."""
    failures: Sequence[FailureGroup]
    costs: Sequence[money.Cost]
    """By model."""
    doubts: Sequence[DoubtGroup]
    """Those of a sweep's runs too."""
    events: Sequence[Event]
    deliveries: Sequence[Mapping[str, Any]]
    ancestors: Sequence[Relative]
    children: Sequence[Relative]
    training: trainingpage.TrainingPage | None = None
    """None: the job trains nothing."""
    evaluation: reports.EvaluationPage | None = None
    """None: the job ends in no report."""
    stages: Sequence[stages_seen.StageSeen] = ()
    """Of a pipeline's run, in the order of its file."""


def read(connection: Connection, job_id: str) -> JobPage | None:
    """All that the page of a job shows; None: there is no such job."""
    job = job_moves.get(connection, job_id)
    if job is None:
        return None
    training = trainingpage.read(connection, job)
    runs = [run.id for run in training.runs] if training else []
    return JobPage(
        job=job,
        now=read_now(connection),
        calls_per_s=pulses.rates_now(connection, [job_id])[job_id],
        hands=hands_on(connection, job_id),
        workers_alive=len(fleet.alive(connection)),
        standings=board.standings(connection),
        asked=board.models_asked(connection, [job_id]).get(job_id, {}),
        points=pulses.series(connection, job_id),
        operations=operations_seen.of_job(connection, job_id, OPERATIONS),
        failures=failures(connection, job),
        costs=money.costs(connection, "model", job_id),
        doubts=doubts_by_reason(connection, job_id, *runs),
        events=newest_events(connection, job_id),
        deliveries=deliveries.newest(connection, subject_id=job_id, limit=DELIVERIES),
        ancestors=ancestors(connection, job),
        children=children(connection, job_id),
        training=training,
        evaluation=reports.read(connection, job),
        stages=stages_seen.seen(connection, job_id),
    )


def failures(connection: Connection, job: Job) -> list[FailureGroup]:
    """The failed rows by reason, the most frequent first.

    In the snapshot that `job` was read in: its counter makes one capped group exact again.
    """
    counted = _counts(connection, job.id)
    capped = [code for code, count in counted.items() if count > COUNT_UP_TO]
    if len(capped) == 1:
        others = sum(count for code, count in counted.items() if code != capped[0])
        counted[capped[0]] = max(counted[capped[0]], job.rows_failed - others)
        capped = []
    samples = _samples(connection, job.id, list(counted))
    groups = [
        FailureGroup(
            code, COUNT_UP_TO if code in capped else count, code not in capped, samples[code]
        )
        for code, count in counted.items()
    ]
    return sorted(groups, key=lambda group: (-group.count, group.code))


def _counts(connection: Connection, job_id: str) -> dict[str, int]:
    """Failed rows by code, each counted to one more than `COUNT_UP_TO` at most."""
    counts = []
    for code in FailureCode:
        found = select(rows.c.seq).where(_failed(job_id, code)).limit(COUNT_UP_TO + 1).subquery()
        counts.append(
            select(literal(code.value).label("code"), func.count().label("n")).select_from(found)
        )
    return {code: count for code, count in connection.execute(union_all(*counts)) if count}


def _samples(
    connection: Connection, job_id: str, codes: Sequence[str]
) -> Mapping[str, list[FailedRow]]:
    found: dict[str, list[FailedRow]] = {code: [] for code in codes}
    if codes:
        query = union_all(*(_first_failed(job_id, code).subquery().select() for code in codes))
        for row in sorted(connection.execute(query), key=lambda row: row.seq):
            shown = FailedRow(row.seq, row.row_id, row.failure_detail or "")
            found[row.failure_code].append(shown)
    return found


def _first_failed(job_id: str, code: str) -> Select[Any]:
    wanted = (rows.c.failure_code, rows.c.seq, rows.c.row_id, rows.c.failure_detail)
    return select(*wanted).where(_failed(job_id, code)).order_by(rows.c.seq).limit(SAMPLES)


def _failed(job_id: str, code: str) -> Any:
    return and_(
        rows.c.job_id == job_id,
        rows.c.failure_code == code,
        # written out: a plan made for any value could not take the partial index
        rows.c.state == literal_column(f"'{RowState.FAILED.value}'"),
    )


def newest_events(connection: Connection, job_id: str, *, limit: int = EVENTS) -> list[Event]:
    """The job's newest events, the newest first."""
    query = (
        select(events)
        .where(events.c.subject_id == job_id)
        .order_by(events.c.seq.desc())
        .limit(limit)
    )
    return reading.all_of(connection, query, Event)


def doubts_by_reason(connection: Connection, *ids: str) -> list[DoubtGroup]:
    """Calls in doubt of a job and its runs, by reason, the most frequent first."""
    query = (
        select(
            doubts.c.reason,
            func.count(),
            func.count() - func.count(doubts.c.cost_nano),
            func.coalesce(func.sum(doubts.c.cost_nano), 0),
        )
        .where(doubts.c.job_id.in_(ids))
        .group_by(doubts.c.reason)
        .order_by(func.count().desc(), doubts.c.reason)
    )
    return [
        DoubtGroup(found[0], *(int(part) for part in found[1:]))
        for found in connection.execute(query)
    ]


def ancestors(connection: Connection, job: Job) -> list[Relative]:
    """The jobs that this one came from, the nearest first."""
    found: list[Relative] = []
    parent = job.parent_id
    while parent is not None and len(found) < RELATIVES:
        query = select(*_RELATIVE, jobs.c.parent_id).where(jobs.c.id == parent)
        row = connection.execute(query).first()
        if row is None or row.id in {job.id, *(one.id for one in found)}:
            break
        found.append(_relative(row))
        parent = row.parent_id
    return found


def children(connection: Connection, job_id: str) -> list[Relative]:
    """The jobs that came from this one, in their order."""
    query = (
        select(*_RELATIVE)
        .where(jobs.c.parent_id == job_id)
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(RELATIVES)
    )
    return [_relative(found) for found in connection.execute(query)]


_RELATIVE = (jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.rows_total)


def _relative(found: Any) -> Relative:
    return Relative(found.id, found.name, JobState(found.state), found.rows_total)


def hands_on(connection: Connection, job_id: str) -> Hands:
    """How many shards are leased, and to how many worker processes."""
    query = select(func.count(), func.count(distinct(shards.c.owner))).where(
        shards.c.job_id == job_id, shards.c.state == ShardState.LEASED
    )
    return Hands(*connection.execute(query).one())
