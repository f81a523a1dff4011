"""Failed work opened again: rows with their shards, runs of a sweep, stages of a pipeline."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select, update

from models.errors import BadInputError
from models.states import STAGE_GOOD, JobState, RowState, ShardState, StageState
from models.store import jobs as job_moves
from models.store import portions, stages, stages_seen
from models.store.engine import now_s
from models.store.families import all_above, is_run
from models.store.jobs import jobs, rows, shards
from models.store.progress import TENTHS
from models.tables import Stage

OVER = (JobState.SUCCEEDED, JobState.FAILED)
"""What is tried again is in one of these: a stopped job, and a sweep's runs with it, is not."""
STOPPED: Mapping[JobState, str] = {
    JobState.PAUSED: "is paused: let it go on by `maestrale resume {}` first",
    JobState.CANCELLED: "was cancelled for good: begin it anew (`maestrale run`, `maestrale "
    "train`); answers that were paid for are reused",
}
"""What stands or was given up, and what to do instead of a retry below it."""


def retry(connection: Connection, job_id: str) -> int:
    """Re-opens the failed rows (only those) and their shards, of a sweep those of its runs.

    Answers how many rows. A sweep that is over goes on with its runs; of a pipeline's run the lost
    stages are opened and counted. Raises `BadInputError` for a job below one that was stopped, and
    for one of a stage that is done.
    """
    if is_run(connection, job_id):
        return _retry_run(connection, job_id)
    runs, above = _lost_runs(connection, job_id), all_above(connection, job_id)
    job_moves.lock(connection, [job_id, *runs, *above])
    _check_goes_on(connection, job_id, above)
    if connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id)) not in OVER:
        return 0
    opened = runs or [job_id]
    count = sum(_retry(connection, one) for one in opened)
    if count:
        _go_on(connection, opened[0])
    if runs and count:
        portions.hand_out(connection, job_id, None)  # each still had the share it failed with
    return count


def _check_goes_on(connection: Connection, job_id: str, above: Sequence[str]) -> None:
    """What a stopped run or sweep would pay for without anybody collecting it is not opened."""
    for one in reversed(above):  # the run before its sweep: with the run, the sweep goes on
        job = job_moves.get(connection, one)
        if job is not None and job.state in STOPPED:
            raise BadInputError(
                f"{job_id} belongs to {one}, which {STOPPED[JobState(job.state)].format(one)}"
            )
    if above and is_run(connection, above[-1]):
        _check_is_read(connection, [job_id, *above][-2], above[-1])


def _check_is_read(connection: Connection, job_id: str, run_id: str) -> None:
    """A stage that is done never reads again what its jobs make, nor does the run count it."""
    found = stages_seen.of_run(connection, run_id)
    of_job = {stage.job_id: stage.name for stage in found if stage.job_id}
    key = connection.scalar(select(jobs.c.idempotency_key).where(jobs.c.id == job_id))
    name = stages_seen.begun_by(of_job, job_id, key)
    done = [stage.name for stage in found if stage.state in STAGE_GOOD]
    if name in done:
        raise BadInputError(
            f"{job_id} did the stage {name} of {run_id}, which is done and would not read what a "
            "retry brings: `maestrale run ... --again` does all stages anew (answers that were "
            "paid for are reused, models are trained again)"
        )


def _go_on(connection: Connection, job_id: str) -> None:
    """What a job that was opened again is below of is not over: its sweep, and the run of that."""
    above = all_above(connection, job_id)
    for one in reversed([job_id, *above][:-1]):
        portions.keep_within(connection, one)
    if above and not is_run(connection, above[0]):
        _sweep_goes_on(connection, above[0], job_id)
        job_id, *above = above
    if above:
        _stages_go_on(connection, above[0], job_id)


def _sweep_goes_on(connection: Connection, sweep: str, run: str) -> None:
    """The sweep of a run that was opened again counts its runs anew, and is not over."""
    job_moves.move(connection, sweep, JobState.QUEUED, only_from=OVER, finished_at=None)
    job_moves.tell_parent(connection, run)


def _retry_run(connection: Connection, run_id: str) -> int:
    """The failed stages with what failed of their jobs, and those that were passed over."""
    found = stages_seen.of_run(connection, run_id)
    failed = [stage for stage in found if stage.state == StageState.FAILED]
    theirs = [job_id for stage in failed for job_id in _jobs_of(stage)]
    lost = [run for job_id in theirs for run in _lost_runs(connection, job_id)]
    job_moves.lock(connection, [run_id, *theirs, *lost])
    count = 0
    for stage in failed:
        goes_on = (job_id for job_id in _jobs_of(stage) if _retry_job(connection, job_id))
        count += stages.reopen(connection, stage, job_id=next(goes_on, None))
    return count + _open_run(connection, run_id) if count else 0


def _jobs_of(stage: Stage) -> list[str]:
    """The stage's job, and if that ranks the runs of a sweep, the sweep."""
    return [job_id for job_id in (stage.job_id, stages.sweep_of(stage)) if job_id]


def _retry_job(connection: Connection, job_id: str) -> int:
    """Failed rows of a stage's job, or of its runs; how many, or 1 for a job that goes on by itself
    or is done, and of which only the collecting failed. The stage is the caller's."""
    job = job_moves.get(connection, job_id)
    if job is None or job.state == JobState.CANCELLED:
        return 0
    if job.state != JobState.FAILED:
        return 1
    runs = _lost_runs(connection, job_id)
    count = sum(_retry(connection, one) for one in runs or [job_id])
    if count:
        portions.keep_within(connection, job_id)
    if runs and count:
        portions.hand_out(connection, job_id, None)
        _sweep_goes_on(connection, job_id, runs[0])
    return count


def _lost_runs(connection: Connection, job_id: str) -> list[str]:
    mine = (jobs.c.parent_id == job_id) & (jobs.c.state == JobState.FAILED)
    return list(connection.scalars(select(jobs.c.id).where(mine).order_by(jobs.c.id)))


def _stages_go_on(connection: Connection, run_id: str, job_id: str) -> None:
    """A job of a run was opened again by itself: if its stage had failed, the run goes on."""
    failed = [
        stage
        for stage in stages_seen.of_run(connection, run_id)
        if stage.state == StageState.FAILED and job_id in _jobs_of(stage)
    ]
    if any(stages.reopen(connection, stage, job_id=job_id) for stage in failed):
        _open_run(connection, run_id)


def _open_run(connection: Connection, run_id: str) -> int:
    """The run goes on, with the stages that were passed over; answers how many."""
    over = (JobState.FAILED,)
    job_moves.move(connection, run_id, JobState.QUEUED, only_from=over, finished_at=None)
    lost = [
        one for one in stages_seen.of_run(connection, run_id) if one.state == StageState.SKIPPED
    ]
    count = sum(stages.reopen(connection, stage, job_id=None) for stage in lost)
    stages.recount(connection, run_id)
    return count


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
