"""Hosted trainings: files up, job made without starting it, started once it is valid, followed.

The API has no metadata there: a job is found again by its suffix, the end of our operation's id.
One that is only made (once: `starting`) costs nothing until it is started.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection

from models.bounds import MOST_COUNT
from models.payloads import JobSpec
from models.prices import PriceTable
from models.states import JobState, RemoteState
from models.store import jobs, remote, trainings
from models.store.remote import InHand
from models.tables import RemoteOperation
from models.training import TrainingSpec
from models.training.contents import content_hash
from worker.gateway.faults import Fault
from worker.gateway.remote import NOT_TRAINABLE, RemoteApi, RemoteJob, training_suffix
from worker.remote import starting, training_costs
from worker.remote.outcomes import Fetched, Later, Refused, Seen, Sent
from worker.remote.statuses import Standing, standing_of
from worker.remote.training_files import Prepared, prepare

log = logging.getLogger(__name__)

BEGUN = "begun"
"""Among an operation's files: its start was asked for, so it may cost something from then on."""
TRAIN_HERE = "train an open model on your own machine instead: `maestrale train --trainer local`"
STILL = (JobState.CANCELLED, JobState.PAUSED)

Do = Callable[..., Awaitable[Any]]


class HostedTrainings:
    """The handler of training operations."""

    def __init__(
        self, *, api: RemoteApi, write: Do, prices: PriceTable, folder: Path, wandb_key: str = ""
    ) -> None:
        self._api = api
        self._write = write
        self._prices = prices
        self._folder = folder
        self._wandb_key = wandb_key

    async def send(self, hand: InHand) -> Sent | Later | Refused | Fault:
        """Finds it, or uploads its rows, asks what it would take, and makes it."""
        op, spec = hand.op, _spec_of(hand)
        suffix = training_suffix(op.id)
        find = partial(self._api.find_trainings, suffix)
        if (known := await starting.earlier(self._write, hand, find)) is not None:
            return known
        if spec.wandb_project and not self._wandb_key:
            return Refused("WANDB_API_KEY is not set for the workers, and --wandb needs it there")
        files = await self._files(op, spec)
        if isinstance(files, Fault | Refused):
            return files
        return await self._make(op, request_body(spec, files, suffix, self._wandb_key))

    async def look(self, hand: InHand) -> Seen | Fault:
        """Asks how it stands, starts it when it is valid, and stores its checkpoints."""
        job = await self._api.training(str(hand.op.remote_id))
        if isinstance(job, Fault):
            return job
        if standing_of(job.status) == Standing.READY and hand.job_state not in STILL:
            await self._write(remote.note_files, hand.op, {BEGUN: job.id})
            started = await self._api.start_training(job.id)
            if isinstance(started, Fault):
                return started
            job = RemoteJob(job.id, started.status or job.status, {**job.answer, **started.answer})
        await self._tell(hand.op, job)
        return Seen(job, standing_of(job.status))

    async def cancel(self, hand: InHand) -> Fault | None:
        """Its job was cancelled."""
        answer = await self._api.cancel_training(str(hand.op.remote_id))
        return answer if isinstance(answer, Fault) else None

    async def fetch(self, hand: InHand) -> Fetched | Fault:
        """Notes the last checkpoints and the model's id, and says how the training ended."""
        job = await self._api.training(str(hand.op.remote_id))
        if isinstance(job, Fault):
            return job
        await self._tell(hand.op, job)
        match standing_of(job.status):
            case Standing.SUCCEEDED if job.fine_tuned_model:
                await self._write(remote.note_files, hand.op, {"model": job.fine_tuned_model})
                return Fetched(RemoteState.SUCCEEDED)
            case Standing.SUCCEEDED:
                return Fetched(RemoteState.FAILED, "it succeeded, but names no model")
            case Standing.CANCELLED:
                return Fetched(RemoteState.CANCELLED, "cancelled with the provider")
            case _:
                why = job.errors or "the provider does not say why"
                return Fetched(RemoteState.FAILED, f"{job.status}: {why}")

    async def end(self, hand: InHand, fetched: Fetched) -> None:
        """Ends it here, and removes what was uploaded for it."""
        if not await self._write(_settle, hand.op, fetched):
            return
        files = orjson.loads(hand.op.files)
        for role in ("input", "validation"):
            if file_id := files.get(role):
                await self._api.delete_file(str(file_id))  # at best: a file too many costs nothing

    # -- steps ---------------------------------------------------------------------------------

    async def _files(
        self, op: RemoteOperation, spec: TrainingSpec
    ) -> dict[str, str] | Fault | Refused:
        """Remote ids of training and validation file, uploaded if they are not there."""
        files: dict[str, str] = dict(orjson.loads(op.files))
        if "input" in files:
            return files
        try:
            made = await asyncio.to_thread(_prepare, spec, self._folder / op.id)
        except (OSError, ValueError) as error:
            return Refused(f"the dataset in {spec.dataset.folder} cannot be used: {error}")
        try:
            for role, path in made.by_role():
                name = f"{op.id}-{role}.jsonl"
                sent = await starting.uploaded(self._api, op, path, name, "fine-tune")
                if isinstance(sent, Fault):
                    return sent
                files[role] = sent
        finally:
            made.remove()
        await self._write(remote.note_files, op, files)
        return files

    async def _make(
        self, op: RemoteOperation, body: dict[str, Any]
    ) -> Sent | Later | Refused | Fault:
        trial = await self._api.dry_run_training(body)
        if isinstance(trial, Fault):
            return _refusal(trial, op.model) or trial
        log.info("the provider expects: %s", _expected(trial))
        said_nano = training_costs.expected_nano(trial, self._prices)
        if not await self._write(training_costs.afford, op, said_nano):
            return Later(starting.ASK_AGAIN_S, "its job's budget does not pay for it")
        made = await starting.start(self._write, op, partial(self._api.create_training, body))
        return _refusal(made, op.model) or made if isinstance(made, Fault) else made

    async def _tell(self, op: RemoteOperation, job: RemoteJob) -> None:
        told = list(checkpoints(job.checkpoints))
        if told:
            await self._write(trainings.tell_all, op.job_id, told)


def request_body(
    spec: TrainingSpec, files: dict[str, str], suffix: str, wandb_key: str
) -> dict[str, Any]:
    """What makes the training; it is started by a request of its own, once it is valid."""
    body: dict[str, Any] = {
        "model": spec.base,
        "job_type": "completion",
        "training_files": [{"file_id": files["input"], "weight": 1}],
        "suffix": suffix,
        "auto_start": False,
        "hyperparameters": {
            "training_steps": spec.steps,
            "learning_rate": spec.learning_rate,
            "weight_decay": spec.weight_decay,
            "warmup_fraction": spec.warmup_share,
        },
    }
    if "validation" in files:
        body["validation_files"] = [files["validation"]]
    if spec.wandb_project:
        integration = {"type": "wandb", "project": spec.wandb_project, "run_name": spec.name}
        body["integrations"] = [{**integration, "api_key": wandb_key}]
    return body


def checkpoints(said: Iterable[dict[str, Any]]) -> Iterable[tuple[int, dict[str, Any]]]:
    """(step, what is told of it) of a provider's checkpoints; what is none is passed over."""
    for point in said:
        step, metrics = point.get("step_number"), point.get("metrics")
        if not (isinstance(step, int) and 0 <= step <= MOST_COUNT and isinstance(metrics, dict)):
            continue
        told = {
            "loss": _number(metrics.get("train_loss")),
            "valid_loss": _number(metrics.get("valid_loss")),
            "valid_accuracy": _number(metrics.get("valid_mean_token_accuracy")),
        }
        yield step, told


def _number(value: object) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_one else None  # type: ignore[arg-type] # just looked


def _refusal(fault: Fault, model: str) -> Refused | None:
    """A refusal for good, which names the way that is open."""
    if fault.code != NOT_TRAINABLE:
        return None
    return Refused(f"this account cannot train {model} ({fault.message}): {TRAIN_HERE}")


def _expected(trial: dict[str, Any]) -> str:
    told = ("expected_duration_seconds", "cost", "cost_currency", "train_tokens")
    return ", ".join(f"{name} {trial[name]}" for name in told if trial.get(name) is not None)


def _prepare(spec: TrainingSpec, folder: Path) -> Prepared:
    if content_hash(Path(spec.dataset.folder)) != spec.dataset.hash:
        raise ValueError("it has changed since the job was submitted: submit it anew")
    return prepare(Path(spec.dataset.folder), folder)


def _spec_of(hand: InHand) -> TrainingSpec:
    training = JobSpec.model_validate_json(hand.spec).training
    assert training is not None, "operations of kind training belong to jobs that train"
    return training


def _settle(connection: Connection, op: RemoteOperation, fetched: Fetched) -> bool:
    jobs.lock(connection, [op.job_id])
    if not remote.settle(connection, op, fetched.state, fetched.reason):
        return False
    has_begun = BEGUN in orjson.loads(op.files)
    training_costs.count(connection, op, fetched.state, may_have_run=has_begun)
    return True
