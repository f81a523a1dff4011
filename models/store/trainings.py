"""What training runs told, step by step; their remote operations; the children of a sweep."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from models.states import JobKind
from models.store import inserts, reading, rows
from models.store.engine import now_s
from models.tables import Job, RemoteOperation, TrainingPoint, table_of

points = table_of(TrainingPoint)
jobs = table_of(Job)
operations = table_of(RemoteOperation)

LAST_JOBS = 20
"""A run's pace is looked for among so many trainings, the newest first."""


def tell(connection: Connection, job_id: str, step: int, told: Mapping[str, Any]) -> None:
    """Adds what is `told` of a step to what is known of it; told twice it stands there once."""
    key = {"job_id": job_id, "step": step}
    inserts.replace(connection, points, key, {**told, "at": now_s()})


def tell_all(
    connection: Connection, job_id: str, told: Iterable[tuple[int, Mapping[str, Any]]]
) -> None:
    """`tell` for several steps. With a checkpoint among them the run gets on: who died with it
    did not die of it."""
    has_checkpoint = False
    for step, values in told:
        tell(connection, job_id, step, values)
        has_checkpoint |= "checkpoint" in values
    if has_checkpoint:
        rows.forgive(connection, job_id)


def of_job(connection: Connection, job_id: str) -> list[TrainingPoint]:
    """A run's points in order of its steps."""
    query = select(points).where(points.c.job_id == job_id).order_by(points.c.step)
    return reading.all_of(connection, query, TrainingPoint)


def children(connection: Connection, parent_id: str) -> list[Job]:
    """The runs of a sweep, in the order in which they were submitted."""
    query = select(jobs).where(jobs.c.parent_id == parent_id).order_by(jobs.c.name, jobs.c.id)
    return reading.all_of(connection, query, Job)


def paid_by_runs(connection: Connection, parents: Sequence[str]) -> dict[str, dict[str, int]]:
    """By sweep: the sums of its runs' calls, unpriced ones and cost; no other job has an entry."""
    names = ("calls_made", "calls_unpriced", "cost_nano")
    query = (
        select(jobs.c.parent_id, *(func.sum(jobs.c[name]) for name in names))
        .where(jobs.c.parent_id.in_(parents))
        .group_by(jobs.c.parent_id)
    )
    found = connection.execute(query)
    return {row[0]: dict(zip(names, map(int, row[1:]), strict=True)) for row in found}


def recent(connection: Connection) -> Sequence[tuple[str, str]]:
    """(id, spec) of the newest trainings that told how fast they went: by more than one point."""
    told = select(points.c.job_id).group_by(points.c.job_id).having(func.count() > 1)
    query = (
        select(jobs.c.id, jobs.c.spec)
        .where(jobs.c.kind == JobKind.TRAIN, jobs.c.id.in_(told))
        .order_by(jobs.c.created_at.desc())
        .limit(LAST_JOBS)
    )
    return [(job.id, job.spec) for job in connection.execute(query)]


def operations_of(connection: Connection, job_id: str, shard_no: int) -> list[RemoteOperation]:
    """The hosted runs of a shard, the oldest first."""
    query = (
        select(operations)
        .where(operations.c.job_id == job_id, operations.c.shard_no == shard_no)
        .order_by(operations.c.created_at, operations.c.id)
    )
    return reading.all_of(connection, query, RemoteOperation)
