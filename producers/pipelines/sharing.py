"""A run's budget among its stages: what each may spend, and what is passed on when it returns."""

from sqlalchemy import Connection

from models.errors import MaestraleError
from models.pipelines.schema import RunSpec
from models.states import JobState, StageState
from models.store import families, jobs, money, stages_seen, trainings
from models.store.engine import Store
from models.tables import Job, Stage
from models.words import money as words_of
from producers.pipelines.hand import SWEEP, notes_of
from producers.pipelines.kinds import PAID
from producers.pipelines.outcomes import Later, Lost, Outcome

LEAST_NANO = 1_000
"""Less than this pays for no call, and is not worth starting a job again."""
SPENT = "budget:"
"""How the reason of a job begins that stands because its budget is spent."""


class SpentError(MaestraleError):
    """Nothing is left of the run's budget for a job that a stage wants to submit."""


def share_of(store: Store, run_id: str, told: RunSpec, stage: Stage) -> int | None:
    """What the stage may spend: a part of what is neither spent nor promised. None: no budget."""
    if stage.kind not in PAID:
        return None
    with store.read() as connection:
        run = jobs.get(connection, run_id)
        if run is None or run.budget_nano is None:
            return None
        left = run.budget_nano - _committed(connection, run_id)
        found = stages_seen.of_run(connection, run_id)
    return int(left // max(1, sum(_submits(one, told) for one in found)))


def broke(store: Store, run: Job) -> Outcome:
    """Nothing is left: for now, while others may leave something, or for good."""
    with store.read() as connection:
        children = trainings.children(connection, run.id)
    if any(_promised(job) for job in children):
        return Later("it waits for what others leave of the budget")
    words = words_of(run.budget_nano or 0)
    return Lost(f"the budget of {words} is spent: `maestrale run ... --resume --budget MORE`")


def pass_on(connection: Connection, run_id: str) -> str | None:
    """Lets a job that spent its share go on with what the others left; None: nothing is left.

    Answers the job; the caller rings for it.
    """
    jobs.lock(connection, families.family(connection, run_id))
    run = jobs.get(connection, run_id)
    if run is None or run.budget_nano is None:
        return None
    left = run.budget_nano - _committed(connection, run_id)
    if left < LEAST_NANO:
        return None
    for job in trainings.children(connection, run_id):
        stands = job.state == JobState.PAUSED and job.state_reason.startswith(SPENT)
        nano = (job.budget_nano or 0) + left
        if stands and jobs.resume(connection, job.id, budget_nano=nano):
            return job.id
    return None


def _submits(stage: Stage, told: RunSpec) -> bool:
    """Whether it may submit a job just now: its first, or the one that ranks its runs."""
    if stage.state != StageState.WORKING or stage.kind not in PAID:
        return False
    is_ranked = bool(told.pipeline.stage(stage.name).suite) and SWEEP not in notes_of(stage)
    return not stage.job_id or (stage.kind == "train" and is_ranked)


def _committed(connection: Connection, run_id: str) -> int:
    """What the run's jobs have spent, or may spend until they are over."""
    children = trainings.children(connection, run_id)
    return sum(max(_spent(connection, job), _promised(job)) for job in children)


def _spent(connection: Connection, job: Job) -> int:
    """A sweep's own count knows nothing of its runs."""
    ids = [job.id, *(run.id for run in trainings.children(connection, job.id))]
    return sum(money.spent_nano(connection, one) for one in ids)


def _promised(job: Job) -> int:
    """What a job that is not over may spend in all."""
    is_open = job.finished_at is None
    return (job.budget_nano or 0) if is_open else 0
