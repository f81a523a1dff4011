"""A run's budget among its stages: what each may spend, and what is passed on when it returns."""

from collections.abc import Sequence

from sqlalchemy import Connection

from models.pipelines.schema import RunSpec
from models.states import SETTLED, JobState, StageState
from models.store import families, jobs, portions, stages_seen, trainings
from models.store.engine import Store
from models.tables import Job, Stage
from models.words import money as words_of
from producers.pipelines.hand import SWEEP, notes_of
from producers.pipelines.kinds import PAID
from producers.pipelines.outcomes import Later, Lost, Outcome

LEAST_NANO = 1_000
"""Less than this pays for no call, and is not worth starting a job again."""


def share_of(store: Store, run_id: str, told: RunSpec, stage: Stage) -> int | None:
    """What the stage may spend: a part of what is neither spent nor promised. None: no budget.

    Promised is what jobs may spend: what this stage submits gets no more than is left by then
    (`joining.stay_below`).
    """
    if stage.kind not in PAID:
        return None
    with store.read() as connection:
        run = jobs.get(connection, run_id)
        if run is None or run.budget_nano is None:
            return None
        unknown = _submitted(trainings.children(connection, run_id), stage)
        left = run.budget_nano - portions.committed_nano(connection, run_id, but=unknown)
        found = stages_seen.of_run(connection, run_id)
    return int(left // max(1, sum(_submits(one, told) for one in found)))


def broke(store: Store, run: Job, stage: Stage) -> Outcome:
    """Nothing was left for the stage: for now, while others may leave something or just did, or for
    good."""
    with store.read() as connection:
        found = jobs.get(connection, run.id) or run
        budget = found.budget_nano or 0
        is_left = budget > portions.committed_nano(connection, run.id)
        children = trainings.children(connection, run.id)
        others = [one for one in stages_seen.of_run(connection, run.id) if one.name != stage.name]
    if is_left or any(job.budget_nano and _moves(job, others) for job in children):
        return Later("it waits for what others leave of the budget")
    words = words_of(budget)
    return Lost(f"the budget of {words} is spent: `maestrale run ... --resume --budget MORE`")


def pass_on(connection: Connection, run_id: str) -> str | None:
    """Lets a job that spent its share go on with what others left, a sweep also with what its own
    runs left; None: nothing is left for any.

    Answers the job; the caller rings for it.
    """
    jobs.lock(connection, families.family(connection, run_id))
    run = jobs.get(connection, run_id)
    if run is None or run.budget_nano is None:
        return None
    left = max(0, run.budget_nano - portions.committed_nano(connection, run_id))
    for job in trainings.children(connection, run_id):
        stands = job.state == JobState.PAUSED and job.state_reason.startswith(families.SPENT)
        if not stands or left + portions.unused_nano(connection, job.id) < LEAST_NANO:
            continue
        if jobs.resume(connection, job.id, budget_nano=(job.budget_nano or 0) + left):
            return job.id
    return None


def _moves(job: Job, others: Sequence[Stage]) -> bool:
    """Whether it may leave something. One that is paused is looked after by its stage; one that was
    submitted for what a stage is no longer given stands for good."""
    if job.state != JobState.PAUSED:
        return job.state not in SETTLED
    at_work = [one for one in others if one.state in (StageState.RUNNING, StageState.WORKING)]
    begins = tuple(f"{one.run_id}/{one.name}/{one.hash[:32]}/" for one in at_work if one.hash)
    is_theirs = (job.idempotency_key or "").startswith(begins)
    return is_theirs or job.id in [one.job_id for one in at_work]


def _submitted(children: Sequence[Job], stage: Stage) -> list[str]:
    """Jobs that it submitted and does not know of: who did so died, and they are answered now."""
    begins = f"{stage.run_id}/{stage.name}/"
    mine = [job for job in children if (job.idempotency_key or "").startswith(begins)]
    return [job.id for job in mine if job.id not in (stage.job_id, notes_of(stage).get(SWEEP))]


def _submits(stage: Stage, told: RunSpec) -> bool:
    """Whether it may submit a job just now: its first, or the one that ranks its runs."""
    if stage.state != StageState.WORKING or stage.kind not in PAID:
        return False
    is_ranked = bool(told.pipeline.stage(stage.name).suite) and SWEEP not in notes_of(stage)
    return not stage.job_id or (stage.kind == "train" and is_ranked)
