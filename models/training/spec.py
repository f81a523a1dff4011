"""What a training run is asked to do; stored as JSON with its job."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from models.bounds import (
    MOST_BATCH,
    MOST_COUNT,
    MOST_RANK,
    MOST_SEED,
    MOST_SEQ_LEN,
    MOST_STEPS,
)


class DatasetRef(BaseModel):
    """A dataset as a training run needs it: a folder that was there when it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    hash: str
    """SHA-256 over the rows of all parts; a run whose folder says otherwise does not start."""
    folder: str
    """With `train.jsonl`, and `validation.jsonl` if it has one."""
    train_rows: int
    validation_rows: int = 0
    train_tokens: int = 0
    """By the dataset's own count; a plan counts with the model's tokenizer where it can."""


class TrainingSpec(BaseModel):
    """One run with every choice made."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trainer: Literal["local", "mistral"]
    base: str = Field(min_length=1)
    """A folder, a hub name, or (mistral) a model id."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    """What the tuned model will be called in the registry."""
    dataset: DatasetRef
    steps: int = Field(ge=1, le=MOST_STEPS)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    batch_size: int = Field(default=8, ge=1, le=MOST_BATCH)
    """Rows per optimizer step (local)."""
    seq_len: int = Field(default=1024, ge=16, le=MOST_SEQ_LEN)
    """Tokens per row at most; longer rows are cut (local)."""
    lora_rank: int = Field(default=16, ge=1, le=MOST_RANK)
    lora_alpha: int = Field(default=32, ge=1, le=MOST_COUNT)
    weight_decay: float = Field(default=0.1, ge=0, le=1)
    warmup_share: float = Field(default=0.05, ge=0, le=0.5)
    eval_every: int = Field(default=0, ge=0, le=MOST_COUNT)
    """Steps between validations and checkpoints; 0: a tenth of the steps."""
    patience: int = Field(default=0, ge=0, le=MOST_COUNT)
    """Validations without a better loss before it stops early; 0: never."""
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    wandb_project: str = ""
