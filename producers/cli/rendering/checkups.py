"""What the doctor found, in words. Pure."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from producers.cli.rendering import showing
from producers.cli.rendering.words import safe
from producers.doctor import Finding, Verdict

_MARKS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.GOOD: ("✓", "green"),
    Verdict.NOTE: ("·", "yellow"),
    Verdict.BAD: ("✗", "bold red"),
}


def page(found: Sequence[Finding]) -> RenderableType:
    """A line per finding, advice below it, and the verdict."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True, min_width=showing.NAME_COLUMNS)
    table.add_column(overflow="fold")
    for finding in found:
        mark, style = _MARKS[finding.verdict]
        table.add_row(Text(mark, style=style), finding.what, _words(finding))
    return Group(showing.indented(table), Text(), _verdict(found))


def _words(finding: Finding) -> Text:
    text = Text(safe(finding.found, 1000))
    if finding.advice:
        text.append(f"\n{finding.advice}", style="bold" if finding.is_bad else "dim")
    return text


def _verdict(found: Sequence[Finding]) -> Text:
    bad = sum(finding.is_bad for finding in found)
    if not bad:
        return Text("  All is well.", style="green")
    things = "One thing needs" if bad == 1 else f"{bad} things need"
    return Text(f"  {things} attention.", style="bold red")
