"""What figures have in common, said once: how intervals were made, why some are not there. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from models.figure_words import Worded, footnotes, worded
from producers.evaluating.report import Cell, Comparison, Figure, Report, Table

FEW_NAMES = 12


def figures_of(table: Table) -> list[Figure]:
    """The table's figures, row by row."""
    return [cell for row in table.rows for cell in row if isinstance(cell, Figure)]


def are_words(table: Table, column: int) -> bool:
    """Whether the column, by its number, holds no figures."""
    cells = [row[column] for row in table.rows if column < len(row)]
    return not any(isinstance(cell, Figure) for cell in cells)


def letters(table: Table) -> dict[str, str]:
    """Letter by reason why a value or an interval of the table is not there."""
    return footnotes([asdict(figure) for figure in figures_of(table)])


def told(cell: Figure, *, is_difference: bool = False) -> Worded:
    """The figure in words."""
    return worded(asdict(cell), is_difference=is_difference)


def cell_words(cell: Cell, marks: dict[str, str]) -> str:
    """A cell as one line of plain text, its footnote's letter in parentheses."""
    if not isinstance(cell, Figure):
        return cell
    mark = marks.get(cell.why, "")
    return f"{told(cell)} ({mark})" if mark else str(told(cell))


def tables_of(report: Report) -> list[Table]:
    """All tables, the summary first."""
    return [report.summary, *(table for section in report.sections for table in section.tables)]


def methods(report: Report) -> list[tuple[str, str]]:
    """Each method of an interval, and what was measured by it."""
    named: dict[str, dict[str, None]] = {}
    for method, name in _uses(report):
        named.setdefault(method, {})[name] = None
    return [(method, _few(list(names))) for method, names in named.items()]


def _uses(report: Report) -> Iterator[tuple[str, str]]:
    for table in tables_of(report):
        for row in table.rows:
            for column, cell in zip(table.columns, row, strict=False):
                if isinstance(cell, Figure) and cell.method and cell.low is not None:
                    yield cell.method, column or table.title
    for comparison in report.comparisons:
        if comparison.difference.method:
            yield comparison.difference.method, f"difference in {comparison.metric}"


def _few(names: Sequence[str]) -> str:
    told = ", ".join(names[:FEW_NAMES])
    more = len(names) - FEW_NAMES
    return f"{told} and {more} more" if more > 0 else told


def told_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """As they come, but what can be told from chance before what cannot, or cannot be had."""
    return sorted(comparisons, key=lambda one: (not one.told, one.difference.value is None))


def compared(one: Comparison) -> str:
    """`accuracy, tuned against base: +18.0 pp [+10.1, +25.9] on 200 rows; McNemar, p=0.0004`."""
    words = told(one.difference, is_difference=True)
    parts = f"{one.metric}, {one.second} against {one.first}: {words.value} {words.interval}"
    if one.rows or one.difference.n:
        parts = f"{parts.strip()} on {one.rows or one.difference.n:,} rows"
    return f"{parts.strip()}; {_tested(one)}" if one.p is not None else parts.strip()


def _tested(one: Comparison) -> str:
    assert one.p is not None
    test = f"{one.test}, " if one.test else ""
    if one.adjusted is None or one.family < 2:
        return f"{test}{p_words(one.p)}"
    return f"{test}{p_words(one.adjusted)} (Holm, for {one.family} comparisons)"


def p_words(p: float) -> str:
    """`p=0.034`, `p<0.0001`."""
    return "p<0.0001" if p < 0.0001 else f"p={p:.2g}"
