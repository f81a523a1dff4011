"""A report as data: figures with their intervals, tables, charts, examples; drawn by others.

Everything here is JSON in the end (`to_json`), which is what is kept in the database, shown in the
browser, and written beside the page.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Unit = Literal["share", "number", "count", "points", "ms", "usd", "tokens", "nats"]
"""How a figure reads: a share from 0 to 1 as per cent, money in USD, times in milliseconds."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with what is known of it. `value` None: it cannot be had (`why` says it).

    `low`, `high`: the 95% interval by `method` (`Wilson`, `bootstrap`, ...); `n`: of how many.
    """

    value: float | None
    unit: Unit = "number"
    low: float | None = None
    high: float | None = None
    n: int | None = None
    method: str = ""
    why: str = ""


Cell = str | Figure


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; the first column names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one name; `low` and `high` draw intervals where they are there."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    xs: Sequence[float] = ()
    """Lines: where the values stand."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn. bars: a group per label, a bar per series. matrix: a series per row, a value
    per label. lines: `xs` against values. histogram: raw values of each series."""

    title: str
    form: Literal["bars", "matrix", "lines", "histogram"]
    labels: Sequence[str]
    series: Sequence[Series]
    unit: Unit = "number"
    x_title: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same rows. `difference`: second minus first, with its interval; `p` of the
    paired test named by `test`. `verdict`: in words, also when n is too small to tell.

    `adjusted`: p after Holm's correction for the `family` comparisons that the report makes (equal
    to `p` where it makes one); verdicts go by it. `rows`: on how many rows both have a value.
    `rows_needed`: about how many would tell a difference of the size that was seen.
    """

    metric: str
    first: str
    second: str
    difference: Figure
    test: str = ""
    p: float | None = None
    verdict: str = ""
    adjusted: float | None = None
    family: int = 1
    rows: int = 0
    rows_needed: int | None = None
    told: bool = False
    """Whether the difference can be told from chance (5%)."""


@dataclass(frozen=True, slots=True)
class Section:
    """One thing that was found out."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A row where models differ. `answers`: by model, what it said and whether that is right."""

    row_id: str
    question: str
    gold: str = ""
    answers: Sequence[tuple[str, str, bool | None]] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that an evaluation found out. `facts`: what was run, in pairs of words; `repeat`: the
    command that does it again, for nothing where nothing changed."""

    title: str
    kind: str
    job_id: str
    summary: Table
    comparisons: Sequence[Comparison] = ()
    sections: Sequence[Section] = ()
    examples: Sequence[Example] = ()
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    repeat: str = ""
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    """By model and name: the figures that others read (sweeps are ranked by them)."""


def to_json(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    return asdict(report)
