"""Parts of a budget: what the jobs below another may spend of it.

Who decides by them has locked that job: it is its budget, and nobody else gives any of it then.
"""

from collections.abc import Collection

from sqlalchemy import Connection, select, update

from models.states import SETTLED, JobKind
from models.store.families import all_below, spent_below_nano, spent_nano, unsettled_children
from models.tables import Job, table_of

jobs = table_of(Job)


def budget_of(connection: Connection, job_id: str) -> int | None:
    """What the job may spend in all; None: as much as it takes."""
    found: int | None = connection.scalar(select(jobs.c.budget_nano).where(jobs.c.id == job_id))
    return found


def committed_nano(connection: Connection, job_id: str, *, but: Collection[str] = ()) -> int:
    """What the jobs right below it have spent, or may spend until they are over: of a sweep as much
    as its runs, should they be promised more than it.

    `but`: those that do not count.
    """
    columns = (jobs.c.id, jobs.c.state, jobs.c.budget_nano)
    query = select(*columns).where(jobs.c.parent_id == job_id, jobs.c.id.not_in(but))
    return sum(
        max(
            _spent_in_all(connection, one.id),
            _promised(one.state, one.budget_nano),
            committed_nano(connection, one.id),
        )
        for one in connection.execute(query)
    )


def unused_nano(connection: Connection, sweep: str) -> int:
    """What runs of a sweep that are over left of its budget; 0 for a job that has no runs."""
    budget = budget_of(connection, sweep)
    if budget is None or not all_below(connection, sweep):
        return 0
    return max(0, budget - committed_nano(connection, sweep))


def hand_out(connection: Connection, job_id: str, budget_nano: int | None) -> None:
    """Gives the job another budget, and what is not over below it its part of that: what it spent,
    and as much of what is left as each of the others.

    None: it keeps its own, which the runs of a sweep share anew, and stages do not.
    """
    if budget_nano is not None:
        mine = update(jobs).where(jobs.c.id == job_id)
        connection.execute(mine.values(budget_nano=budget_nano))
    elif (budget_nano := _of_a_sweep(connection, job_id)) is None:
        return
    children = unsettled_children(connection, job_id)
    left = max(0, budget_nano - spent_below_nano(connection, job_id))
    for child in children:
        hand_out(connection, child, _spent_in_all(connection, child) + left // len(children))


def keep_within(connection: Connection, job_id: str) -> None:
    """A job that is opened again may spend no more than is left of its parent's budget: its own
    remainder may have been given to others since. Where nothing is left it keeps what it spent."""
    parent_id = connection.scalar(select(jobs.c.parent_id).where(jobs.c.id == job_id))
    whole = None if parent_id is None else budget_of(connection, parent_id)
    if parent_id is None or whole is None:
        return
    left = whole - committed_nano(connection, parent_id, but=[job_id])
    most, own = max(left, _spent_in_all(connection, job_id)), budget_of(connection, job_id)
    if own is None or own > most:
        hand_out(connection, job_id, most)


def _promised(state: str, budget_nano: int | None) -> int:
    return 0 if state in SETTLED else budget_nano or 0


def _spent_in_all(connection: Connection, job_id: str) -> int:
    """A sweep's own count knows nothing of its runs."""
    return spent_nano(connection, [job_id, *all_below(connection, job_id)])


def _of_a_sweep(connection: Connection, job_id: str) -> int | None:
    kind = connection.scalar(select(jobs.c.kind).where(jobs.c.id == job_id))
    return None if kind == JobKind.PIPELINE else budget_of(connection, job_id)
