"""What the child that reads rows to a model is asked and tells: JSON lines, and small batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from worker.training.events import Failed, FailureCode, Waiting

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reading:
    """Which model reads. `base`: as a training names it; `adapter`: a folder, or empty;
    `seq_len`: tokens of a row at most."""

    base: str
    adapter: str = ""
    seq_len: int = 1024


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Conversation(_Told):
    """One row to read. `id`: what its answer is called."""

    id: int
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None


class Request(_Told):
    """One line of the child's input: rows that are answered before the next line is read."""

    rows: list[Conversation]


class Ready(_Told):
    """The model is loaded."""

    event: Literal["ready"] = "ready"
    device: str


class Scored(_Told):
    """How surprised the model was by the assistant's tokens of a row."""

    event: Literal["scored"] = "scored"
    id: int
    nll: float
    """Summed negative log-likelihood in nats."""
    tokens: int
    """Over so many tokens, as the validation of a training counts them."""


class Unscored(_Told):
    """A row that this model cannot read; `detail` shows nothing of it."""

    event: Literal["unscored"] = "unscored"
    id: int
    code: FailureCode
    detail: str


Event = Waiting | Ready | Scored | Unscored | Failed
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def from_line(line: bytes) -> Event | None:
    """The event of a line; None for a line that is none."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None


def batches(items: Sequence[tuple[int, T]], tokens_at_once: int) -> Iterator[list[T]]:
    """Items with their lengths, the shortest first, so many to a batch as fit once they are padded
    to its longest; one that fits nowhere goes alone."""
    batch: list[T] = []
    for length, item in sorted(items, key=lambda one: one[0]):
        if batch and (len(batch) + 1) * length > tokens_at_once:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
