"""Jobs, estimates and their like as Rich renderables. Pure: data in, renderable out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from models.limits import Limit
from models.states import JobState
from models.store.views.operations_seen import OperationSeen
from models.tables import Job
from producers.cli.rendering import money_words, operation_words, words
from producers.cli.rendering.facts import seconds_of
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import counted, safe

ACCENT = "cyan"
STATE_STYLES: Mapping[str, str] = {
    JobState.QUEUED: "cyan",
    JobState.RUNNING: ACCENT,
    JobState.WAITING: "cyan",
    JobState.PAUSED: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "dim",
}


NAME_COLUMNS = 9
"""Width of the names before values, so that all blocks stand in line."""


@dataclass(frozen=True, slots=True)
class Limited:
    """How fast a job may go: requests per minute of the one model it asks."""

    model: str
    requests_per_minute: float

    def share(self, calls_per_s: float) -> float:
        """Which part of the limit a rate is."""
        return calls_per_s * 60 / self.requests_per_minute


def pairs(rows: Sequence[tuple[str, RenderableType]]) -> RenderableType:
    """Names and values in two columns, names dimmed."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=NAME_COLUMNS)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return indented(table)


def indented(what: RenderableType) -> RenderableType:
    """Two columns away from the edge, as all we print."""
    return Padding(what, (0, 0, 0, 2), expand=False)


def line(name: str, value: RenderableType) -> RenderableType:
    """One pair, in line with others."""
    return pairs([(name, value)])


def state(name: str) -> Text:
    """A job's state in its colour."""
    return Text(safe(name), style=STATE_STYLES.get(name, ""))


def hint(text: str, command: str = "") -> Text:
    """A quiet line that says what to do next."""
    return Text.assemble(("  " + text, "dim"), (f" {command}" if command else "", "bold"))


def warning(text: str) -> Text:
    """A line that asks for attention."""
    return Text.assemble(("  ! ", "bold yellow"), (text, "yellow"))


# -- after a job -----------------------------------------------------------------------------------


def job_cost(job: Job) -> str:
    """What the job has cost so far."""
    return words.cost(job.cost_nano, calls=job.calls_made, unpriced=job.calls_unpriced)


def headline(job: Job) -> Text:
    """How it ended, in one line."""
    mark = {
        JobState.SUCCEEDED: ("✓ ", "bold green"),
        JobState.FAILED: ("✗ ", "bold red"),
        JobState.CANCELLED: ("✗ ", "dim"),
        JobState.PAUSED: ("‖ ", "bold yellow"),
    }.get(JobState(job.state), ("", ""))
    took = seconds_of(job)
    reason = safe(job.state_reason)
    told = reason.startswith(job.state)  # "paused by the user" needs no "paused:" before it
    text = Text.assemble(
        mark, (job.id, "bold"), " ", (reason, STATE_STYLES[job.state]) if told else state(job.state)
    )
    if job.state in (JobState.SUCCEEDED, JobState.FAILED) and took is not None:
        text.append(f" in {words.duration(max(1, took))}", style="dim")
    if reason and not told:
        text.append(f": {reason}")
    return text


def summary(job: Job, limit: Limited | None = None, cost_note: str = "") -> RenderableType:
    """Rows, calls, tokens, cost (with a note, if there is something to it) and speed."""
    rows: list[tuple[str, RenderableType]] = [
        ("rows", _row_counts(job)),
        ("calls", _call_counts(job)),
        ("tokens", f"{job.prompt_tokens:,} in, {job.completion_tokens:,} out"),
        ("cost", Text.assemble(job_cost(job), (f"  {cost_note}" if cost_note else "", "dim"))),
    ]
    if job.budget_nano is not None:
        rows.append(("budget", money_words.budget(job)))
    took = seconds_of(job)
    if job.calls_made and took:
        rows.append(("speed", _speed(job.calls_made / took, limit)))
    return pairs(rows)


def _row_counts(job: Job) -> Text:
    text = Text(f"{job.rows_done:,} done, ")
    text.append(f"{job.rows_failed:,} failed", style="red" if job.rows_failed else "")
    open_rows = job.rows_total - job.rows_done - job.rows_failed
    text.append(f", {open_rows:,} open" if open_rows else "")
    text.append(f", {job.rows_rejected:,} rejected" if job.rows_rejected else "", style="yellow")
    return text


def _call_counts(job: Job) -> str:
    if not job.calls_made and job.calls_from_ledger:
        return f"0 calls, all {job.calls_from_ledger:,} from the ledger: nothing was paid"
    parts = [f"{job.calls_made:,} paid"]
    if job.calls_from_ledger:
        parts.append(f"{job.calls_from_ledger:,} from the ledger")
    if job.calls_retried:
        parts.append(f"{job.calls_retried:,} sent again after an error")
    if job.calls_doubtful:
        parts.append(f"{job.calls_doubtful:,} perhaps paid without an answer")
    return ", ".join(parts)


def _speed(calls_per_s: float, limit: Limited | None) -> str:
    speed = f"{calls_per_s:.1f} calls/s"
    if limit is None:
        return speed
    allowed = f"{limit.requests_per_minute:,.0f} requests/min"
    used = words.share(limit.share(calls_per_s))
    return f"{speed}, {used} of the limit ({safe(limit.model)}: {allowed})"


def failures_by_code(codes: Mapping[str, int], job_id: str) -> RenderableType:
    """Failed rows grouped by reason, and what to do about them."""
    rows = [(f"{number:,}", Text(safe(code))) for code, number in codes.items()]
    return Group(
        Text("  Failed rows by reason", style="bold"),
        pairs(rows),
        hint("See them:", f"maestrale failures {job_id}"),
        hint("Try only them again:", f"maestrale retry {job_id}"),
    )


def failures(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Failed rows, one a line."""
    table = bare_table()
    table.add_column("row", overflow="fold", max_width=40)
    table.add_column("reason", style="red", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for row in found:
        table.add_row(safe(row["row_id"], 80), safe(row["code"]), safe(row["detail"] or ""))
    return indented(table)


# -- many jobs -------------------------------------------------------------------------------------


def jobs(
    found: Sequence[Job], now: float, out: Mapping[str, int] = MappingProxyType({})
) -> RenderableType:
    """The list of jobs. `now`: seconds since the epoch; `out`: remote operations, by job."""
    table = bare_table("job", "name", "state")
    for name in ("done", "failed", "of", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("submitted", style="dim", no_wrap=True)
    table.add_column("input", style="dim", overflow="ellipsis", no_wrap=True)
    for job in found:
        table.add_row(*_job_cells(job, now, out.get(job.id, 0)))
    return indented(table)


def _job_cells(job: Job, now: float, out: int) -> list[RenderableType]:
    unknown = job.calls_unpriced and job.calls_unpriced >= job.calls_made
    least = ">" if job.calls_unpriced else ""
    return [
        job.id,
        safe(job.name, 30),
        state(job.state).append(operation_words.out(job, out), "dim"),
        f"{job.rows_done:,}",
        Text(f"{job.rows_failed:,}", style="red" if job.rows_failed else "dim"),
        f"{job.rows_total:,}",
        "unknown" if unknown else least + words.money(job.cost_nano),
        words.ago(now - job.created_at),
        safe(job.input_name, 60),
    ]


def job_details(job: Job, limit: Limited | None, now: float) -> RenderableType:
    """Everything about one job."""
    about: list[tuple[str, RenderableType]] = [
        ("kind", f"{safe(job.kind)} {safe(job.name)}"),
        ("input", safe(job.input_name)),
        ("priority", str(job.priority)),
        *operation_words.way(job),
        ("submitted", words.ago(now - job.created_at)),
    ]
    return Group(Text("  ") + headline(job), pairs(about), summary(job, limit))


def what_to_do(job: Job) -> RenderableType | None:
    """What has to be done before a paused job can go on, and how it does."""
    if job.state != JobState.PAUSED:
        return None
    cause = job.state_reason.rpartition(" is paused: ")[2]  # of a run that of its stage's job
    first = _BEFORE_RESUMING.get(cause.partition(":")[0])
    told = _RESUME.search(cause)  # it may be for the run that the job is of
    command = f"{told[1]} {_sum(told[3]) or told[2]}" if told else f"maestrale resume {job.id}"
    go_on = hint("Go on:", command)
    is_whole = bool(told and told[3])  # then it says all that there is to do
    return Group(warning(first), go_on) if first and not is_whole else go_on


def _sum(least: str | None) -> str:
    """The least budget that is enough, up to the next cent, as `--budget` takes it."""
    if not least:
        return ""
    return f"{Decimal(least.replace(',', '')).quantize(Decimal('0.01'), ROUND_UP)}USD"


_RESUME = re.compile(
    r"`(maestrale resume \S+ --budget) (\S+)`"
    r"(?: \(at least \$([0-9][0-9,]*(?:\.[0-9]+)?) in all\))?"
)
_BEFORE_RESUMING: Mapping[str, str] = {
    "account": "Check the key (MISTRAL_API_KEY) and that the model is on your plan. Workers read "
    "the key when they start: after a change, `maestrale down` and `maestrale up`.",
    "money": "Top up or raise the spending limit in the provider's console first.",
    "budget": "Resume with a larger one (--budget 10USD), or it pauses again at the next call.",
    "price": "A budget needs a price, and more money is none: give the workers the price table too "
    "(MAESTRALE_PRICES).",
    "store": "Bring the store back that the evaluation was planned with (`maestrale stores`), or "
    "evaluate anew with the one there is.",
    "quota": "The limit seems used up for longer than a minute: look in the provider's console.",
}
"""By the word that `state_reason` begins with (`worker.retrying.PauseReason`)."""


def written(path: Path, records: int, provenance: Path) -> RenderableType:
    """Where the records are, and where it is told what they come from."""
    where = Text.assemble((safe(path, 4000), "bold"), f"  {counted(records, 'record')}")
    where.append(f"\nwhere each comes from: {safe(provenance.name)}", "dim")
    return line("dataset", where)


def limited(models: Sequence[str], limits: Mapping[str, Limit]) -> Limited | None:
    """The limit of the one model asked; None if it is not known, or there are several models."""
    if len(models) != 1:
        return None
    limit = limits.get(models[0]) or limits.get("*")
    if limit is None or not limit.requests_per_minute:
        return None
    return Limited(models[0], limit.requests_per_minute)


def job_page(
    job: Job,
    limit: Limited | None,
    codes: Mapping[str, int],
    now: float,
    operations: Sequence[OperationSeen] = (),
) -> RenderableType:
    """`maestrale show`: everything about one job, and what to do next."""
    parts = [job_details(job, limit, now)]
    if operations:
        parts += [Text(), indented(operation_words.block(operations, now))]
    if codes:
        parts += [Text(), failures_by_code(codes, job.id)]
    next_step = what_to_do(job)
    return Group(*parts, *([Text(), next_step] if next_step is not None else []))


def failures_page(job: Job, found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """`maestrale failures`: the rows, how many more there are, and what to do."""
    if not found:
        return hint(f"{job.id} has no failed rows.")
    more = job.rows_failed - len(found)
    parts = [failures(found), Text()]
    if more > 0:
        parts.append(hint(f"and {more:,} more: --limit lists them"))
    return Group(*parts, hint("Try only them again:", f"maestrale retry {job.id}"))


def moved(job: Job, meaning: str) -> Text:
    """A job after `pause`, `resume`, `cancel` or `retry`."""
    return Text.assemble("  ", (job.id, "bold"), " ", state(job.state), (f": {meaning}", "dim"))


def recipes(found: Mapping[str, str]) -> RenderableType:
    """The shipped recipes."""
    rows = [(name, Text(safe(about))) for name, about in found.items()]
    return Group(pairs(rows), hint("Run one:", "maestrale generate FILE --recipe NAME"))


def limit_words(limit: Limit) -> str:
    """A limit and where it comes from."""
    if limit.requests_per_minute == 0:
        return "not on the plan"
    rates = ((limit.requests_per_minute, "requests"), (limit.tokens_per_minute, "tokens"))
    told = [f"{rate:,.0f} {unit}/min" for rate, unit in rates if rate is not None]
    sources = {
        "told": "told by MAESTRALE_LIMITS",
        "header": "told by the API",
        "found": "found by trying",
    }
    return f"{', '.join(told) or 'not known yet'} ({sources[limit.source]})"
