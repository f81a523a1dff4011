"""`dataset.json`: what a dataset is, where it comes from, and what was left out of it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Dedupe = Literal["exact", "near", "none"]
Kind = Literal["chat", "labels"]


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Lengths(_Stored):
    """How a quantity spreads over rows."""

    total: int = 0
    p50: int = 0
    p95: int = 0
    longest: int = 0


class Part(_Stored):
    """One file of a dataset."""

    rows: int = 0
    bytes: int = 0
    characters: Lengths = Lengths()
    """Of all texts of a row."""


class PartTokens(_Stored):
    """Tokens of one part; of rows with labels only `all` counts."""

    all: Lengths = Lengths()
    assistant: int = 0
    """Tokens that a training learns from: the assistant's, with the end of each answer."""


class Tokens(_Stored):
    """Tokens of all parts by one tokenizer."""

    tokenizer: str
    """Which, in words; a guess says so."""
    exact: bool = True
    parts: dict[str, PartTokens] = Field(default_factory=dict)


class Origin(_Stored):
    """A file or a job that rows come from."""

    file: str = ""
    sha256: str = ""
    """Of the file's bytes as they lay."""
    job: str = ""
    recipe: str = ""
    recipe_hash: str = ""
    """SHA-256 of the recipe's snapshot."""
    rows: int = 0
    """Rows read from it."""
    rejected: int = 0
    """Rows of it that could not be read."""


class Filters(_Stored):
    """What a row must be like to come in."""

    min_chars: int | None = None
    max_chars: int | None = None
    max_tokens: int | None = None
    forbid: list[str] = Field(default_factory=list)
    """Regular expressions that no text of a row may match."""
    require_field: list[str] = Field(default_factory=list)


class Shape(_Stored):
    """Templates that made chat rows of other rows; empty texts: the rows came as they are."""

    system: str = ""
    prompt: str = ""
    answer: str = ""
    split_field: str = ""


class Split(_Stored):
    """How rows were divided."""

    by: Literal["hash", "field"] = "hash"
    shares: dict[str, float] = Field(default_factory=dict)
    """As asked for; `parts` says what came of it."""
    seed: int = 0
    group_by: str = ""
    field: str = ""
    groups: int = 0
    ungrouped: int = 0
    """Rows without the field to group by: each is a group by its input row."""


class Manifest(_Stored):
    """Everything about a dataset but its rows."""

    format: Literal[1] = 1
    name: str
    hash: str
    """`models.training.contents.content_hash` of the rows of all parts."""
    kind: Kind
    parts: dict[str, Part]
    tokens: Tokens | None = None
    origin: list[Origin] = Field(default_factory=list)
    shape: Shape = Shape()
    filters: Filters = Filters()
    dedupe: Dedupe = "none"
    threshold: float = 0.9
    checked: str = ""
    """The hash of the rows when all of them kept the trainers' rules; empty: nobody looked."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Rows in `rejects.jsonl` by reason."""
    split: Split | None = None
    created_at: str
    """ISO 8601, UTC."""
    maestrale: str
    """The version that wrote it."""

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts.values())
