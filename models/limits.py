"""What an account may do per model: requests and tokens per minute, and where that was learnt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.errors import BadInputError

LimitSource = Literal["told", "header", "found"]
_PART = re.compile(r"(?P<count>\d+(?:\.\d+)?)(?P<tokens>tok)?/(?P<unit>s|sec|min|m|h)")
_PER_MINUTE = {"s": 60.0, "sec": 60.0, "min": 1.0, "m": 1.0, "h": 1 / 60}


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests and tokens per minute; None: unknown (to be learnt). 0: not on the plan."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    source: LimitSource = "told"


def parse_limits(text: str) -> dict[str, Limit]:
    """Read `model=20/s+500000tok/min, *=60/min` into limits by model name.

    Raises `BadInputError` naming the part that does not parse.
    """
    entries = (entry.strip() for entry in text.split(","))
    return dict(_parse_entry(entry) for entry in entries if entry)


def _parse_entry(entry: str) -> tuple[str, Limit]:
    model, _, rates = entry.partition("=")
    found: dict[str, float] = {}
    for rate in rates.split("+"):
        match = _PART.fullmatch(rate.strip())
        if not match:
            raise BadInputError(
                f"the limit {entry!r} does not parse: write it as model=20/s+500000tok/min"
            )
        key = "tokens_per_minute" if match["tokens"] else "requests_per_minute"
        found[key] = float(match["count"]) * _PER_MINUTE[match["unit"]]
    return model.strip() or "*", Limit(**found)  # type: ignore[arg-type] # keys are field names


def limit_for(model: str, limits: Mapping[str, Limit]) -> Limit | None:
    """The limit told for `model`, or the one told for `*`, or None."""
    return limits.get(model) or limits.get("*")
