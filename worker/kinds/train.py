"""The training kind: its one row is one run, by a child process here or with the provider.

Here, the child writes checkpoints and tells of each step; whoever runs the row again (after a
pause, a kill, another worker's death) goes on from the newest of them. With the provider, the row
leaves an operation to the clock and waits; run again, it registers what came of it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from models.crashing import crash_point
from models.errors import BadInputError, MaestraleError
from models.payloads import Failed, RowOutcome, Snoozed, Submitted, Succeeded
from models.states import FailureCode, RemoteState
from models.store import jobs, registry, remote, trainings
from models.tables import RemoteOperation, TrainingPoint, TunedModel
from models.training import DatasetRef, TrainingSpec
from models.training.contents import content_hash
from worker import training
from worker.jobs import ShardInHand
from worker.rows import RowRun
from worker.training import Checkpointed, Died, Done, Evaluated, Event, Point, Run, Stopped

log = logging.getLogger(__name__)

ONLY_SHARD = 0
"""A training job has one row in one shard."""
MOST_DEATHS = 3
"""Times that a child may die one after the other without a new checkpoint between."""

Do = Callable[..., Awaitable[Any]]
Start = Callable[..., Awaitable[Run]]
Metrics = dict[str, float | None]


class Trainings:
    """The training runs of one process. Belongs to its event loop."""

    def __init__(self, *, write: Do, read: Do, home: Path, start: Start = Run.start) -> None:
        """`start`: `Run.start`, with what the operator has set."""
        self._write = write
        self._read = read
        self._home = home
        self._start = start

    async def run_row(self, run: RowRun) -> RowOutcome:
        """One run to its end, or as far as it may go now."""
        spec = run.shard.job.spec.training
        if spec is None:
            return Failed(FailureCode.INTERNAL, "the job does not say what it trains")
        train = self._train_there if spec.trainer == "mistral" else self._train_here
        try:
            return await train(run, spec)
        except MaestraleError as error:
            return Snoozed(f"the database was away: {error}")

    # -- here ----------------------------------------------------------------------------------

    async def _train_here(self, run: RowRun, spec: TrainingSpec) -> RowOutcome:
        if wrong := await asyncio.to_thread(wrong_with, spec.dataset):
            return _failed(wrong)
        deaths, diary = 0, Diary(self._write, run.shard.job.id)
        while True:
            try:
                last = await self._run_child(run, spec, diary)
            except (BadInputError, OSError) as error:
                return _failed(str(error))
            deaths = deaths + 1 if diary.checkpoints == 0 else 1
            diary.checkpoints = 0
            if not isinstance(last, Died) or run.shard.is_stopped or deaths >= MOST_DEATHS:
                return await self._ended(run, spec, last)
            log.warning("%s: it goes on from its last checkpoint", last.detail)

    async def _run_child(self, run: RowRun, spec: TrainingSpec, diary: "Diary") -> training.Last:
        """One child from its start to its last word, told to stop when the shard is."""
        folder = self._home / "runs" / run.shard.job.id
        child = await self._start(folder, spec, home=self._home)
        stopper = asyncio.create_task(_stop_with(run.shard, child))
        try:
            async for event in child.events():
                if isinstance(event, training.Last):
                    await diary.write()
                    return event
                await diary.note(event)
            raise AssertionError("a run ends with its last word")
        finally:
            stopper.cancel()
            await child.stop(0)  # it has ended, or this process is about to: nothing goes on alone
            await asyncio.gather(stopper, return_exceptions=True)

    async def _ended(
        self, run: RowRun, spec: TrainingSpec, last: training.Last
    ) -> Succeeded | Failed | Snoozed:
        match last:
            case Done(result=result):
                place = _below(Path(result.adapter), self._home)
                metrics: Metrics = {
                    "valid_loss_before": result.valid_loss_before,
                    "valid_loss_after": result.valid_loss_after,
                    "train_loss": result.train_loss,
                    "steps": float(result.steps),
                    "best_step": float(result.best_step),
                    "seconds": result.seconds,
                    "tokens": float(result.tokens),
                }
                return await self._register(run, spec, place, metrics, result.versions)
            case training.Failed(code=code, detail=detail):
                return _failed(f"{code}: {detail}")
            case Stopped(step=step):
                log.info("stopped at step %d: it goes on from there", step)
                return Snoozed(run.shard.stop_reason or "the training was told to stop")
            case Died(detail=detail):
                if run.shard.is_stopped:
                    return Snoozed(run.shard.stop_reason)
                return _failed(f"{detail} ({MOST_DEATHS} times without a new checkpoint)")

    # -- with the provider ---------------------------------------------------------------------

    async def _train_there(self, run: RowRun, spec: TrainingSpec) -> RowOutcome:
        job_id = run.shard.job.id
        known = await self._read(trainings.operations_of, job_id, ONLY_SHARD)
        is_over = not known or known[-1].state in (RemoteState.FAILED, RemoteState.CANCELLED)
        if is_over and len(known) <= run.row.attempt:  # the first, or asked for by `retry`
            await self._write(_intend, job_id, spec.base, len(known))
            return Submitted("the provider trains")
        operation: RemoteOperation = known[-1]
        match RemoteState(operation.state):
            case RemoteState.SUCCEEDED:
                told = await self._read(trainings.of_job, job_id)
                place = str(orjson.loads(operation.files).get("model", ""))
                return await self._register(run, spec, place, hosted_metrics(told, spec), {})
            case RemoteState.FAILED | RemoteState.CANCELLED:
                return _failed(operation.reason or f"the provider's training {operation.state}")
            case _:
                return Submitted("the provider trains")

    # -- what came of it -----------------------------------------------------------------------

    async def _register(
        self, run: RowRun, spec: TrainingSpec, place: str, metrics: Metrics, by: dict[str, str]
    ) -> Succeeded:
        model = TunedModel(
            name=spec.name,
            base=spec.base,
            trainer=spec.trainer,
            place=place,
            job_id=run.shard.job.id,
            dataset_name=spec.dataset.name,
            dataset_hash=spec.dataset.hash,
            parameters=spec.model_dump_json(),
            seed=spec.seed,
            code_version=version("maestrale"),
            created_at=0.0,
        )
        stored: TunedModel = await self._write(registry.register, model, metrics)
        crash_point("model.registered")
        record = {"model": stored.name, "base": spec.base, "trainer": spec.trainer, **metrics}
        lineage = {"dataset_hash": spec.dataset.hash, "seed": spec.seed, "versions": by}
        return Succeeded([record], lineage)


class Diary:
    """What a run told and the database does not have yet: an outage must not stop a training."""

    def __init__(self, write: Do, job_id: str) -> None:
        self._do = write
        self._job_id = job_id
        self._untold: list[tuple[int, dict[str, Any]]] = []
        self.checkpoints = 0

    async def note(self, event: Event) -> None:
        """Stores what the event says of its step."""
        match event:
            case Point(step=step):
                told = event.model_dump(include={"epoch", "loss", "learning_rate", "tokens"})
            case Evaluated(step=step):
                told = event.model_dump(include={"valid_loss", "valid_accuracy"})
            case Checkpointed(step=step, name=name):
                self.checkpoints += 1
                told = {"checkpoint": name}
            case _:
                log.info("the training says: %s", event.event)
                return
        self._untold.append((step, told))
        await self.write()

    async def write(self) -> None:
        """Tries to store all that is not stored yet, in one transaction."""
        if not self._untold:
            return
        try:
            await self._do(trainings.tell_all, self._job_id, self._untold)
        except MaestraleError as error:
            log.warning("points of the training wait for the database: %s", error)
        else:
            self._untold = []


def wrong_with(dataset: DatasetRef) -> str:
    """Why the dataset's folder is not what was asked for; empty if it is."""
    folder = Path(dataset.folder)
    if not folder.is_dir():
        return f"the dataset's folder {folder} is not on this machine: train where it is"
    try:
        found = content_hash(folder)
    except (OSError, ValueError) as error:
        return f"the dataset in {folder} cannot be read ({type(error).__name__})"
    if found != dataset.hash:
        return f"the dataset in {folder} has changed since the job was submitted: submit it anew"
    return ""


def hosted_metrics(told: list[TrainingPoint], spec: TrainingSpec) -> Metrics:
    """What the provider's checkpoints say of the whole run."""
    valid = [point.valid_loss for point in told if point.valid_loss is not None]
    train = [point.loss for point in told if point.loss is not None]
    return {
        "valid_loss_before": None,
        "valid_loss_after": valid[-1] if valid else None,
        "train_loss": train[-1] if train else None,
        "steps": float(spec.steps),
    }


async def _stop_with(shard: ShardInHand, child: Run) -> None:
    """Waits for the shard to be stopped, and then stops the child."""
    if not shard.is_stopped:
        with shard.waiting():
            await asyncio.Event().wait()  # only the stop ends it
    await child.stop()


def _failed(detail: str) -> Failed:
    return Failed(FailureCode.TRAINING_FAILED, detail)


def _below(path: Path, home: Path) -> str:
    inside = path.is_relative_to(home)
    return str(path.relative_to(home)) if inside else str(path)


def _intend(connection: Connection, job_id: str, model: str, known: int) -> str | None:
    """The intent of one more training, unless another process was first."""
    jobs.lock(connection, [job_id])
    if len(trainings.operations_of(connection, job_id, ONLY_SHARD)) != known:
        return None
    return remote.create(
        connection, job_id=job_id, shard_no=ONLY_SHARD, kind="training", model=model
    )
