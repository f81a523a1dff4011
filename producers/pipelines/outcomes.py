"""What doing a stage came to: values, for the conductor to match over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.tables import Stage
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
    """What a stage will take, before it is begun. None: not known."""

    words: str
    cost_usd: float | None = 0.0
    seconds: float | None = None


def of_plan(plan: Checked) -> Expected:
    """What a checked file of rows will take."""
    told = plan.estimate
    return Expected(f"{told.rows:,} rows, about {told.calls:,} calls", told.cost_usd, told.seconds)
