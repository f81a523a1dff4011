"""One stage in hand, done: begun, taken over, or what its job made collected."""

import logging

from models.errors import MaestraleError, SpentError, StoreAwayError, StoreBusyError
from models.pipelines.schema import RunSpec
from models.states import JobState
from models.store import jobs, stages, stages_seen
from models.store.stages import StageInHand
from models.tables import Job, Stage
from producers.client import Maestrale
from producers.pipelines import sharing
from producers.pipelines.given import asked_of, digest_of, outputs_of
from producers.pipelines.hand import Hand, told_of
from producers.pipelines.kinds import doing
from producers.pipelines.outcomes import Later, Lost, Outcome, TakenOver

log = logging.getLogger(__name__)


def do(maestrale: Maestrale, run: Job, held: StageInHand) -> Outcome:
    """What doing the stage came to; whatever goes wrong fails it by name."""
    try:
        told = told_of(run)
        return _collect(maestrale, run, told, held) or _begin(maestrale, run, told, held)
    except (StoreBusyError, StoreAwayError) as error:  # no fault of the stage's
        log.warning("%s %s: %s", *held.key, error)
        return Later("")  # it waits for nobody
    except SpentError:
        return sharing.broke(maestrale.store, run, held.stage)
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
            budget = sharing.share_of(maestrale.store, run.id, told, stage)  # ranking runs is paid
            hand = Hand(maestrale, run, told, stage, asked, stage.hash, budget)
            return doing(stage.kind).collect(hand, job)
        case _:
            return Later("")


def _begin(maestrale: Maestrale, run: Job, told: RunSpec, held: StageInHand) -> Outcome:
    stage, store = held.stage, maestrale.store
    with store.read() as connection:
        outputs = outputs_of(stages_seen.of_run(connection, run.id))
    asked = asked_of(told, stage.name, outputs)
    digest = digest_of(maestrale, told, stage.name, asked, outputs)
    with store.write() as connection:
        stages.note_hash(connection, held, digest)
    known = None if told.again else taken_over(maestrale, run.id, stage.kind, digest)
    if known is not None:
        return TakenOver(known)
    budget = sharing.share_of(store, run.id, told, stage)
    if budget is not None and budget <= 0:
        return sharing.broke(store, run, stage)
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
