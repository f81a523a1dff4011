"""One batch job: its states and its counts. A machine without I/O, told the time."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from simulator.endpoints import Endpoint

_HOUR_S = 3600.0


class BatchStatus(StrEnum):
    """The words of the API."""

    QUEUED = "QUEUED"
    """Created; the clock starts it."""
    RUNNING = "RUNNING"
    """Its lines are executed."""
    SUCCESS = "SUCCESS"
    """All lines were executed, some perhaps in vain."""
    FAILED = "FAILED"
    """It could not begin; `errors` say why."""
    TIMEOUT_EXCEEDED = "TIMEOUT_EXCEEDED"
    """Time ran out; what was executed is in its files."""
    CANCELLATION_REQUESTED = "CANCELLATION_REQUESTED"
    """Somebody cancelled it; the clock ends it."""
    CANCELLED = "CANCELLED"
    """It was ended early; what was executed is in its files."""


BATCH_TRANSITIONS: Mapping[BatchStatus, frozenset[BatchStatus]] = {
    BatchStatus.QUEUED: frozenset(
        {
            BatchStatus.RUNNING,
            BatchStatus.FAILED,
            BatchStatus.TIMEOUT_EXCEEDED,
            BatchStatus.CANCELLATION_REQUESTED,
        }
    ),
    BatchStatus.RUNNING: frozenset(
        {
            BatchStatus.SUCCESS,
            BatchStatus.TIMEOUT_EXCEEDED,
            BatchStatus.CANCELLATION_REQUESTED,
        }
    ),
    BatchStatus.CANCELLATION_REQUESTED: frozenset({BatchStatus.CANCELLED}),
    BatchStatus.SUCCESS: frozenset(),
    BatchStatus.FAILED: frozenset(),
    BatchStatus.TIMEOUT_EXCEEDED: frozenset(),
    BatchStatus.CANCELLED: frozenset(),
}
BATCH_FINAL = frozenset(state for state, after in BATCH_TRANSITIONS.items() if not after)


@dataclass(frozen=True, slots=True)
class Fate:
    """What the rules have in store for a job, decided when it is created.

    `stop_after`: lines after which its time is out.
    """

    refused: bool = False
    stop_after: int | None = None


@dataclass(slots=True)
class BatchJob:
    """A job and how far it is; times are seconds since 1970."""

    endpoint: Endpoint
    model: str | None
    input_files: list[str]
    metadata: dict[str, str] | None
    timeout_hours: int
    created: float
    total: int
    fate: Fate = Fate()
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: BatchStatus = BatchStatus.QUEUED
    succeeded: int = 0
    failed: int = 0
    looks: int = 0
    started: float | None = None
    completed: float | None = None
    output_file: str | None = None
    error_file: str | None = None
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Lines executed."""
        return self.succeeded + self.failed

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in BATCH_FINAL

    def due(self, now: float, rate: float) -> int:
        """How many more lines may be executed by now, at `rate` lines a second (0: any)."""
        assert self.started is not None
        most = self.total if not rate else int((now - self.started) * rate)
        stop = self.total if self.fate.stop_after is None else self.fate.stop_after
        return max(min(most, self.total, stop) - self.done, 0)

    def next_status(self, now: float, queued_s: float) -> BatchStatus | None:
        """The state it has to move to now, if it is not to stay."""
        match self.status:
            case BatchStatus.QUEUED if now - self.created >= queued_s:
                return BatchStatus.FAILED if self.fate.refused else BatchStatus.RUNNING
            case BatchStatus.CANCELLATION_REQUESTED:
                return BatchStatus.CANCELLED
            case BatchStatus.QUEUED | BatchStatus.RUNNING if self._is_out_of_time(now):
                return BatchStatus.TIMEOUT_EXCEEDED
            case BatchStatus.RUNNING if self.done >= self.total:
                return BatchStatus.SUCCESS
            case _:
                return None

    def _is_out_of_time(self, now: float) -> bool:
        stop = self.fate.stop_after
        stopped = stop is not None and self.done >= stop and self.started is not None
        return stopped or now - self.created >= self.timeout_hours * _HOUR_S

    def move(self, status: BatchStatus, now: float) -> None:
        """Enter another state; asserts that it may."""
        assert status in BATCH_TRANSITIONS[self.status], f"{self.status} -> {status}"
        self.status = status
        if status is BatchStatus.RUNNING:
            self.started = now
        if self.is_final:
            self.completed = now

    def card(self, status: str | None = None) -> dict[str, Any]:
        """`BatchJob` of the specification; `status` is said instead of the truth."""
        return {
            "id": self.id,
            "object": "batch",
            "input_files": self.input_files,
            "metadata": self.metadata,
            "endpoint": self.endpoint.path,
            "model": self.model,
            "agent_id": None,
            "output_file": self.output_file,
            "error_file": self.error_file,
            "errors": [{"message": text, "count": n} for text, n in self.errors.items()],
            "outputs": None,
            "status": status or self.status,
            "created_at": int(self.created),
            "total_requests": self.total,
            "completed_requests": self.done,
            "succeeded_requests": self.succeeded,
            "failed_requests": self.failed,
            "started_at": None if self.started is None else int(self.started),
            "completed_at": None if self.completed is None else int(self.completed),
        }
