"""Jobs of jobs: the runs of a sweep, the stages of a pipeline's run; reading only."""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from models.states import SETTLED, JobKind, JobState
from models.tables import Doubt, Job, table_of

jobs = table_of(Job)
doubts = table_of(Doubt)

SPENT = "budget:"
"""How the reason of a job begins that stands because its budget is spent."""


def is_run(connection: Connection, job_id: str) -> bool:
    """Whether the job is a pipeline's run, which settles with its stages."""
    kind = connection.scalar(select(jobs.c.kind).where(jobs.c.id == job_id))
    return bool(kind == JobKind.PIPELINE)


def unsettled_children(connection: Connection, job_id: str) -> list[str]:
    """The jobs below it that are not over, in a stable order."""
    mine = (jobs.c.parent_id == job_id) & jobs.c.state.not_in(SETTLED)
    return list(connection.scalars(select(jobs.c.id).where(mine).order_by(jobs.c.id)))


def family(connection: Connection, job_id: str) -> list[str]:
    """The job, and all below it that are not over: of a run the runs of its sweeps, too."""
    below = unsettled_children(connection, job_id)
    return [job_id, *(one for child in below for one in family(connection, child))]


def all_above(connection: Connection, job_id: str) -> list[str]:
    """The jobs that it is below of, the nearest first: its sweep, and the run of that."""
    parent = connection.scalar(select(jobs.c.parent_id).where(jobs.c.id == job_id))
    return [parent, *all_above(connection, parent)] if parent else []


def sweep_of(connection: Connection, job_id: str) -> str | None:
    """The sweep that it is a run of; None: it is none of a sweep's."""
    parent = connection.scalar(select(jobs.c.parent_id).where(jobs.c.id == job_id))
    return None if parent is None or is_run(connection, parent) else parent


def all_below(connection: Connection, job_id: str) -> list[str]:
    """All jobs below it, over or not: stages of a run, runs of a sweep."""
    mine = select(jobs.c.id).where(jobs.c.parent_id == job_id)
    children = list(connection.scalars(mine.order_by(jobs.c.id)))
    theirs = select(jobs.c.id).where(jobs.c.parent_id.in_(children)).order_by(jobs.c.id)
    return [*children, *connection.scalars(theirs)]


def jobs_of_run(connection: Connection, job_id: str) -> list[str]:
    """All jobs below a pipeline's run, over or not; none: the job is no run."""
    return all_below(connection, job_id) if is_run(connection, job_id) else []


def spent_nano(connection: Connection, ids: Sequence[str]) -> int:
    """What counts against budgets of these jobs: paid calls, and doubts by their estimate."""
    paid = select(func.coalesce(func.sum(jobs.c.cost_nano), 0)).where(jobs.c.id.in_(ids))
    doubted = select(func.coalesce(func.sum(doubts.c.cost_nano), 0)).where(doubts.c.job_id.in_(ids))
    return int(connection.scalar(paid) or 0) + int(connection.scalar(doubted) or 0)


def spent_below_nano(connection: Connection, job_id: str) -> int:
    """The same of all jobs below it, which a run and a sweep count late or not at all."""
    return spent_nano(connection, all_below(connection, job_id))


def why_it_stands(connection: Connection, sweep: str) -> str | None:
    """Why a sweep cannot go on: all its runs that are not over are paused; None: one is not.

    What people have to mend goes before a spent budget, which others may leave something for.
    """
    columns = (jobs.c.state, jobs.c.state_reason)
    query = select(*columns).where(jobs.c.parent_id == sweep, jobs.c.state.not_in(SETTLED))
    order = (jobs.c.state_reason.startswith(SPENT), jobs.c.name, jobs.c.id)
    found = connection.execute(query.order_by(*order)).all()
    stands = bool(found) and all(one.state == JobState.PAUSED for one in found)
    return str(found[0].state_reason) if stands else None
