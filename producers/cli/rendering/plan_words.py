"""What a job will take, by each way its calls may go, as Rich renderables and facts. Pure."""

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from models.payloads import Estimate
from producers.cli.rendering import words
from producers.cli.rendering.showing import pairs
from producers.cli.rendering.words import counted, safe
from producers.planning import Checked
from producers.readers import ReadResult
from producers.routing import Route


def planned(plan: Checked) -> RenderableType:
    """What was read and what it will take, with both prices if real time was not asked for."""
    if plan.route.asked == "realtime":
        return estimate(plan.found, plan.estimate)
    batch, realtime = (
        words.estimated_cost(guess.cost_usd) for guess in (plan.ways.batch, plan.ways.realtime)
    )
    by_batch = plan.route.via == "batch"
    cost = f"{batch} by batch, {realtime} in real time"
    if not by_batch:
        cost = f"{realtime} in real time, {batch} by batch"
    return estimate(plan.found, plan.estimate, cost, _time_by_batch(plan) if by_batch else "")


def estimate(found: ReadResult, guess: Estimate, cost: str = "", time: str = "") -> RenderableType:
    """What was read and what it will take; `cost` and `time` replace the usual words."""
    tokens = "" if guess.exact_tokens else " (guessed: no tokenizer is installed)"
    rows: list[tuple[str, RenderableType]] = [
        ("rows", _rows_read(found)),
        ("calls", f"about {guess.calls:,}"),
        ("tokens", f"about {guess.prompt_tokens:,} in, {guess.completion_tokens:,} out{tokens}"),
        ("cost", cost or words.estimated_cost(guess.cost_usd)),
        ("time", time or _time_at_limit(guess.seconds)),
        *(("note", safe(note)) for note in guess.notes),
    ]
    return pairs(rows)


def _rows_read(found: ReadResult) -> Text:
    text = Text(counted(found.accepted, "row").split()[0])
    if found.rejected:
        codes = ", ".join(f"{number:,} {code}" for code, number in found.codes.items())
        text.append(f", {found.rejected:,} rejected ({codes})", style="yellow")
    if found.generated_ids:
        text.append(f", {found.generated_ids:,} without an id (called by their line)", style="dim")
    return text


def _time_at_limit(seconds: float | None) -> str:
    if seconds is None:
        return "limit not known yet: it is learnt from the first answers"
    return f"{words.duration(max(1, seconds))} at the current limit"


def _time_by_batch(plan: Checked) -> str:
    each = f"up to {plan.hours} h"
    rounds = plan.ways.rounds
    if rounds == 1:
        return f"not known by batch: {each}"
    return f"not known by batch: {each} for each of {rounds} rounds, one a step"


def route_facts(plan: Checked) -> dict[str, Any]:
    """By which way calls go and why; prices in USD by way, null means unknown."""
    route: Route = plan.route
    return {
        "asked": route.asked,
        "via": route.via,
        "why": route.why,
        "rounds": plan.ways.rounds,
        "batch_hours": plan.hours if route.via == "batch" else None,
        "cost_usd": {
            "realtime": plan.ways.realtime.cost_usd,
            "batch": plan.ways.batch.cost_usd,
        },
    }
