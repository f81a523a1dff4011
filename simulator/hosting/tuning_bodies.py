"""What a fine-tuning request may hold, what its files must look like, and what it will cost."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from simulator.content.answers import CHARACTERS_PER_TOKEN
from simulator.hosting.files import StoredFile

TUNABLE = (
    "open-mistral-7b",
    "open-mistral-nemo",
    "mistral-small-latest",
    "ministral-3b-latest",
    "ministral-8b-latest",
    "codestral-latest",
)
_TOKENS_PER_STEP = 131_072
_SEEN = 3
"""How often each token is seen when nobody says how long to train."""
_USD_PER_MILLION = 1.0
_SECONDS_PER_STEP = 12


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TrainingFile(_Strict):
    """An uploaded file, and how much it counts."""

    file_id: str
    weight: float = Field(1.0, gt=0)


class Hyperparameters(_Strict):
    """`CompletionTrainingParametersIn` of the specification."""

    training_steps: int | None = Field(None, ge=1)
    learning_rate: float = Field(1e-4, ge=1e-8, le=1)
    weight_decay: float | None = Field(0.1, ge=0, le=1)
    warmup_fraction: float | None = Field(0.05, ge=0, le=1)
    epochs: float | None = Field(None, gt=0)
    seq_len: int | None = Field(None, ge=100)
    fim_ratio: float | None = Field(0.9, ge=0, le=1)


class Wandb(_Strict):
    """An account at Weights & Biases; the key is never answered."""

    project: str
    api_key: str = Field(min_length=40, max_length=40)
    type: Literal["wandb"] = "wandb"
    name: str | None = None
    run_name: str | None = None


class TuningBody(_Strict):
    """`CreateFineTuningJobRequest`, for text models; `metadata` is not in the specification."""

    model: str
    hyperparameters: Hyperparameters
    training_files: list[TrainingFile] = Field(default_factory=list)
    validation_files: list[str] | None = None
    suffix: (
        Annotated[str, Field(min_length=1, max_length=18, pattern=r"^[a-zA-Z0-9_-]+$")] | None
    ) = None
    integrations: list[Wandb] | None = None
    auto_start: bool = True
    invalid_sample_skip_percentage: float = Field(0, ge=0, le=0.5)
    job_type: Literal["completion"] | None = None
    repositories: list[Any] | None = Field(None, max_length=0)
    classifier_targets: list[Any] | None = Field(None, max_length=0)
    metadata: dict[str, str] | None = None

    def repeated(self) -> dict[str, Any]:
        """The fields that the answer repeats, without secrets."""
        accounts = [it.model_dump(exclude={"api_key"}) for it in self.integrations or ()]
        return {
            "training_files": [file.file_id for file in self.training_files],
            "validation_files": self.validation_files or [],
            "suffix": self.suffix,
            "hyperparameters": self.hyperparameters.model_dump(),
            "integrations": accounts,
        }

    def file_ids(self) -> list[str]:
        """Training files, then validation files."""
        return [*(it.file_id for it in self.training_files), *(self.validation_files or ())]


def steps_of(body: TuningBody, files: list[StoredFile]) -> int:
    """The steps asked for, or those that `epochs` (by default three) come to."""
    if body.hyperparameters.training_steps is not None:
        return body.hyperparameters.training_steps
    tokens = _data_tokens(files) * (body.hyperparameters.epochs or _SEEN)
    return max(-(-int(tokens) // _TOKENS_PER_STEP), 1)


def figures(body: TuningBody, files: list[StoredFile], now: float) -> dict[str, Any]:
    """`JobMetadata`: tokens, cost and time as they are expected."""
    steps = steps_of(body, files)
    return {
        "expected_duration_seconds": steps * _SECONDS_PER_STEP,
        "cost": round(steps * _TOKENS_PER_STEP * _USD_PER_MILLION / 1e6, 4),
        "cost_currency": "USD",
        "train_tokens_per_step": _TOKENS_PER_STEP,
        "train_tokens": steps * _TOKENS_PER_STEP,
        "data_tokens": _data_tokens(files),
        "estimated_start_time": int(now),
    }


def dry_run(body: TuningBody, files: list[StoredFile], now: float) -> dict[str, Any]:
    """`LegacyJobMetadata`: what a job would come to."""
    told = figures(body, files, now)
    steps = steps_of(body, files)
    return {
        **told,
        "object": "job.metadata",
        "deprecated": True,
        "details": f"{steps} steps on {told['data_tokens']} tokens of data",
        "epochs": round(told["train_tokens"] / max(told["data_tokens"], 1), 4),
        "training_steps": steps,
    }


def _data_tokens(files: list[StoredFile]) -> int:
    return sum(file.size for file in files) // CHARACTERS_PER_TOKEN


def fault_of(line: bytes) -> str | None:
    """What is wrong with a row of chat data, roughly; None if nothing is."""
    try:
        messages = orjson.loads(line)["messages"]
        roles = [message["role"] for message in messages]
        is_known = set(roles) <= {"system", "user", "assistant", "tool"}
    except (ValueError, TypeError, KeyError):
        return "no messages with roles"
    if not is_known:
        return "an unknown role"
    if roles.count("system") > 1 or "system" in roles[1:]:
        return "a system message that is not the one first message"
    return None if roles[-1:] == ["assistant"] else "the last message is not the assistant's"
