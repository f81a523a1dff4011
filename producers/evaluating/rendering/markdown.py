"""The report as Markdown: tables that any forge shows, every text of others escaped. Pure."""

from collections.abc import Iterator, Sequence

from producers.evaluating.rendering import notes
from producers.evaluating.rendering.charts import Drawn
from producers.evaluating.rendering.texts import fenced, lines
from producers.evaluating.rendering.texts import markdown as said
from producers.evaluating.report import Cell, Example, Figure, Report, Section, Table

CHARTS = "charts"
"""The folder of the charts beside the file."""


def markdown(report: Report, drawn: Sequence[Sequence[Drawn]], made: str = "") -> str:
    """The whole report. `drawn`: the charts of each section; `made`: when, in words, UTC."""
    return "\n".join(_all(report, drawn, made)).rstrip() + "\n"


def _all(report: Report, drawn: Sequence[Sequence[Drawn]], made: str) -> Iterator[str]:
    at = f", made {made} UTC" if made else ""
    yield f"# {said(report.title)}\n\n{said(report.kind)} report, job `{report.job_id}`{at}\n"
    yield from (f"> **Warning:** {said(one, 1000)}\n" for one in report.warnings)
    yield "## Summary\n"
    yield from _table(report.summary)
    if report.comparisons:
        yield "## What can be told apart\n"
        for one in notes.told_first(report.comparisons):
            yield f"- {said(one.verdict, 600)}  \n  {said(notes.compared(one), 600)}"
        yield ""
    for section, charts in zip(report.sections, drawn, strict=True):
        yield from _section(section, charts)
    if report.examples:
        yield "## Where models differ\n"
        for example in report.examples:
            yield from _example(example)
    yield from _made(report)


def _section(section: Section, charts: Sequence[Drawn]) -> Iterator[str]:
    yield f"## {said(section.title)}\n"
    if section.text:
        yield f"{said(section.text, 3000)}\n"
    for chart in charts:
        yield f"![{said(chart.title)}]({CHARTS}/{chart.file})\n"
    for table in section.tables:
        yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    marks = notes.letters(table)
    if table.title not in ("", "Summary"):
        yield f"**{said(table.title)}**\n"
    yield _row([said(name, 100) for name in table.columns])
    columns = range(len(table.columns))
    yield _row(["---" if notes.are_words(table, at) else "---:" for at in columns])
    for row in table.rows:
        yield _row([_cell(cell, marks) for cell in row])
    yield ""
    if table.note:
        yield f"{said(table.note, 1000)}\n"
    yield from (f"({mark}) {said(why)}\n" for why, mark in marks.items())


def _cell(cell: Cell, marks: dict[str, str]) -> str:
    words = notes.cell_words(cell, marks)
    return words if isinstance(cell, Figure) else said(words, 600)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _example(one: Example) -> Iterator[str]:
    note = f", {said(one.note)}" if one.note else ""
    yield f"### Row {said(one.row_id, 100)}{note}\n\n{fenced(one.question)}\n"
    if one.gold:
        yield f"Right: {said(one.gold, 2000)}\n"
    for model, answer, is_right in one.answers:
        mark = {True: " (right)", False: " (wrong)", None: ""}[is_right]
        yield f"**{said(model, 120)}**{mark}\n\n{fenced(answer)}\n"


def _made(report: Report) -> Iterator[str]:
    yield "## How this was made\n"
    if methods := notes.methods(report):
        told = " ".join(f"{said(method)}: {said(names, 2000)}." for method, names in methods)
        yield f"Numbers in brackets are 95% intervals. {told}\n"
    for name, value in report.facts:
        yield f"- {said(name, 100)}: {said(value, 2000)}"
    if report.repeat:
        yield f"\nTo do it again, without paying again for what was paid:\n\n{_command(report)}\n"


def _command(report: Report) -> str:
    return fenced(lines(report.repeat, 4000)).replace("```text", "```sh", 1)
