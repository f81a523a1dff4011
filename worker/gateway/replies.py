"""What the gateway hands back when the API answered."""

from dataclasses import dataclass
from typing import Any

from models.payloads import Usage
from worker.gateway.faults import LimitHeaders


@dataclass(frozen=True, slots=True)
class Reply:
    """One answered and paid call. `answer` is the JSON body as it came, for the ledger; `model` is
    the one that answered; `latency_s` runs from the call to the last byte."""

    answer: dict[str, Any]
    usage: Usage
    model: str
    limits: LimitHeaders | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class ModelList:
    """The models a server offers, aliases among them, and its own words about them."""

    names: tuple[str, ...]
    raw: Any
