"""What travels between the parts: messages, job specs, row results. All of it validates."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.bounds import MOST_BATCH_HOURS
from models.embedding import Embedding
from models.states import FailureCode, JobKind
from models.training import TrainingSpec


class ShardMessage(BaseModel):
    """What Redis carries: ids, and words for Flower. Never data."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    no: int
    kind: str
    priority: int
    label: str
    """`generate job_x shard 12/308 rows 352-383`."""
    on_device: bool = False
    """For the processes that train here, which have a queue of their own."""


class Options(BaseModel):
    """How a job's calls are made."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    on_uncertain: Literal["retry", "hold"] = "retry"
    """What to do when a call may have been paid but its answer is lost."""
    fresh: bool = False
    """Do not use answers that other jobs paid for."""
    attempts: int = Field(default=8, ge=1, le=50)
    """Attempts per call at transient errors."""
    via: Literal["realtime", "batch"] = "realtime"
    """How calls are made: at once, or by hosted batches at half the price."""
    on_timeout: Literal["resubmit", "realtime"] = "resubmit"
    """What becomes of calls that a batch ended without: another batch, or the ordinary way."""
    batch_hours: int = Field(default=24, ge=1, le=MOST_BATCH_HOURS)
    """How long a hosted batch may take."""


class JobSpec(BaseModel):
    """Everything a worker needs to run a job's rows; stored as JSON with the job."""

    # errors end in logs, prompts must not
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    recipe: dict[str, Any] = Field(default_factory=dict)
    """The recipe's snapshot with all its files inlined."""
    training: TrainingSpec | None = None
    """What a training job trains."""
    embedding: Embedding | None = None
    """What an embedding job embeds."""
    evaluation: dict[str, Any] = Field(default_factory=dict)
    """The `Evaluation` of an evaluation job: its suite with all files inlined, and its models."""
    pipeline: dict[str, Any] = Field(default_factory=dict)
    """The snapshot of a run's pipeline, and how it is run."""
    options: Options = Options()


SCORED = "perplexity"
"""The kind of suites whose rows are read to models by a child of ours: nobody is called."""
ON_DEVICE = (JobKind.TRAIN, JobKind.EVALUATE)
"""Kinds of which some jobs run on our own machines, as `is_on_device` says."""


def models_asked(spec: str) -> list[str]:
    """The models in a stored `JobSpec` that are called, in order; none if unreadable."""
    try:
        told = JobSpec.model_validate_json(spec)
        evaluation, suite = told.evaluation, told.evaluation.get("suite", {})
        if suite.get("kind") == SCORED:
            return []
        asked = [*told.recipe.get("steps", []), *evaluation.get("contestants", [])]
        names = [str(one["model"]) for one in asked if one.get("model")]
        names += [told.embedding.model] if told.embedding else []
        names += [suite["grounding"]["embed_model"]] if suite.get("grounding") else []
        names += [str(evaluation["store_model"])] if evaluation.get("store_model") else []
        return list(dict.fromkeys([*names, *evaluation.get("judges", [])]))
    except (ValidationError, AttributeError, TypeError):  # of another version, or damaged
        return []


def training_of(spec: str) -> TrainingSpec | None:
    """What a stored `JobSpec` trains; None: nothing, or this version cannot read it."""
    try:
        return JobSpec.model_validate_json(spec).training
    except ValidationError:
        return None


def _is_scored(spec: str) -> bool:
    """Whether an evaluation reads rows to models; False too where this version cannot tell."""
    try:
        suite = JobSpec.model_validate_json(spec).evaluation.get("suite", {})
    except ValidationError:
        return False
    return bool(suite.get("kind") == SCORED)


def is_on_device(kind: str, spec: str) -> bool:
    """Whether a job (by its stored `JobSpec`) has one of our own machines train, or read."""
    if kind == JobKind.EVALUATE:
        return _is_scored(spec)
    training = training_of(spec) if kind == JobKind.TRAIN else None
    return training is not None and training.trainer == "local"


class Estimate(BaseModel):
    """What a job will take, told before anything is paid. None: unknown."""

    rows: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    seconds: float | None
    exact_tokens: bool = True
    notes: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the API counted them; cached are part of prompt."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One paid call on its way into the ledger."""

    key: str
    endpoint: str
    model: str
    answer: str
    usage: Usage
    cost_nano: int | None
    latency_ms: int
    job_id: str


@dataclass(frozen=True, slots=True)
class DoubtRecord:
    """One perhaps-paid call on its way into the table of doubts."""

    key: str
    job_id: str
    model: str
    reason: str
    cost_nano: int | None
    nonce: str


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The row has its records."""

    records: list[dict[str, Any]]
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """The row failed by name."""

    code: FailureCode
    detail: str


@dataclass(frozen=True, slots=True)
class Snoozed:
    """The row stays open: its job was stopped, its worker drains, or its lease is lost."""

    reason: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """The row waits for remote work that was asked for: its shard waits with it."""

    reason: str


RowOutcome = Succeeded | Failed | Snoozed | Submitted


@dataclass(frozen=True, slots=True)
class RowInHand:
    """An open row as a worker claims it."""

    seq: int
    row_id: str
    data: dict[str, Any]
    deaths: int = 0
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class RowSettled:
    """A row's outcome on its way to the database, fenced by the shard's token."""

    job_id: str
    shard_no: int
    token: int
    seq: int
    outcome: Succeeded | Failed
    from_ledger: int = 0
    """Calls of this row that were already paid."""
    retried: int = 0
