"""What doing a stage came to: values, for the conductor to match over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.prices import load_prices
from models.tables import Stage
from models.words import counted
from producers.pipelines.ahead import NAMELESS, Ahead
from producers.planning import Checked


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job does it, or its next part. `notes`: what collecting must know."""

    job_id: str
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """It is done: what later stages read."""

    output: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An earlier run did the very same."""

    known: Stage


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing can be done about it just now; it is looked at again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """It cannot be done; the reason is for people."""

    reason: str


Outcome = Submitted | Made | TakenOver | Later | Lost


@dataclass(frozen=True, slots=True)
class Expected:
    """What a stage will take, before it is begun. None: not known, and the words say why."""

    words: str
    cost_usd: float | None = 0.0
    seconds: float | None = None
    output: Mapping[str, Any] | None = None
    """What stages after it may be planned with, in place of what it will make. None: nothing."""
    is_rough: bool = False
    """Whether stages before it have yet to make what it reads."""


def of_plan(plan: Checked, ahead: Ahead, path: str, limit: int | None = None) -> Expected:
    """What a checked file takes, or as many rows as it stands for."""
    told = plan.estimate
    whole = ahead.whole(path, told.rows, limit)
    times = whole / told.rows if told.rows else 1.0
    words = [f"{counted(round(whole), 'row')}, about {round(told.calls * times):,} calls"]
    if plan.reads_here:
        words = [f"{counted(round(whole), 'row')} read to models on this machine, for nothing"]
    if told.cost_usd is None:
        prices = load_prices(ahead.client.settings.prices_file)
        unknown = [model for model in plan.models if prices.price(model) is None]
        words.append(f"no price is known of {', '.join(unknown)}")
    if own := [] if plan.reads_here else ahead.own(plan.models):
        words.append(f"{', '.join(own)} on this machine, for nothing")
    words += told.notes
    cost, seconds = scaled(told.cost_usd, times), scaled(told.seconds, times)
    return Expected("; ".join(words).replace(NAMELESS, ""), cost, seconds)


def scaled(value: float | None, times: float) -> float | None:
    """So many times the value, if it is known."""
    return None if value is None else value * times
