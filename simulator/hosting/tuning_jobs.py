"""One fine-tuning job of the old hosted API: its states and its curve, told the time."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TuningStatus(StrEnum):
    """The words of the API."""

    QUEUED = "QUEUED"
    """Created; the clock takes it up."""
    VALIDATING = "VALIDATING"
    """Its files are read."""
    VALIDATED = "VALIDATED"
    """Its files are good; it waits for `start`, unless it starts by itself."""
    STARTED = "STARTED"
    """Told to start; the clock runs it."""
    RUNNING = "RUNNING"
    """It learns."""
    SUCCESS = "SUCCESS"
    """The tuned model can be asked."""
    FAILED = "FAILED"
    """It broke down; events say why."""
    FAILED_VALIDATION = "FAILED_VALIDATION"
    """A file was not as it should be; events say where."""
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    """Somebody cancelled it; the clock ends it."""
    CANCELLED = "CANCELLED"
    """It was ended early."""


_S = TuningStatus
TUNING_TRANSITIONS: Mapping[TuningStatus, frozenset[TuningStatus]] = {
    _S.QUEUED: frozenset({_S.VALIDATING, _S.CANCELLATION_REQUESTED}),
    _S.VALIDATING: frozenset({_S.VALIDATED, _S.FAILED_VALIDATION, _S.CANCELLATION_REQUESTED}),
    _S.VALIDATED: frozenset({_S.STARTED, _S.CANCELLATION_REQUESTED}),
    _S.STARTED: frozenset({_S.RUNNING, _S.CANCELLATION_REQUESTED}),
    _S.RUNNING: frozenset({_S.SUCCESS, _S.FAILED, _S.CANCELLATION_REQUESTED}),
    _S.CANCELLATION_REQUESTED: frozenset({_S.CANCELLED}),
    _S.SUCCESS: frozenset(),
    _S.FAILED: frozenset(),
    _S.FAILED_VALIDATION: frozenset(),
    _S.CANCELLED: frozenset(),
}
TUNING_FINAL = frozenset(state for state, after in TUNING_TRANSITIONS.items() if not after)
_BEST_RATE = 1e-4
_UNTAUGHT_LOSS = 2.5


@dataclass(frozen=True, slots=True)
class Curve:
    """How the loss falls: towards a floor that is lowest for a learning rate of 1e-4."""

    learning_rate: float
    steps: int

    def metrics(self, step: int) -> dict[str, float]:
        """`Metric` of the specification after `step` steps."""
        floor = 0.6 + 0.15 * math.log10(self.learning_rate / _BEST_RATE) ** 2
        train = floor + (_UNTAUGHT_LOSS - floor) * math.exp(-3 * step / self.steps)
        valid = train + 0.05
        return {
            "train_loss": round(train, 4),
            "valid_loss": round(valid, 4),
            "valid_mean_token_accuracy": round(math.exp(-valid / 3), 4),
        }


@dataclass(slots=True)
class TuningJob:
    """A job and how far it is; times are seconds since 1970.

    `asked`: the request's own fields that the answer repeats. `figures`: its `JobMetadata`.
    """

    model: str
    asked: dict[str, Any]
    figures: dict[str, Any]
    curve: Curve
    created: float
    auto_start: bool = True
    breaks: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: TuningStatus = TuningStatus.QUEUED
    looks: int = 0
    modified: float = 0.0
    learned_from: float | None = None
    fine_tuned_model: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._note(self.created, None)

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in TUNING_FINAL

    def move(self, status: TuningStatus, now: float, error: str | None = None) -> None:
        """Enter another state, which is an event; asserts that it may."""
        assert status in TUNING_TRANSITIONS[self.status], f"{self.status} -> {status}"
        self.status = status
        if status is TuningStatus.RUNNING:
            self.learned_from = now
        self._note(now, error)

    def _note(self, now: float, error: str | None) -> None:
        self.modified = now
        data = {"status": str(self.status)} | ({"error": error} if error else {})
        self.events.insert(0, {"name": "status-updated", "data": data, "created_at": int(now)})

    def learn(self, now: float, run_s: float, checkpoints: int) -> bool:
        """Write the checkpoints that are due; whether the last step is done."""
        assert self.learned_from is not None
        share = min((now - self.learned_from) / run_s, 1.0) if run_s > 0 else 1.0
        due = int(share * checkpoints + 1e-9)
        for number in range(len(self.checkpoints) + 1, due + 1):
            step = max(self.curve.steps * number // checkpoints, 1)
            checkpoint = {"metrics": self.curve.metrics(step), "step_number": step}
            self.checkpoints.insert(0, {**checkpoint, "created_at": int(now)})
        return share >= 1.0

    def card(self, status: str | None = None) -> dict[str, Any]:
        """`CompletionFineTuningJob` of the specification; `status` is said instead of the truth."""
        return {
            "id": self.id,
            "object": "job",
            "job_type": "completion",
            "model": self.model,
            "status": status or self.status,
            "auto_start": self.auto_start,
            "created_at": int(self.created),
            "modified_at": int(self.modified),
            "fine_tuned_model": self.fine_tuned_model,
            "trained_tokens": self.figures["train_tokens"] if self.fine_tuned_model else None,
            "metadata": self.figures,
            "repositories": [],
            **self.asked,
        }

    def details(self, status: str | None = None) -> dict[str, Any]:
        """`CompletionFineTuningJobDetails`: events and checkpoints as well, newest first."""
        return {**self.card(status), "events": self.events, "checkpoints": self.checkpoints}
