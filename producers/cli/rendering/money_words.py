"""Costs and budgets as people and programs read them. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from models.nano import NANO
from models.store.money import Cost
from models.tables import Job
from models.words import is_unknown_cost
from producers.cli.rendering import words
from producers.cli.rendering.tables import bare_table
from producers.cli.rendering.words import counted, safe

TOTAL = "all"


def budget(job: Job) -> str:
    """`$3.20 of $5.00 spent (64%)`; only for a job that has one."""
    whole = job.budget_nano or 0
    least = "at least " if job.calls_unpriced else ""
    part = words.share(job.cost_nano / max(1, whole))
    doubts = f", and {counted(job.calls_doubtful, 'doubtful call')}" if job.calls_doubtful else ""
    return f"{least}{words.money(job.cost_nano)} of {words.money(whole)} spent ({part}){doubts}"


def planned_budget(nano: int, estimated_usd: float | None) -> str:
    """The budget beside what the job will probably take."""
    if not estimated_usd:
        return words.money(nano)
    part = estimated_usd * NANO / nano
    if part > 1:
        return f"{words.money(nano)}: the job pauses when it is spent"
    return f"{words.money(nano)}, of which about {words.share(part)} will be needed"


def costs(found: Sequence[Cost], by: str) -> RenderableType:
    """A line for each, and their sum."""
    table = bare_table()
    table.add_column(by, overflow="fold")
    in_doubt = any(cost.doubts for cost in found)
    for name in ("calls", "tokens in", "tokens out", "cost", *(["perhaps"] if in_doubt else [])):
        table.add_column(name, justify="right", no_wrap=True)
    shown = 6 if in_doubt else 5
    for cost in found:
        table.add_row(*_cells(cost)[:shown])
    if len(found) > 1:
        table.add_section()
        table.add_row(*_cells(total(found))[:shown], style="bold")
    notes: list[RenderableType] = []
    if in_doubt:
        text = "perhaps: calls whose answer never came, by estimate; not part of the cost"
        notes.append(Text(text, style="dim"))
    if unpriced := sum(cost.calls_unpriced for cost in found):
        text = f"{counted(unpriced, 'call')} of models without a known price: MAESTRALE_PRICES"
        notes.append(Text(text, style="yellow"))
    return Group(table, *notes)


def total(found: Sequence[Cost]) -> Cost:
    """The sum of all."""
    whole = Cost(TOTAL)
    for cost in found:
        whole = replace(
            whole,
            **{
                name: getattr(whole, name) + getattr(cost, name)
                for name in Cost.__slots__
                if name != "key"
            },
        )
    return whole


def cost_facts(cost: Cost) -> dict[str, Any]:
    """As programs read it; null means unknown, `is_whole: false` that a part is."""
    return {
        "key": cost.key,
        "calls": cost.calls,
        "tokens": {
            "prompt": cost.prompt_tokens,
            "completion": cost.completion_tokens,
            "cached": cost.cached_tokens,
        },
        "cost": {
            "usd": None if _is_unknown(cost) else cost.cost_nano / NANO,
            "is_whole": not cost.calls_unpriced,
            "unpriced_calls": cost.calls_unpriced,
        },
        "doubtful": {
            "calls": cost.doubts,
            "usd": None if cost.doubts_unpriced else cost.doubts_nano / NANO,
        },
    }


def _is_unknown(cost: Cost) -> bool:
    return is_unknown_cost(calls=cost.calls, unpriced=cost.calls_unpriced)


def _cells(cost: Cost) -> list[str]:
    least = "at least " if cost.calls_unpriced else ""
    paid = "unknown" if _is_unknown(cost) else least + words.money(cost.cost_nano)
    return [
        safe(cost.key, 60),
        f"{cost.calls:,}",
        f"{cost.prompt_tokens:,}",
        f"{cost.completion_tokens:,}",
        paid,
        _perhaps(cost),
    ]


def _perhaps(cost: Cost) -> str:
    if not cost.doubts:
        return ""
    if cost.doubts_unpriced >= cost.doubts:
        return "unknown"
    return ("at least " if cost.doubts_unpriced else "") + words.money(cost.doubts_nano)
