"""What one part of the figures found out; parts put together are the report. Plain data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from producers.evaluating.figures.paired import Paired
from producers.evaluating.report import Cell, Chart, Figure, Section, Series, Table, Unit

Figures = dict[str, dict[str, Figure]]
"""By model, and by the figure's stable name."""


@dataclass(slots=True)
class Findings:
    """`summary`: figures of the summary table, by name, with their titles, in order."""

    figures: Figures = field(default_factory=dict)
    summary: dict[str, str] = field(default_factory=dict)
    paired: list[Paired] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def join(self, other: "Findings") -> None:
        """Takes what another part found, behind its own."""
        for label, named in other.figures.items():
            self.figures.setdefault(label, {}).update(named)
        self.summary.update(other.summary)
        self.paired += other.paired
        self.sections += other.sections
        self.warnings += other.warnings


def table_of(title: str, figures: Figures, columns: Mapping[str, str], note: str = "") -> Table:
    """A line per model; a column per named figure, by its title."""
    nothing = Figure(None, why="there is nothing")
    rows: list[Sequence[Cell]] = [
        [label, *(named.get(name, nothing) for name in columns)] for label, named in figures.items()
    ]
    return Table(title, ["Model", *columns.values()], rows, note)


def bars(title: str, figures: Figures, columns: Mapping[str, str], unit: Unit) -> Chart:
    """A group per figure, a bar per model."""
    series = [
        series_of(label, [named[name] for name in columns]) for label, named in figures.items()
    ]
    return Chart(title, "bars", list(columns.values()), series, unit)


def series_of(name: str, found: Iterable[Figure]) -> Series:
    """Figures as what is drawn of them."""
    told = list(found)
    return Series(
        name,
        [one.value for one in told],
        [one.low for one in told],
        [one.high for one in told],
    )
