"""The runs of a sweep, compared: ranked by validation loss, and as facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from models.states import JobKind
from models.store import trainings
from models.tables import Job, TrainingPoint
from models.training import TrainingSpec
from models.training.plan import perplexity
from producers.client import Maestrale
from producers.training import Training, spec_of_job


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a sweep as it stands."""

    job: Job
    spec: TrainingSpec
    points: list[TrainingPoint]
    model: str = ""
    """Its name in the registry, once it is there."""
    kept_loss: float | None = None
    """Validation loss of the adapter that was kept."""

    @property
    def valid_loss(self) -> float | None:
        """What it is ranked by: of the kept adapter, else the best one told so far."""
        told = [point.valid_loss for point in self.points if point.valid_loss is not None]
        return self.kept_loss if self.kept_loss is not None else min(told, default=None)

    @property
    def train_loss(self) -> float | None:
        """The newest."""
        told = [point.loss for point in self.points if point.loss is not None]
        return told[-1] if told else None

    @property
    def step(self) -> int:
        """How far it is."""
        return max((point.step for point in self.points), default=0)


def ranked(training: Training, children: Sequence[Job]) -> list[Ran]:
    """The best validation loss first; runs without one last, in their order."""
    runs = [_ran(training, child) for child in children]
    found = [run for run in runs if run is not None]
    return sorted(found, key=lambda run: (run.valid_loss is None, run.valid_loss or 0.0))


def with_runs(maestrale: Maestrale, found: Sequence[Job]) -> list[Job]:
    """The jobs, sweeps with what their runs have cost in place of their own nothing."""
    trained = [job.id for job in found if job.kind == JobKind.TRAIN]
    with maestrale.store.read() as connection:
        sums = trainings.paid_by_runs(connection, trained)
    return [Job(**{**job.model_dump(), **sums.get(job.id, {})}) for job in found]


def facts_of(run: Ran) -> dict[str, Any]:
    """A run as programs read it."""
    return {
        "job": run.job.id,
        "name": run.spec.name,
        "state": run.job.state,
        "model": run.model or None,
        "learning_rate": run.spec.learning_rate,
        "steps": run.spec.steps,
        "batch_size": run.spec.batch_size,
        "lora_rank": run.spec.lora_rank,
        "seed": run.spec.seed,
        "step": run.step,
        "valid_loss": run.valid_loss,
        "perplexity": perplexity(run.valid_loss),
        "train_loss": run.train_loss,
    }


def varied(runs: Sequence[Ran]) -> list[str]:
    """The fields of the specs in which the runs differ, in the order of the spec."""
    names = [name for name in TrainingSpec.model_fields if name not in ("name", "dataset")]
    return [name for name in names if len({getattr(run.spec, name) for run in runs}) > 1]


def _ran(training: Training, job: Job) -> Ran | None:
    spec = spec_of_job(job)
    if spec is None:
        return None
    model = training.model_of(job.id)
    metrics = orjson.loads(model.metrics) if model else {}
    return Ran(
        job,
        spec,
        training.points(job.id),
        model.name if model else "",
        metrics.get("valid_loss_after"),
    )
