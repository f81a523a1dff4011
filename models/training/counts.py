"""Tokens of a dataset as one base's own training reads them: what the counting child answers."""

from pydantic import BaseModel, ConfigDict, Field


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PartCount(_Told):
    """One part, shaped by the base's chat template and cut as training cuts it."""

    rows: int
    """Rows that are trained on: those whose answer begins before the cut."""
    tokens: int
    """Of those rows, as they are cut."""
    answers: int
    """Tokens among them that are learnt: the assistant's."""
    p50: int = 0
    """Of the whole rows, before any cut; so are the next two."""
    p95: int = 0
    longest: int = 0
    longer: int = 0
    """Rows with more tokens than `seq_len`; they are cut, or left out."""
    left_out: int = 0
    """Rows of which no token is left to learn once they are cut."""


class Counts(_Told):
    """All parts that were asked for, by one tokenizer and one length of rows."""

    base: str
    seq_len: int
    """Tokens per row at most."""
    parts: dict[str, PartCount] = Field(default_factory=dict)


class CountingProblem(_Told):
    """Why there are no counts."""

    code: str
    detail: str
    is_sure: bool
    """Whether a training of the same base on the same rows would surely fail for the same."""


class Answer(_Told):
    """The one line that the counting child writes: one of both."""

    counts: Counts | None = None
    problem: CountingProblem | None = None
