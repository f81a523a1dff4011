"""All fine-tuning jobs of the account, and what moves them on."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain

from simulator.content.taught import Taught
from simulator.hosted_rules import Steering
from simulator.hosting.files import StoredFile
from simulator.hosting.tuning_bodies import TuningBody, fault_of, figures, steps_of
from simulator.hosting.tuning_jobs import Curve, TuningJob, TuningStatus
from simulator.inference import Simulation

_BROKEN = "The training broke down (the simulator was told so)"
_UNDONE = {TuningStatus.FAILED, TuningStatus.FAILED_VALIDATION, TuningStatus.CANCELLED}


class Tunings:
    """Fine-tuning jobs by id, in the order of their creation."""

    def __init__(self, simulation: Simulation, steering: Steering) -> None:
        self._simulation = simulation
        self._steering = steering
        self._jobs: dict[str, TuningJob] = {}
        self._rows: dict[str, Iterator[str | None]] = {}
        self._lessons: dict[str, list[StoredFile]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether no job will change by itself."""
        return all(
            job.is_final or (job.status is TuningStatus.VALIDATED and not job.auto_start)
            for job in self._jobs.values()
        )

    def create(self, body: TuningBody, files: list[StoredFile], now: float) -> TuningJob:
        """A new job over these files."""
        kept = None if self._steering.rules.ignore_metadata else body.metadata
        job = TuningJob(
            model=body.model,
            asked=body.repeated(),
            figures={**figures(body, files, now), **(kept or {})},
            curve=Curve(body.hyperparameters.learning_rate, steps_of(body, files)),
            created=now,
            auto_start=body.auto_start,
            breaks=self._steering.take("fail_tunings"),
        )
        self._jobs[job.id] = job
        self._lessons[job.id] = files[: len(body.training_files)]
        self._rows[job.id] = map(fault_of, chain.from_iterable(file.lines() for file in files))
        self._simulation.stats.hosted.tuning_jobs_created += 1
        self._simulation.journal.note("created", kind="tuning", id=job.id, metadata=kept or {})
        return job

    def twin(self, body: TuningBody) -> TuningJob | None:
        """A job that already does, or did, what is asked for."""
        asked = body.repeated()
        for job in self._jobs.values():
            if job.status not in _UNDONE and (job.model, job.asked) == (body.model, asked):
                return job
        return None

    def find(self, job_id: str) -> TuningJob | None:
        """The job, unless there is none."""
        return self._jobs.get(job_id)

    def newest_first(self) -> list[TuningJob]:
        """All jobs."""
        return list(reversed(self._jobs.values()))

    def tick(self, now: float, slice_s: float) -> bool:
        """Move every job on by what is due; whether one is still reading its files."""
        reading = [self._advance(job, now, slice_s) for job in self._jobs.values()]
        return any(reading)

    def _advance(self, job: TuningJob, now: float, slice_s: float) -> bool:
        match job.status:
            case TuningStatus.QUEUED if now - job.created >= self._steering.rules.queued_s:
                job.move(TuningStatus.VALIDATING, now)
            case TuningStatus.VALIDATING:
                return self._validate(job, now, slice_s)
            case TuningStatus.VALIDATED if job.auto_start:
                job.move(TuningStatus.STARTED, now)
            case TuningStatus.STARTED:
                job.move(TuningStatus.RUNNING, now)
            case TuningStatus.RUNNING:
                self._learn(job, now)
            case TuningStatus.CANCELLATION_REQUESTED:
                job.move(TuningStatus.CANCELLED, now)
            case _:
                pass
        return False

    def _validate(self, job: TuningJob, now: float, slice_s: float) -> bool:
        """Read rows until the slice is over, or one is wrong, or all are read."""
        until = time.perf_counter() + slice_s
        for fault in self._rows[job.id]:
            if fault is not None:
                job.move(TuningStatus.FAILED_VALIDATION, now, f"a row has {fault}")
                return False
            if time.perf_counter() >= until:
                return True
        job.move(TuningStatus.VALIDATED, now)
        return False

    def _learn(self, job: TuningJob, now: float) -> None:
        rules = self._steering.rules
        done = job.learn(now, rules.tuning_s, rules.tuning_checkpoints)
        if job.breaks:
            job.move(TuningStatus.FAILED, now, _BROKEN)
        elif done:
            job.fine_tuned_model = _name(job, now)
            self._simulation.taught[job.fine_tuned_model] = self._taught(job)
            self._simulation.models = (*self._simulation.models, job.fine_tuned_model)
            job.move(TuningStatus.SUCCESS, now)

    def _taught(self, job: TuningJob) -> Taught:
        lines = chain.from_iterable(file.lines() for file in self._lessons.pop(job.id))
        accuracy = job.curve.metrics(job.curve.steps)["valid_mean_token_accuracy"]
        return Taught(lines, accuracy)


def _name(job: TuningJob, now: float) -> str:
    """As the API calls its tuned models: `ft:base:suffix:date:hash`."""
    date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d")
    digest = hashlib.sha256(job.id.encode()).hexdigest()[:8]
    return f"ft:{job.model}:{job.asked['suffix'] or 'tuned'}:{date}:{digest}"
