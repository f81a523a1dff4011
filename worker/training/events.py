"""What a training run tells of itself: one JSON object a line, on its standard output."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

FailureCode = Literal[
    "bad_dataset", "base_missing", "missing_extra", "out_of_memory", "unsupported", "broken"
]
"""Why a run cannot succeed however often it is started."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True, serialize_by_alias=True)


class Result(_Told):
    """What came of a run; stands in its folder as `result.json` too."""

    valid_loss_before: float | None
    """Nats per token of the assistant, before the first step; None without a validation part."""
    valid_loss_after: float | None
    """The same, of the adapter that was kept (the best one validated)."""
    train_loss: float | None
    """Of the last point that was told."""
    steps: int
    """Taken; fewer than asked for if it stopped early."""
    seconds: float
    """Spent training and validating, over all starts of the run."""
    tokens: int
    """Read in training, of users and assistants."""
    best_step: int
    adapter: str
    """Folder of the adapter as `peft` reads it."""
    gguf: str
    """The adapter as llama.cpp reads it; empty if the base's architecture is not written so."""
    base: str
    base_gguf: str
    """The base as llama.cpp reads it; empty if none is known."""
    versions: dict[str, str]
    """Of the libraries that trained it."""


class Waiting(_Told):
    """Another run has the device; this one begins when that one has ended."""

    event: Literal["waiting"] = "waiting"
    thing: str = Field(default="device", alias="for")


class Started(_Told):
    """The model and the rows are loaded; the first step is next."""

    event: Literal["started"] = "started"
    device: str
    """`cpu` or `cuda`."""
    steps: int
    rows: int
    tokens: int
    """Of all training rows, as they were cut."""
    resumed_from: int = 0
    """The step of the checkpoint that it goes on from; 0: it begins anew."""


class Point(_Told):
    """The loss on the rows since the last point."""

    event: Literal["point"] = "point"
    step: int
    epoch: float | None = None
    loss: float | None = None
    """None if it is no number: the run has diverged."""
    learning_rate: float | None = None
    tokens: int | None = None
    """Read so far."""


class Evaluated(_Told):
    """The loss on the validation rows; step 0 is before training."""

    event: Literal["eval"] = "eval"
    step: int
    valid_loss: float | None
    valid_accuracy: float | None
    """Share of the assistant's tokens that the model would have said itself."""


class Checkpointed(_Told):
    """A checkpoint is whole on disk: a run killed from now on goes on from it."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int
    name: str


class Done(_Told):
    """The last word of a run that reached its end."""

    event: Literal["done"] = "done"
    result: Result


class Failed(_Told):
    """The last word of a run that would fail again: `detail` says what to change."""

    event: Literal["failed"] = "failed"
    code: FailureCode
    detail: str


class Stopped(_Told):
    """The last word of a run that was told to stop; started again, it goes on from `step`."""

    event: Literal["stopped"] = "stopped"
    step: int


class Died(_Told):
    """Never told, but seen by the parent: it ended without a last word (killed, for instance)."""

    event: Literal["died"] = "died"
    exit_code: int
    """Negative: the number of the signal that killed it."""
    detail: str


Event = Waiting | Started | Point | Evaluated | Checkpointed | Done | Failed | Stopped | Died
Last = Done | Failed | Stopped | Died
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def to_line(event: BaseModel) -> bytes:
    """One event as it travels; a loss that is no number travels as null."""
    return event.model_dump_json().encode() + b"\n"


def from_line(line: bytes) -> Event | None:
    """The event of a line; None for a line that is none (a half one of a killed run)."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None
