"""A job while it runs, as Rich renderables and as lines. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from models.tables import Job
from producers.cli.rendering import words
from producers.cli.rendering.showing import ACCENT, STATE_STYLES, Limited, indented
from producers.cli.rendering.words import counted

BAR_COLUMNS = 44


@dataclass(frozen=True, slots=True)
class Progress:
    """A job and what the watcher knows of its pace. None: not known (yet)."""

    job: Job
    calls_expected: int = 0
    calls_per_s: float | None = None
    seconds_left: float | None = None
    limit: Limited | None = None
    note: str = ""
    """Why nothing moves, or what the user should know."""
    waits_for: Sequence[str] = ()
    """Remote work that is out, a line each."""


def progress(now: Progress) -> RenderableType:
    """The live display: a bar, a line of figures, and a note if there is one."""
    job = now.job
    settled = job.rows_done + job.rows_failed
    bar = Table.grid(padding=(0, 2))
    complete = STATE_STYLES.get(job.state, ACCENT)
    bar.add_row(
        ProgressBar(
            total=max(1, job.rows_total),
            completed=settled,
            width=BAR_COLUMNS,
            complete_style=complete,
            finished_style="green",
        ),
        Text(f"{settled:,} of {counted(job.rows_total, 'row')}"),
        Text(f"{settled / max(1, job.rows_total):.0%}", style="dim"),
    )
    lines: list[RenderableType] = [bar, Text("  ".join(figures(now)), style="dim")]
    lines += [Text(waited, style="cyan") for waited in now.waits_for]
    if now.note:
        lines.append(Text(now.note, style="yellow"))
    return indented(Group(*lines))


def figures(now: Progress) -> list[str]:
    """What the line under the bar says, most important first."""
    job = now.job
    answered = job.calls_made + job.calls_from_ledger
    expected = f" of ~{now.calls_expected:,}" if now.calls_expected > answered else ""
    parts = [f"{answered:,}{expected} calls"]
    if now.calls_per_s and job.calls_made:
        parts.append(_rate(now.calls_per_s, now.limit))
    if job.rows_failed:
        parts.append(f"{job.rows_failed:,} failed")
    parts.append(_cost(job))
    if now.seconds_left and now.seconds_left >= 1:
        parts.append(f"{words.duration(now.seconds_left)} left")
    return parts


def _cost(job: Job) -> str:
    if job.calls_unpriced and job.calls_unpriced >= job.calls_made:
        return "cost unknown"
    of = "" if job.budget_nano is None else f" of {words.money(job.budget_nano)}"
    return ("at least " if job.calls_unpriced else "") + words.money(job.cost_nano) + of


def _rate(calls_per_s: float, limit: Limited | None) -> str:
    rate = f"{calls_per_s:.1f}/s"
    return f"{rate} ({words.share(limit.share(calls_per_s))} of limit)" if limit else rate


def progress_line(now: Progress) -> str:
    """One line for logs and pipes, and one for each thing that is waited for."""
    job = now.job
    settled = job.rows_done + job.rows_failed
    figure_words = ", ".join(figures(now))
    note = f" -- {now.note}" if now.note else ""
    rows = f"{settled:,} of {job.rows_total:,} rows"
    said = f"{job.id} {job.state}: {rows}, {figure_words}{note}"
    return "\n  ".join([said, *now.waits_for])
