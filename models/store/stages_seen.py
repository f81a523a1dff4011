"""Runs of pipelines and their stages as they stand; reading only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import orjson
from sqlalchemy import Connection, case, func, or_, select

from models.states import SETTLED, STAGE_GOOD, WORKABLE, JobKind, JobState
from models.store import reading
from models.tables import Job, Stage, table_of

stages = table_of(Stage)
jobs = table_of(Job)


@dataclass(frozen=True, slots=True)
class Spent:
    """What jobs have spent; the names are those of a job's counters."""

    cost_nano: int = 0
    calls_made: int = 0
    calls_unpriced: int = 0

    def and_also(self, cost_nano: int, calls_made: int, calls_unpriced: int) -> "Spent":
        """With what another job spent."""
        return Spent(
            self.cost_nano + cost_nano,
            self.calls_made + calls_made,
            self.calls_unpriced + calls_unpriced,
        )


@dataclass(frozen=True, slots=True)
class StageSeen:
    """A stage as it stands, with the job that does it."""

    stage: Stage
    job: Job | None
    spent: Spent = Spent()
    """By all jobs that it began in this run."""

    @property
    def output(self) -> dict[str, Any]:
        """What it made."""
        return dict(orjson.loads(self.stage.output))

    @property
    def needs(self) -> list[str]:
        """The stages before it."""
        return list(orjson.loads(self.stage.needs))

    @property
    def is_own(self) -> bool:
        """Whether its job is this run's, and not an earlier one's."""
        return self.job is not None and self.job.parent_id == self.stage.run_id

    @property
    def cost_nano(self) -> int:
        """What it cost this run."""
        return self.spent.cost_nano


def seen(connection: Connection, run_id: str) -> list[StageSeen]:
    """The stages of a run with their jobs, in the order of the file."""
    found = of_run(connection, run_id)
    at_work, spent = jobs_of(connection, found), spent_of(connection, found)
    return [
        StageSeen(stage, at_work.get(stage.job_id or ""), spent.get(stage.name, Spent()))
        for stage in found
    ]


def of_run(connection: Connection, run_id: str) -> list[Stage]:
    """The stages of a run, in the order of the file."""
    query = select(stages).where(stages.c.run_id == run_id).order_by(stages.c.place)
    return reading.all_of(connection, query, Stage)


def jobs_of(connection: Connection, found: Sequence[Stage]) -> dict[str, Job]:
    """The jobs that do these stages, by id."""
    ids = [stage.job_id for stage in found if stage.job_id]
    query = select(jobs).where(jobs.c.id.in_(ids))
    return {job["id"]: Job(**job) for job in connection.execute(query).mappings()}


def spent_of(connection: Connection, found: Sequence[Stage]) -> dict[str, Spent]:
    """What the jobs that these stages of one run began have spent, by stage.

    All of them: of every attempt, the runs of a sweep, and the evaluation that ranks these. So the
    stages of a run add up to the run.
    """
    run_ids = {stage.run_id for stage in found}
    of_job = {stage.job_id: stage.name for stage in found if stage.job_id}
    query = select(jobs.c.id, jobs.c.idempotency_key).where(jobs.c.parent_id.in_(run_ids))
    begun = {one[0]: begun_by(of_job, *one) for one in connection.execute(query)}
    whose = case((jobs.c.id.in_(begun), jobs.c.id), else_=jobs.c.parent_id).label("whose")
    sums = [func.sum(jobs.c[one.name]) for one in fields(Spent)]
    theirs = select(whose, *sums).where(or_(jobs.c.id.in_(begun), jobs.c.parent_id.in_(begun)))
    spent: dict[str, Spent] = {}
    for one in connection.execute(theirs.group_by(whose)):
        name = begun[one[0]]
        spent[name] = spent.get(name, Spent()).and_also(*(int(number) for number in one[1:]))
    return spent


def begun_by(of_job: Mapping[str, str], job_id: str, idempotency_key: str | None) -> str:
    """The stage that began a job: whose it is, or which its key names (`RUN/STAGE/...`); empty:
    none did."""
    named = (idempotency_key or "").partition("/")[2].partition("/")[0]
    return of_job.get(job_id) or named


def open_runs(connection: Connection) -> list[Job]:
    """Runs that may go on, the first priority first."""
    query = (
        select(jobs)
        .where(jobs.c.kind == JobKind.PIPELINE, jobs.c.state.in_(WORKABLE))
        .order_by(jobs.c.priority, jobs.c.created_at, jobs.c.id)
    )
    return reading.all_of(connection, query, Job)


def runs_touched(connection: Connection, subjects: Sequence[str]) -> set[str]:
    """The open runs among these jobs, and those that have one of them as a child."""
    child = select(jobs.c.parent_id).where(jobs.c.id.in_(subjects))
    mine = or_(jobs.c.id.in_(subjects), jobs.c.id.in_(child))
    query = select(jobs.c.id).where(mine, jobs.c.kind == JobKind.PIPELINE)
    return set(connection.scalars(query.where(jobs.c.state.in_(WORKABLE))))


def same_under_way(connection: Connection, fingerprint: str) -> Job | None:
    """The newest run of the same pipeline on the same rows that is not over."""
    query = (
        select(jobs)
        .where(
            jobs.c.fingerprint == fingerprint,
            jobs.c.kind == JobKind.PIPELINE,
            jobs.c.state.not_in(SETTLED),
        )
        .order_by(jobs.c.created_at.desc())
    )
    return reading.one(connection, query.limit(1), Job)


def newest_run(connection: Connection, name: str) -> Job | None:
    """The newest run of a pipeline of this name that was not given up."""
    query = (
        select(jobs)
        .where(
            jobs.c.kind == JobKind.PIPELINE,
            jobs.c.name == name,
            jobs.c.state != JobState.CANCELLED,
        )
        .order_by(jobs.c.created_at.desc())
    )
    return reading.one(connection, query.limit(1), Job)


def earlier(connection: Connection, digest: str, run_id: str) -> list[Stage]:
    """Stages of other runs that did the very same, the newest first."""
    query = (
        select(stages)
        .where(stages.c.hash == digest, stages.c.state.in_(STAGE_GOOD), stages.c.run_id != run_id)
        .order_by(stages.c.finished_at.desc())
        .limit(10)
    )
    return reading.all_of(connection, query, Stage)
