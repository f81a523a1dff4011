"""Batches and training runs that a job waits for, as people and programs read them. Pure."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from models.states import JobKind, JobState
from models.store.views.operations_seen import OperationSeen
from models.tables import Job
from producers.cli.rendering.facts import moment, options_of
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import ago, counted, duration, safe

LINES = 6
"""Operations that a watcher shows, one a line; the rest is counted."""
STYLES = {"succeeded": "green", "failed": "red", "cancelled": "dim"}
"""What is settled; all else is cyan."""


def way(job: Job) -> list[tuple[str, RenderableType]]:
    """How the job's calls go, as a pair for its details; nothing for real time."""
    options = options_of(job)
    if options is None or options.via == "realtime":
        return []
    then = {"resubmit": "goes into another batch", "realtime": "goes in real time"}
    rest = then[options.on_timeout]
    return [("via", f"batch, up to {options.batch_hours} h each; what is left then {rest}")]


def out(job: Job, count: int) -> str:
    """` (2 batches)` behind the state of a waiting job; empty for any other."""
    if not count or job.state != JobState.WAITING:
        return ""
    return f" ({counted(count, 'run')})" if job.kind == JobKind.TRAIN else f" ({_batches(count)})"


def lines(operations: Sequence[OperationSeen], now: float) -> list[str]:
    """One line for each that is still out, the first few of them."""
    waited = [operation for operation in operations if operation.is_out]
    shown = [line(operation, now) for operation in waited[:LINES]]
    more = len(waited) - LINES
    return [*shown, f"and {more:,} more"] if more > 0 else shown


def line(operation: OperationSeen, now: float) -> str:
    """`batch of MODEL: RUNNING, 120 of 5,000 requests, since 3 min, next look in 40 s`."""
    parts = [_word(operation)]
    if operation.requests_total:
        parts.append(f"{_requests(operation)} requests")
    parts += [f"since {duration(max(0.0, now - operation.since))}", _next_look(operation, now)]
    return f"{safe(operation.kind, 20)} of {safe(operation.model, 60)}: {', '.join(parts)}"


def block(operations: Sequence[OperationSeen], now: float) -> RenderableType:
    """All of them as a table, with the reasons of those that failed or are odd."""
    table = bare_table()
    for name in ("what", "model", "state", "provider says"):
        table.add_column(name, overflow="fold")
    table.add_column("requests", justify="right", no_wrap=True)
    table.add_column("since", style="dim", no_wrap=True)
    table.add_column("next look", style="dim", no_wrap=True)
    for operation in operations:
        table.add_row(*_cells(operation, now))
    reasons = [
        Text(f"{safe(one.remote_id or one.id, 80)}: {safe(one.reason, 300)}", style="dim")
        for one in operations
        if one.reason
    ]
    return Group(Text("Remote work", style="bold"), table, *reasons)


def operation_facts(operation: OperationSeen) -> dict[str, Any]:
    """An operation as programs read it."""
    same = ("id", "kind", "endpoint", "model", "state", "reason", "remote_id", "remote_status")
    return {
        **{name: getattr(operation, name) for name in same},
        "requests": {
            "total": operation.requests_total,
            "done": operation.requests_done,
            "failed": operation.requests_failed,
            "over_there": operation.requests_over_there,
        },
        "checks_failed": operation.check_failures,
        "created_at": moment(operation.created_at),
        "submitted_at": moment(operation.submitted_at),
        "settled_at": moment(operation.settled_at),
        "next_look_at": moment(operation.next_check_at) if operation.is_out else None,
    }


def _batches(count: int) -> str:
    return f"{count:,} batch" if count == 1 else f"{count:,} batches"


def _word(operation: OperationSeen) -> str:
    """The provider's word; ours before it has said any."""
    return safe(operation.remote_status, 40) or safe(operation.state, 20)


def _requests(operation: OperationSeen) -> str:
    """Settled here; while it is out, what the provider says if that is more."""
    here = operation.requests_done + operation.requests_failed
    done = max(here, operation.requests_over_there or 0)
    failed = f", {operation.requests_failed:,} failed" if operation.requests_failed else ""
    return f"{done:,} of {operation.requests_total:,}{failed}"


def _next_look(operation: OperationSeen, now: float) -> str:
    left_s = operation.next_check_at - now
    return f"next look in {duration(left_s)}" if left_s >= 1 else "next look now"


def _cells(operation: OperationSeen, now: float) -> list[RenderableType]:
    return [
        safe(operation.kind, 20),
        safe(operation.model, 60),
        Text(safe(operation.state, 20), style=STYLES.get(operation.state, "cyan")),
        safe(operation.remote_status, 40),
        _requests(operation) if operation.requests_total else "",
        ago(now - operation.since),
        _next_look(operation, now).removeprefix("next look ") if operation.is_out else "",
    ]
