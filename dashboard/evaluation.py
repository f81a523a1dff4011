"""What an evaluation's page derives: who is asked, and what its kept report says. Pure.

The report is JSON that producers wrote, perhaps of another version: what cannot be read is left
out, and the page says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from dashboard.charts import evaluation
from dashboard.charts.job import Chart
from models.figure_words import Worded, footnotes, worded
from models.payloads import JobSpec
from models.states import SETTLED
from models.store.reports import Answered
from models.store.views.jobpage import JobPage
from models.suites import Evaluation
from models.words import counted, safe

MOST_ROWS = 40
MOST_VERDICTS = 6
MOST_WARNINGS = 10


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure, or words."""

    column: str
    words: Worded
    mark: str = ""
    """The letter of its footnote."""


@dataclass(frozen=True, slots=True)
class Line:
    """A model's figures."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What can be told of two models, in words."""

    text: str
    metric: str
    is_told: bool
    """Whether it is a difference that is told from chance."""


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What the kept report says, as far as the page shows it."""

    columns: Sequence[str]
    lines: Sequence[Line]
    notes: Sequence[tuple[str, str]]
    """Letter and reason."""
    verdicts: Sequence[Verdict]
    warnings: Sequence[str]
    charts: Sequence[Chart]


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """Figures are worded; what is not known is left out."""

    asked: Sequence[tuple[str, str]]
    """Suite, models, attempts, judges: label and value."""
    made_at: float | None
    """When the report was made; None: there is none."""
    is_old: bool
    """The report was made before the job ended."""
    report: ReportFacts | None
    """None: there is none, or this version cannot read it."""
    answered: Sequence[Answered]
    looked_at: str
    """Of how many rows `answered` tells."""


def facts_of(page: JobPage) -> EvaluationFacts | None:
    """Everything the page derives; None: the job ends in no report."""
    seen = page.evaluation
    if seen is None:
        return None
    job, kept = page.job, seen.kept
    is_over = job.state in SETTLED
    return EvaluationFacts(
        asked=asked_of(job.spec),
        made_at=kept.made_at if kept else None,
        is_old=kept is not None and (not is_over or (job.finished_at or 0.0) > kept.made_at),
        report=report_facts(kept.report) if kept else None,
        answered=seen.answered,
        looked_at=_looked_at(seen.looked_at, job.rows_done),
    )


def _looked_at(rows: int, done: int) -> str:
    return f"the first {rows:,} of {done:,} done rows" if rows < done else counted(rows, "done row")


@lru_cache(maxsize=64)  # the page is asked for every few seconds, and a spec never changes
def asked_of(spec: str) -> Sequence[tuple[str, str]]:
    """Which suite, which models, how often, judged by whom."""
    try:
        told = JobSpec.model_validate_json(spec).evaluation
        asked = Evaluation.model_validate(told) if told else None
    except ValidationError:  # of another version, or damaged
        return [("Suite", "this version cannot read it")]
    if asked is None:  # a pipeline's
        return []
    suite = asked.suite
    lines = [
        ("Suite", f"{suite.name}, {suite.kind}"),
        ("Models", ", ".join(one.label for one in asked.contestants)),
        ("Attempts", f"{asked.attempts} at each row"),
        ("Judged by", ", ".join(asked.judges)),
    ]
    return [(label, value) for label, value in lines if value]


@lru_cache(maxsize=16)  # likewise, and a report is made anew a few times at most
def report_facts(report: str) -> ReportFacts | None:
    """The summary of a kept report; None: this version cannot read it."""
    try:
        return _told(orjson.loads(report))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None


def _told(report: Mapping[str, Any]) -> ReportFacts:
    table = report["summary"]
    rows = table["rows"][:MOST_ROWS]
    marks = footnotes([cell for row in rows for cell in row if isinstance(cell, dict)])
    columns = [safe(name, 80) for name in table["columns"]]
    ordered = sorted(report.get("comparisons", ()), key=lambda one: not one.get("told"))
    verdicts = [_verdict(one) for one in ordered if one.get("verdict")]
    return ReportFacts(
        columns=columns,
        lines=[_line(columns, row, marks) for row in rows],
        notes=[(mark, safe(why)) for why, mark in marks.items()],
        verdicts=verdicts[:MOST_VERDICTS],
        warnings=[safe(one, 600) for one in report.get("warnings", ())][:MOST_WARNINGS],
        charts=evaluation.of_report(report),
    )


def _line(columns: Sequence[str], row: Sequence[Any], marks: Mapping[str, str]) -> Line:
    cells = [_cell(name, cell, marks) for name, cell in zip(columns[1:], row[1:], strict=False)]
    return Line(safe(row[0], 100), cells)


def _cell(column: str, cell: Any, marks: Mapping[str, str]) -> Cell:
    if not isinstance(cell, dict):
        return Cell(column, Worded(safe(cell, 200)))
    return Cell(column, worded(cell), marks.get(str(cell.get("why") or ""), ""))


def _verdict(one: Mapping[str, Any]) -> Verdict:
    return Verdict(safe(one["verdict"], 500), safe(one["metric"], 60), bool(one.get("told")))
