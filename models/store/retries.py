"""Failed work opened again: rows with their shards, and the runs of a sweep."""

from sqlalchemy import Connection, func, select, update

from models.states import JobState, RowState, ShardState
from models.store import jobs as job_moves
from models.store.engine import now_s
from models.store.jobs import jobs, rows, shards
from models.store.progress import TENTHS

OVER = (JobState.SUCCEEDED, JobState.FAILED)
"""What is tried again is in one of these: a stopped job, and a sweep's runs with it, is not."""


def retry(connection: Connection, job_id: str) -> int:
    """Re-opens the failed rows (only those) and their shards, of a sweep those of its runs.

    Answers how many rows. A sweep that is over goes on with its runs.
    """
    parent = connection.scalar(select(jobs.c.parent_id).where(jobs.c.id == job_id))
    mine = (jobs.c.parent_id == job_id) & (jobs.c.state == JobState.FAILED)
    runs = list(connection.scalars(select(jobs.c.id).where(mine).order_by(jobs.c.id)))
    job_moves.lock(connection, [job_id, *runs, *filter(None, [parent])])
    if connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id)) not in OVER:
        return 0
    if not runs:
        count = _retry(connection, job_id)
        _go_on(connection, parent, job_id if count else None)
        return count
    count = sum(_retry(connection, run) for run in runs)
    _go_on(connection, job_id, runs[0] if count else None)
    return count


def _go_on(connection: Connection, sweep: str | None, run: str | None) -> None:
    """The sweep of a run that was opened again counts its runs anew, and is not over."""
    if sweep is None or run is None:
        return
    job_moves.move(connection, sweep, JobState.QUEUED, only_from=OVER, finished_at=None)
    job_moves.tell_parent(connection, run)


def _retry(connection: Connection, job_id: str) -> int:
    failed = (rows.c.job_id == job_id) & (rows.c.state == RowState.FAILED)
    numbers = select(rows.c.shard_no).where(failed).distinct()
    count = connection.scalar(select(func.count()).select_from(rows).where(failed)) or 0
    if not count or not job_moves.move(
        connection,
        job_id,
        JobState.QUEUED,
        only_from=OVER,
        finished_at=None,
        rows_failed=jobs.c.rows_failed - count,
        progress_told=(jobs.c.rows_done + jobs.c.rows_failed - count) * TENTHS // jobs.c.rows_total,
        progress_told_at=now_s(),
    ):
        return 0
    reopened = connection.execute(
        update(shards)
        .where(
            shards.c.job_id == job_id, shards.c.state == ShardState.DONE, shards.c.no.in_(numbers)
        )
        .values(state=ShardState.OPEN, published_at=None, deaths=0)
    ).rowcount
    connection.execute(
        update(rows)
        .where(failed)
        .values(
            state=RowState.OPEN,
            failure_code=None,
            failure_detail=None,
            deaths=0,
            in_hand=False,
            attempt=rows.c.attempt + 1,
        )
    )
    connection.execute(
        update(jobs).where(jobs.c.id == job_id).values(shards_done=jobs.c.shards_done - reopened)
    )
    return count
