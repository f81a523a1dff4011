"""The vocabulary of events: every type, what it means, and what it carries.

A message to an endpoint is `{"type", "timestamp", "data"}` (Standard Webhooks); `data` is one of
the models here. `docs/reference/events.md` and its JSON schema are made from this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

REASON_LENGTH = 500
"""Characters; keeps every message far below the 20 kB that Standard Webhooks advise."""


class EventData(BaseModel):
    """What every event carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: int = Field(ge=1, description="1, 2, ... per job (or endpoint); a gap means one is late")


class JobEvent(EventData):
    """A job as it stood when the event became true."""

    job_id: str = Field(description="its id, by which every command knows it")
    kind: str = Field(description="generate, embed, train, evaluate or pipeline")
    name: str = Field(description="of its recipe, suite, pipeline, store or model")
    input_name: str = Field(description="the file or dataset it works on, without its folder")
    state: str = Field(description="the job's state when the event became true")
    reason: str = Field(default="", description="why it is paused, failed or cancelled")
    rows_total: int = Field(description="rows it has (a run: stages)")
    rows_done: int = Field(description="those that ended as results")
    rows_failed: int = Field(description="those that ended as named failures")
    calls_made: int = Field(description="answers paid for")
    calls_from_ledger: int = Field(description="answers that were paid for before")
    cost_usd: float | None = Field(description="what it has cost; null: a model's price is unknown")


class BudgetReached(JobEvent):
    """A job whose next call might pass its budget."""

    budget_usd: float = Field(description="what the job may spend")


class ModelRegistered(JobEvent):
    """A training job whose model is in the registry now."""

    model: str = Field(description="its name there")
    base: str = Field(description="what it was trained from")
    trainer: str = Field(description="local or mistral")
    metrics: dict[str, float | None] = Field(
        description="losses before and after, steps, seconds; null: not measured"
    )


class StageEvent(JobEvent):
    """A pipeline's run, one of whose stages began or ended."""

    stage: str = Field(description="its name")
    stage_kind: str = Field(description="generate, dataset, embed, train, evaluate or review")
    stage_state: str = Field(description="working (it began), done, reused or failed")
    stage_job: str | None = Field(description="the job that does it; null: none does")
    stage_reason: str = Field(description="why it failed")


class EndpointEvent(EventData):
    """An endpoint. `origin` is its URL without path and query: those may hold a secret."""

    endpoint_id: str = Field(description="its id, by which `maestrale webhooks` knows it")
    origin: str = Field(description="its URL's scheme, host and port")
    reason: str = Field(default="", description="why it is disabled")


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event."""

    data: type[EventData]
    meaning: str


EVENT_TYPES: Mapping[str, EventType] = {
    "job.queued": EventType(JobEvent, "A job was committed, resumed, or its failed rows re-opened"),
    "job.running": EventType(JobEvent, "A worker claimed the first of its shards"),
    "job.progressed": EventType(
        JobEvent, "Another tenth of its rows is settled; at most one a minute"
    ),
    "job.waiting": EventType(
        JobEvent,
        "Its batches or its training run are with the provider; the clock looks at them",
    ),
    "job.paused": EventType(JobEvent, "Nothing new starts: the user, a key or a limit said so"),
    "job.succeeded": EventType(JobEvent, "Every row is settled, and few enough failed"),
    "job.failed": EventType(JobEvent, "Every row is settled, and too many failed"),
    "job.cancelled": EventType(JobEvent, "The user gave it up"),
    "budget.reached": EventType(
        BudgetReached, "Its next call might pass the budget; `job.paused` follows"
    ),
    "model.registered": EventType(
        ModelRegistered, "A training run became a model; `maestrale models` knows it"
    ),
    "stage.started": EventType(StageEvent, "A stage of a pipeline's run began"),
    "stage.done": EventType(
        StageEvent, "A stage is done, or an earlier run's outputs were taken over"
    ),
    "stage.failed": EventType(StageEvent, "A stage failed; those that need it are passed over"),
    "endpoint.disabled": EventType(
        EndpointEvent, "An endpoint answered 410, or nothing good for five days, or was disabled"
    ),
    "webhook.test": EventType(EndpointEvent, "`maestrale webhooks test` asked for it"),
}


def message_id(subject_id: str, seq: int) -> str:
    """`webhook-id`: names the event for ever, at every endpoint and attempt."""
    return f"evt_{subject_id}_{seq}"


def message_body(kind: str, created_at: float, data: Mapping[str, Any]) -> bytes:
    """The bytes that are stored, signed and sent; `created_at`: seconds since the epoch."""
    at = datetime.fromtimestamp(created_at, UTC).isoformat(timespec="milliseconds")
    return orjson.dumps({"type": kind, "timestamp": at.replace("+00:00", "Z"), "data": data})


def matches(patterns: list[str], kind: str) -> bool:
    """Whether an endpoint that asked for `patterns` (`job.*`, `job.failed`; none: all) hears it."""
    return not patterns or any(
        kind == pattern or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))
        for pattern in patterns
    )
