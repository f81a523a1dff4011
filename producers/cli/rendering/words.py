"""Numbers, money, times and foreign text as a terminal shows them. Pure."""

from models.words import (
    UNKNOWN_COST,
    ago,
    cost,
    counted,
    dollars,
    duration,
    money,
    safe,
    share,
    size,
)

__all__ = [
    "UNKNOWN_COST",
    "ago",
    "cost",
    "counted",
    "duration",
    "estimated_cost",
    "money",
    "safe",
    "safe_lines",
    "share",
    "size",
]


def safe_lines(text: str) -> str:
    """Like `safe`, for messages of several lines."""
    return "\n".join(safe(line, 4000) for line in text.split("\n"))


def estimated_cost(usd: float | None) -> str:
    """`about $0.41`, or unknown; never zero for want of a price."""
    return UNKNOWN_COST if usd is None else f"about {dollars(usd)}"
