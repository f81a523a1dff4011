"""What a caller may say about an input."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OnDuplicate = Literal["stop", "first", "last"]
KEEP_ONE = "make them differ, or keep one of each with on_duplicate `first` or `last`"
"""For `on_stop`, of whoever can be told `on_duplicate`."""
JsonType = Literal["text", "number", "boolean", "list", "object"]


@dataclass(frozen=True)
class ReadOptions:
    """How to read an input, and when to give up on it."""

    id_field: str | None = "id"
    """Field that names a row: a text or an integer; None: rows have no names. A row without it is
    called `line-<n>` (`row-<n>` in Parquet), which stays the same for as long as the file does;
    give rows ids where the file is to be edited and submitted again."""
    required: frozenset[str] = frozenset()
    """Fields that each row must have, not null."""
    filled: frozenset[str] = frozenset()
    """Those of them that may not be empty cells of CSV, where nothing else says "nothing"."""
    lift: str = ""
    """Field with an object whose fields become the row's own where it lacks them: rows of a dataset
    keep in `meta` what they were made of."""
    types: Mapping[str, JsonType] = field(default_factory=dict)
    """JSON types of fields, where something depends on them; null passes unless required."""
    check: Callable[[dict[str, Any]], None] | None = None
    """Raises `RowProblem` for a row that nothing could be asked about."""
    fits: Callable[[dict[str, Any], int], str] | None = None
    """Why a row is too long for whoever is asked about it, of the row and its bytes as JSON; empty:
    it is not."""
    limit: int | None = None
    """Stop after so many accepted rows; the rest of the file is hashed but not looked at."""
    undone: str = "Nothing was enqueued."
    """What is said of the consequence where the file is refused."""
    max_rejected_share: float = 0.05
    """Above this share of bad rows the file is refused as a whole."""
    on_duplicate: OnDuplicate = "stop"
    """Ids that occur twice: refuse the file, or keep the first or the last of each."""
    on_stop: str = "make them differ"
    """What to do about them where the file is refused."""
    max_line_bytes: int = 4 << 20
    """Longest line, CSV record, or Parquet row as JSON, in bytes."""
    max_unpacked_ratio: float = 200.0
    """How many times its packed size a file above 64 MiB may unpack to."""
