"""Jobs: one named function per move; every move is guarded and writes its event with it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, exists, func, insert, literal, or_, select, update

from models.states import (
    SETTLED,
    STAGE_OPEN,
    WORKABLE,
    JobState,
    ShardState,
    StageState,
    sources_of,
)
from models.store import events, portions, reading, remote
from models.store.engine import now_s
from models.store.families import family, sweep_of, unsettled_children, why_it_stands
from models.store.progress import ROUNDING, tenths_to_tell, why_failed
from models.tables import Job, Row, Shard, Stage, table_of

jobs = table_of(Job)
rows = table_of(Row)
shards = table_of(Shard)
stages = table_of(Stage)

COUNTERS = (
    "rows_done",
    "rows_failed",
    "calls_made",
    "calls_from_ledger",
    "calls_doubtful",
    "calls_unpriced",
    "calls_retried",
    "calls_refused",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_nano",
)


@dataclass(frozen=True, slots=True)
class Control:
    """What a user may change while a job runs."""

    state: JobState
    priority: int
    has_budget: bool


def create(connection: Connection, job: Job) -> None:
    """Inserts the job as `queued`, with its event; its rows follow in the same transaction."""
    values = job.model_dump(exclude={"created_at"})
    connection.execute(insert(jobs).values(**values, created_at=now_s()))
    events.write(connection, job.id, "job.queued")


def get(connection: Connection, job_id: str) -> Job | None:
    """The job, or None."""
    return reading.one(connection, select(jobs).where(jobs.c.id == job_id), Job)


def like(connection: Connection, beginning: str) -> list[str]:
    """Ids that begin with `beginning` (at most 3), so that people may type a short form."""
    query = select(jobs.c.id).where(jobs.c.id.startswith(beginning, autoescape=True)).limit(3)
    return list(connection.scalars(query))


def newest(connection: Connection, *, limit: int = 50, state: str | None = None) -> list[Job]:
    """The newest jobs first."""
    query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id).limit(limit)
    if state:
        query = query.where(jobs.c.state == state)
    return reading.all_of(connection, query, Job)


def by_fingerprint(connection: Connection, fingerprint: str) -> Job | None:
    """The newest job of the same submission that was not given up."""
    query = (
        select(jobs)
        .where(jobs.c.fingerprint == fingerprint, jobs.c.state != JobState.CANCELLED)
        .order_by(jobs.c.created_at.desc())
        .limit(1)
    )
    return reading.one(connection, query, Job)


def by_idempotency_key(connection: Connection, key: str) -> Job | None:
    """The job submitted under `key`, or None."""
    return reading.one(connection, select(jobs).where(jobs.c.idempotency_key == key), Job)


def control(connection: Connection, ids: Sequence[str]) -> dict[str, Control]:
    """What those who work on the jobs must follow; what does not exist is left out."""
    columns = (jobs.c.id, jobs.c.state, jobs.c.priority, jobs.c.budget_nano)
    found = connection.execute(select(*columns).where(jobs.c.id.in_(ids)))
    return {
        job.id: Control(JobState(job.state), job.priority, job.budget_nano is not None)
        for job in found
    }


def lock(connection: Connection, ids: Iterable[str]) -> None:
    """Locks the jobs, in one order (children before parents), before any shard or row of them.

    So nobody deadlocks. SQLite needs none: its transaction has the whole database.
    """
    if connection.dialect.name == "postgresql":
        theirs = jobs.alias()
        has_children = exists().where(theirs.c.parent_id == jobs.c.id)
        order = (jobs.c.parent_id.is_(None), has_children, jobs.c.id)
        query = select(jobs.c.id).order_by(*order).with_for_update(of=jobs)
        connection.execute(query.where(jobs.c.id.in_(sorted(set(ids))))).all()


def start(connection: Connection, job_id: str) -> bool:
    """queued or waiting -> running, by a claimed shard. Answers whether this call made the move."""
    moved = move(
        connection,
        job_id,
        JobState.RUNNING,
        only_from=(JobState.QUEUED, JobState.WAITING),
        started_at=func.coalesce(jobs.c.started_at, now_s()),
    )
    if moved:
        tell_parent(connection, job_id)
    return moved


def wait(connection: Connection, job_id: str) -> bool:
    """running -> waiting: all that is left of it waits for remote work."""
    state = connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id))
    if state == JobState.QUEUED:  # resumed with nothing left to claim
        start(connection, job_id)
    return move(connection, job_id, JobState.WAITING)


def pause(connection: Connection, job_id: str, reason: str) -> bool:
    """Stops new rows (and new jobs of a sweep) from starting; rows in flight finish."""
    lock(connection, family(connection, job_id))
    moved = move(connection, job_id, JobState.PAUSED, reason=reason)
    for child in unsettled_children(connection, job_id):
        pause(connection, child, reason)
    _stand(connection, sweep_of(connection, job_id))
    return moved


def resume(connection: Connection, job_id: str, *, budget_nano: int | None = None) -> bool:
    """paused -> queued, under another budget if one is given; then the caller rings for it."""
    sweep, paused = sweep_of(connection, job_id), (JobState.PAUSED,)
    lock(connection, family(connection, job_id))
    if not move(connection, job_id, JobState.QUEUED, only_from=paused):
        return False
    portions.hand_out(connection, job_id, budget_nano)
    remote.hurry(connection, job_id)
    for child in unsettled_children(connection, job_id):
        resume(connection, child)
    if sweep:  # it stood with its runs
        move(connection, sweep, JobState.QUEUED, only_from=paused)
    # messages that came while it was paused were no-ops: nobody would ring again for a while
    is_rung = (shards.c.state == ShardState.OPEN) & shards.c.published_at.is_not(None)
    connection.execute(
        update(shards).where(shards.c.job_id == job_id, is_rung).values(published_at=None)
    )
    return True


def reach_budget(connection: Connection, job_id: str, reason: str) -> bool:
    """Pauses a job whose next call might pass its budget, with both events; once."""
    moved = move(connection, job_id, JobState.PAUSED, reason=reason, why="budget.reached")
    _stand(connection, sweep_of(connection, job_id))
    return moved


def set_priority(connection: Connection, job_id: str, priority: int) -> bool:
    """0 (first) to 9 (last), for a job that is not settled; workers and new messages follow."""
    moved = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.not_in(SETTLED))
        .values(priority=priority)
    )
    return bool(moved.rowcount)


def cancel(connection: Connection, job_id: str) -> bool:
    """Gives the job up for good, and the jobs of a sweep with it; what was paid stays.

    Its remote work is cancelled by the clock.
    """
    lock(connection, family(connection, job_id))
    remote.hurry(connection, job_id)
    reason = "cancelled by the user"
    moved = move(connection, job_id, JobState.CANCELLED, reason=reason, finished_at=now_s())
    if moved:
        connection.execute(
            update(stages)
            .where(stages.c.run_id == job_id, stages.c.state.in_(STAGE_OPEN))
            .values(state=StageState.CANCELLED, reason=reason, finished_at=now_s())
        )
        for child in unsettled_children(connection, job_id):
            cancel(connection, child)
        tell_parent(connection, job_id)
    return moved


def count(connection: Connection, job_id: str, deltas: Mapping[str, int]) -> None:
    """Adds to the job's counters; names outside `COUNTERS` are a bug."""
    unknown = set(deltas) - set(COUNTERS)
    assert not unknown, unknown
    moved = {name: jobs.c[name] + delta for name, delta in deltas.items() if delta}
    if not moved:
        return
    statement = update(jobs).where(jobs.c.id == job_id).values(**moved)
    if not moved.keys() & _SETTLED_ROWS:
        connection.execute(statement)
        return
    stands = connection.execute(statement.returning(*_PROGRESS)).first()
    if stands is not None and (tenths := tenths_to_tell(stands)):
        told = {"progress_told": tenths, "progress_told_at": now_s()}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**told))
        events.write(connection, job_id, "job.progressed")


_SETTLED_ROWS = {"rows_done", "rows_failed"}
_PROGRESS = (
    jobs.c.state,
    jobs.c.rows_total,
    (jobs.c.rows_done + jobs.c.rows_failed).label("settled"),
    jobs.c.progress_told,
    (now_s() - func.coalesce(jobs.c.progress_told_at, jobs.c.started_at)).label("silent_s"),
)


def settle_if_done(connection: Connection, job_id: str) -> JobState | None:
    """Settles the job if its last shard is done: succeeded, or failed above `max_failed_share`.

    Answers the final state if this call settled it. A paused job settles too, with nothing left.
    """
    allowed = jobs.c.max_failed_share * jobs.c.rows_total + ROUNDING
    too_many = jobs.c.rows_failed > allowed
    moved = connection.execute(
        update(jobs)
        .where(
            jobs.c.id == job_id,
            jobs.c.shards_done >= jobs.c.shards_total,
            jobs.c.state.in_(sources_of(JobState.SUCCEEDED)),
        )
        .values(
            state=case(
                (too_many, literal(JobState.FAILED.value)), else_=literal(JobState.SUCCEEDED.value)
            ),
            state_reason="",
            finished_at=now_s(),
        )
        .returning(*(jobs.c[name] for name in _JUDGED))
    ).first()
    if moved is None:
        return None
    if moved.state == JobState.FAILED:
        why = why_failed(moved)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(state_reason=why))
    events.write(connection, job_id, f"job.{moved.state}")
    tell_parent(connection, job_id)
    return JobState(moved.state)


_JUDGED = (
    *("state", "kind", "parent_id", "idempotency_key"),
    *("rows_failed", "rows_total", "max_failed_share"),
)


def tell_parent(connection: Connection, job_id: str) -> None:
    """A job of a sweep began or settled: its parent counts them anew, and settles with the last.

    A pipeline's run hears nothing: it settles with its stages.
    """
    parent = sweep_of(connection, job_id)
    if parent is None:
        return
    lock(connection, [parent])  # two that settle at once see each other
    query = select(jobs.c.state, func.count()).where(jobs.c.parent_id == parent)
    found = connection.execute(query.group_by(jobs.c.state))
    by_state: dict[str, int] = {one.state: one[1] for one in found}
    done = by_state.get(JobState.SUCCEEDED, 0)
    lost = by_state.get(JobState.FAILED, 0) + by_state.get(JobState.CANCELLED, 0)
    counts = {"rows_done": done, "rows_failed": lost, "shards_done": done + lost}
    connection.execute(update(jobs).where(jobs.c.id == parent).values(**counts))
    start(connection, parent)
    settle_if_done(connection, parent)
    _stand(connection, parent)


def _stand(connection: Connection, sweep: str | None) -> None:
    """A sweep none of whose runs can go on is paused: nothing but `resume` moves it."""
    if sweep is None:
        return
    lock(connection, [sweep])  # two that pause at once see each other
    if (reason := why_it_stands(connection, sweep)) is not None:
        move(connection, sweep, JobState.PAUSED, reason=reason)


def workable_with_open_shards(connection: Connection) -> list[str]:
    """Jobs that may be worked on and have shards nobody was rung for, first priority first."""
    waiting = (
        select(shards.c.job_id)
        .where(shards.c.state == ShardState.OPEN, shards.c.published_at.is_(None))
        .distinct()
    )
    query = (
        select(jobs.c.id)
        .where(jobs.c.state.in_(WORKABLE), jobs.c.id.in_(waiting))
        .order_by(jobs.c.priority, jobs.c.created_at)
    )
    return list(connection.scalars(query))


def move(
    connection: Connection,
    job_id: str,
    target: JobState,
    *,
    only_from: Sequence[JobState] = (),
    reason: str = "",
    why: str = "",
    **values: Any,
) -> bool:
    """The guarded write behind every move: changes nothing unless the lifecycle allows it.

    `why`: an event that goes before that of the move.
    """
    allowed = [state for state in sources_of(target) if not only_from or state in only_from]
    moved = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id, or_(*(jobs.c.state == state for state in allowed)))
        .values(state=target, state_reason=reason, **values)
    )
    if moved.rowcount:
        for kind in filter(None, (why, f"job.{target}")):
            events.write(connection, job_id, kind)
    return bool(moved.rowcount)
