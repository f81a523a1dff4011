"""Jobs of jobs: the runs of a sweep, the stages of a pipeline's run; reading only."""

from sqlalchemy import Connection, select

from models.states import SETTLED, JobKind
from models.tables import Job

jobs = Job.__table__  # type: ignore[attr-defined] # SQLModel does not declare it


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


def jobs_of_run(connection: Connection, job_id: str) -> list[str]:
    """All jobs below a pipeline's run, over or not; none: the job is no run."""
    if not is_run(connection, job_id):
        return []
    mine = select(jobs.c.id).where(jobs.c.parent_id == job_id)
    stages = list(connection.scalars(mine.order_by(jobs.c.id)))
    theirs = select(jobs.c.id).where(jobs.c.parent_id.in_(stages)).order_by(jobs.c.id)
    return [*stages, *connection.scalars(theirs)]


def budget_share(
    connection: Connection, parent: str, child: str, among: int, budget_nano: int | None
) -> int | None:
    """A child's part of its parent's new budget; `among`: how many are not over.

    A run of a sweep has its part at once; a stage what it spent, and a part of what is left.
    """
    if budget_nano is None:
        return None
    if not is_run(connection, parent):
        runs = connection.scalar(select(jobs.c.rows_total).where(jobs.c.id == parent))
        return budget_nano // max(runs or 0, 1)
    spent = connection.scalar(select(jobs.c.cost_nano).where(jobs.c.id == child)) or 0
    all_spent = connection.scalar(select(jobs.c.cost_nano).where(jobs.c.id == parent)) or 0
    return int(spent + max(0, budget_nano - all_spent) // among)
