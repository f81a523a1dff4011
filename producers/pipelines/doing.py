"""One stage in hand, done: begun, taken over, or what its job made collected."""

import logging

from models.errors import MaestraleError, StoreBusyError
from models.pipelines.schema import RunSpec
from models.states import STAGE_OPEN, JobState, StageState
from models.store import jobs, money, stages, stages_seen, trainings
from models.store.engine import Store
from models.store.stages import StageInHand
from models.tables import Job, Stage
from models.words import money as words_of
from producers.client import Maestrale
from producers.pipelines.given import asked_of, digest_of, outputs_of
from producers.pipelines.hand import Hand, told_of
from producers.pipelines.kinds import PAID, doing
from producers.pipelines.outcomes import Later, Lost, Outcome, TakenOver

log = logging.getLogger(__name__)


def do(maestrale: Maestrale, run: Job, held: StageInHand) -> Outcome:
    """What doing the stage came to; whatever goes wrong fails it by name."""
    try:
        told = told_of(run)
        return _collect(maestrale, run, told, held) or _begin(maestrale, run, told, held)
    except StoreBusyError as error:
        return Later(str(error))
    except MaestraleError as error:
        return Lost(str(error))
    except Exception as error:
        log.exception("%s %s", *held.key)
        kind = type(error).__name__
        return Lost(f"a bug of ours ({kind}): please report it with the conductor's log")


def _collect(maestrale: Maestrale, run: Job, told: RunSpec, held: StageInHand) -> Outcome | None:
    """Of a stage whose job is over. None: no job was submitted yet."""
    stage = held.stage
    if stage.job_id is None:
        return None
    with maestrale.store.read() as connection:
        job = jobs.get(connection, stage.job_id)
        found = stages_seen.of_run(connection, run.id)
    match job.state if job else None:
        case None:
            return Lost(f"{stage.job_id} is gone: it was pruned")
        case JobState.FAILED | JobState.CANCELLED:
            assert job is not None
            return Lost(f"{job.id} {_ended(job)}")
        case JobState.SUCCEEDED:
            assert job is not None
            asked = asked_of(told, stage.name, outputs_of(found))
            hand = Hand(maestrale, run, told, stage, asked, stage.hash)
            return doing(stage.kind).collect(hand, job)
        case _:
            return Later("")


def _begin(maestrale: Maestrale, run: Job, told: RunSpec, held: StageInHand) -> Outcome:
    stage, store = held.stage, maestrale.store
    with store.read() as connection:
        outputs = outputs_of(stages_seen.of_run(connection, run.id))
    asked = asked_of(told, stage.name, outputs)
    digest = digest_of(told, stage.name, asked, outputs)
    with store.write() as connection:
        stages.note_hash(connection, held, digest)
    known = None if told.again else taken_over(maestrale, run.id, stage.kind, digest)
    if known is not None:
        return TakenOver(known)
    budget = _budget(store, run.id, stage)
    if budget is not None and budget <= 0:
        return _broke(store, run)
    hand = Hand(maestrale, run, told, stage, asked, digest, budget)
    return doing(stage.kind).begin(hand)


def taken_over(maestrale: Maestrale, run_id: str, kind: str, digest: str) -> Stage | None:
    """The newest stage of another run that did the very same, and whose outputs are there."""
    with maestrale.store.read() as connection:
        known = stages_seen.earlier(connection, digest, run_id)
    is_there = doing(kind).is_there
    outputs = ((one, outputs_of([one])[one.name]) for one in known)
    return next((one for one, output in outputs if is_there(maestrale, output)), None)


def _ended(job: Job) -> str:
    if job.state == JobState.CANCELLED:
        return "was cancelled"
    return f"failed: {job.state_reason}; see `maestrale failures {job.id}`"


def _budget(store: Store, run_id: str, stage: Stage) -> int | None:
    """What the stage may spend: a part of what is neither spent nor promised. None: no budget."""
    if stage.kind not in PAID:
        return None
    with store.read() as connection:
        run = jobs.get(connection, run_id)
        if run is None or run.budget_nano is None:
            return None
        found = stages_seen.of_run(connection, run_id)
        children = trainings.children(connection, run_id)
        spent = sum(max(money.spent_nano(connection, job.id), _promised(job)) for job in children)
    beginning = [one for one in found if one.state == StageState.WORKING and not one.job_id]
    paid = [one for one in beginning if one.kind in PAID]
    return int((run.budget_nano - spent) // max(1, len(paid)))


def _promised(job: Job) -> int:
    """What a job that is not over may spend in all."""
    is_open = job.finished_at is None
    return (job.budget_nano or 0) if is_open else 0


def _broke(store: Store, run: Job) -> Outcome:
    """Nothing is left: for now, while others may leave something, or for good."""
    with store.read() as connection:
        found = stages_seen.of_run(connection, run.id)
    if any(one.state in STAGE_OPEN and one.job_id for one in found):
        return Later("it waits for what others leave of the budget")
    words = words_of(run.budget_nano or 0)
    return Lost(f"the budget of {words} is spent: `maestrale run ... --resume --budget MORE`")
