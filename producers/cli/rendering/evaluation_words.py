"""Reports of evaluations as Rich renderables, and as facts for programs. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from models.suites import Evaluation
from producers.cli.rendering import showing
from producers.cli.rendering.words import counted, safe
from producers.evaluating.rendering import notes
from producers.evaluating.report import Cell, Comparison, Figure, Report, Table

SIDE_BY_SIDE = 3
"""Models in one table: as many as a terminal has room for."""
MOST_VERDICTS = 8
NAME = 60


def summary(report: Report) -> RenderableType:
    """Warnings, the figures by model, what can be told apart."""
    parts: list[RenderableType] = [showing.warning(safe(one, 500)) for one in report.warnings]
    parts += [Text()] if parts else []
    parts += [figures(report.summary)]
    if report.comparisons:
        parts += [Text(), *verdicts(report.comparisons)]
    return Group(*parts)


def figures(table: Table) -> RenderableType:
    """A line per figure, a column per model: intervals need the room. Words stay as they are."""
    marks = notes.letters(table)
    words = [notes.are_words(table, at) for at in range(1, len(table.columns))]
    grids = [_as_it_is(table, marks)] if sum(words) * 2 > len(words) else _grids(table, marks)
    parts = [showing.indented(grid) for grid in grids]
    told = [Text(f"  ({mark}) {safe(why)}", style="dim") for why, mark in marks.items()]
    return Group(*parts, *told)


def _as_it_is(table: Table, marks: dict[str, str]) -> Grid:
    grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in table.columns:
        grid.add_column(safe(name, NAME), overflow="fold")
    for row in table.rows:
        grid.add_row(*(_cell(cell, marks) for cell in row))
    return grid


def _grids(table: Table, marks: dict[str, str]) -> Iterator[Grid]:
    for first in range(0, len(table.rows), SIDE_BY_SIDE):
        rows = table.rows[first : first + SIDE_BY_SIDE]
        grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
        grid.add_column("", style="dim", overflow="fold", max_width=32)
        for row in rows:
            grid.add_column(safe(row[0], NAME), overflow="fold")
        for at, name in enumerate(table.columns[1:], 1):
            cells = (_cell(row[at] if at < len(row) else "", marks) for row in rows)
            grid.add_row(safe(name, NAME), *cells)
        yield grid


def _cell(cell: Cell, marks: dict[str, str]) -> Text:
    if not isinstance(cell, Figure):
        return Text(safe(cell, 80))
    words, mark = notes.told(cell), marks.get(cell.why, "")
    text = Text(words.value, style="bold")
    for part in (words.interval, words.n, f"({mark})" if mark else ""):
        text.append(f" {part}" if part else "", style="dim not bold")
    return text


def verdicts(comparisons: Sequence[Comparison]) -> list[RenderableType]:
    """What can be told apart, in words; what differs first."""
    ordered = [one for one in notes.told_first(comparisons) if one.verdict]
    shown = [_verdict(one) for one in ordered[:MOST_VERDICTS]]
    more = len(ordered) - MOST_VERDICTS
    return [*shown, *([showing.hint(f"and {more} more, in the report")] if more > 0 else [])]


def _verdict(one: Comparison) -> RenderableType:
    mark = ("  ● ", "bold cyan") if one.told else ("  ○ ", "dim")
    about = f"  ({safe(one.metric)})" if one.metric.casefold() not in one.verdict.casefold() else ""
    return Text.assemble(mark, safe(one.verdict, 500), (about, "dim"))


def asked(evaluation: Evaluation) -> RenderableType:
    """Which suite, which models, how often, by whom judged."""
    suite = evaluation.suite
    rows: list[tuple[str, RenderableType]] = [
        ("suite", f"{safe(suite.name)}, {suite.kind}  {suite.hash[:12]}"),
        ("models", ", ".join(safe(one.label, NAME) for one in evaluation.contestants) or "none"),
        ("attempts", counted(evaluation.attempts, "attempt") + " at each row"),
    ]
    if evaluation.judges:
        rows.append(("judge", ", ".join(map(safe, evaluation.judges))))
    if evaluation.store:
        rows.append(("store", safe(evaluation.store)))
    return showing.pairs(rows)


def asked_facts(evaluation: Evaluation) -> dict[str, Any]:
    """The same for programs."""
    return {
        "suite": evaluation.suite.name,
        "kind": evaluation.suite.kind,
        "hash": evaluation.hash,
        "models": [one.label for one in evaluation.contestants],
        "attempts": evaluation.attempts,
        "judges": evaluation.judges,
        "store": evaluation.store,
    }


def report_facts(report: Report, made_at: str) -> dict[str, Any]:
    """What programs read of a report; all of it is in its `report.json`."""
    return {
        "made_at": made_at,
        "figures": {
            model: {name: asdict(figure) for name, figure in named.items()}
            for model, named in report.figures.items()
        },
        "comparisons": [asdict(one) for one in report.comparisons],
        "warnings": list(report.warnings),
        "repeat": report.repeat,
    }
