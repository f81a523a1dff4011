"""The report as one HTML page that stands alone: it asks nobody for anything, and runs nothing.

Styles and charts are in it. Its policy allows that one style sheet and pictures within the page;
what stands in rows, answers and names is text, escaped by Jinja.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from models.figure_words import Worded
from producers.evaluating.rendering import notes
from producers.evaluating.rendering.charts import Drawn
from producers.evaluating.rendering.texts import lines, plain
from producers.evaluating.report import Cell, Comparison, Example, Figure, Report, Section, Table

MOST_VERDICTS = 8
"""That are shown at once; the others, and those on nothing, unfold."""
FIRST = {"tables_first": 4, "examples_first": 6}
"""Tables of a section, and examples that are shown at once; others unfold."""
SUMMARY = "Summary"
"""A table called so needs no title under that heading."""
LONG, SHORT = 900, 300
"""Characters of a text that folds, and of what is seen of it then."""
NO_WORDS = Worded("")


@dataclass(frozen=True, slots=True)
class Shown:
    """A cell as the template has it."""

    text: str = ""
    is_figure: bool = False
    words: Worded = NO_WORDS
    mark: str = ""

    @property
    def value(self) -> str:
        """The number alone."""
        return self.words.value

    @property
    def interval(self) -> str:
        """`[74.1, 81.5]`"""
        return self.words.interval

    @property
    def n(self) -> str:
        """`n=200`"""
        return self.words.n


def html(report: Report, drawn: Sequence[Sequence[Drawn]], made: str = "") -> str:
    """The page. `drawn`: the charts of each section; `made`: when, in words, UTC."""
    template, style = _template(), _style()
    verdicts = [_verdict(one) for one in notes.told_first(report.comparisons)]
    sections = [
        _section(section, f"part-{number}", charts)
        for number, (section, charts) in enumerate(zip(report.sections, drawn, strict=True), 1)
    ]
    page = template.render(
        report=_clean(report),
        made=made,
        policy=policy_of(style),
        style=style,
        summary=_table(report.summary),
        verdicts=verdicts,
        sections=sections,
        examples=[_example(one) for one in report.examples],
        methods=[(plain(one), plain(names, 2000)) for one, names in notes.methods(report)],
        parts=_parts(sections, has_verdicts=bool(verdicts), has_examples=bool(report.examples)),
        first=min(MOST_VERDICTS, _measured(report)),
        **FIRST,
        long=LONG,
        short=SHORT,
    )
    return page.lstrip()


def policy_of(style: str) -> str:
    """What the page may load: its own style sheet, known by its hash, and pictures within it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"style-src 'sha256-{digest}'; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


@cache
def _template() -> Template:
    source = files("producers.evaluating.rendering").joinpath("page.html").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source)


@cache
def _style() -> str:
    return files("producers.evaluating.rendering").joinpath("page.css").read_text("utf-8")


def _clean(report: Report) -> dict[str, Any]:
    return {
        "title": plain(report.title),
        "kind": plain(report.kind, 60),
        "job_id": plain(report.job_id, 100),
        "warnings": [plain(one, 1000) for one in report.warnings],
        "facts": [(plain(name, 100), plain(value, 2000)) for name, value in report.facts],
        "repeat": lines(report.repeat, 4000),
    }


def _measured(report: Report) -> int:
    """How many comparisons found a difference, or none; the others had nothing to compare."""
    return sum(one.difference.value is not None for one in report.comparisons)


def _table(table: Table) -> dict[str, Any]:
    marks = notes.letters(table)
    return {
        "title": "" if table.title == SUMMARY else plain(table.title),
        "columns": [plain(name, 100) for name in table.columns],
        "are_words": [notes.are_words(table, at) for at in range(len(table.columns))],
        "rows": [[_cell(cell, marks) for cell in row] for row in table.rows],
        "note": plain(table.note, 1000),
        "marks": [(plain(why), mark) for why, mark in marks.items()],
    }


def _cell(cell: Cell, marks: dict[str, str]) -> Shown:
    if isinstance(cell, Figure):
        return Shown(str(notes.told(cell)), True, notes.told(cell), marks.get(cell.why, ""))
    return Shown(plain(cell, 600))


def _section(section: Section, number: str, charts: Sequence[Drawn]) -> dict[str, Any]:
    return {
        "id": number,
        "title": plain(section.title),
        "text": plain(section.text, 3000),
        "charts": charts,
        "tables": [_table(table) for table in section.tables],
    }


def _verdict(one: Comparison) -> dict[str, Any]:
    detail = plain(notes.compared(one), 600)
    return {"verdict": plain(one.verdict, 600) or detail, "detail": detail, "told": one.told}


def _example(one: Example) -> dict[str, Any]:
    return {
        "row_id": plain(one.row_id, 100),
        "question": lines(one.question),
        "gold": plain(one.gold, 2000),
        "note": plain(one.note, 400),
        "answers": [(plain(name, 120), lines(said), is_ok) for name, said, is_ok in one.answers],
    }


def _parts(
    sections: Sequence[dict[str, Any]], *, has_verdicts: bool, has_examples: bool
) -> list[tuple[str, str]]:
    """Id and name of each part, for the links at the top."""
    found = [("summary", "Summary")]
    found += [("compared", "Comparisons")] if has_verdicts else []
    found += [(section["id"], section["title"]) for section in sections]
    found += [("examples", "Examples")] if has_examples else []
    return [*found, ("made", "How this was made")]
