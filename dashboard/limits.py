"""The page Limits: what each account may do per model, and how much of it is used."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from dashboard.frame import View
from models.store.engine import read_now
from models.store.views import board
from models.store.views.board import Standing

SOURCES: Mapping[str, str] = {
    "told": "told by MAESTRALE_LIMITS",
    "header": "told by the API",
    "found": "found by trying",
}
"""Where a limit was learnt."""
FULL = 0.97
"""From this share of the limit on it is used to the full: senders jitter by a few per cent."""


@dataclass(frozen=True, slots=True)
class Line:
    """One model of one account as the table shows it."""

    standing: Standing
    now: float

    @property
    def share(self) -> float | None:
        """Of the requests allowed, what is sent now."""
        limit = self.standing.requests_per_minute
        return self.standing.calls_per_s * 60 / limit if limit else None

    @property
    def per_cent(self) -> float:
        """The bar's length."""
        return round(min(100.0, 100 * (self.share or 0.0)), 2)

    @property
    def is_full(self) -> bool:
        """Whether the limit is what holds the jobs up."""
        return (self.share or 0.0) >= FULL

    @property
    def hold_s(self) -> float:
        """For how long nothing is sent; 0: no hold."""
        return max(0.0, (self.standing.hold_until or 0.0) - self.now)

    @property
    def source(self) -> str:
        """Where the limit was learnt."""
        return SOURCES.get(self.standing.source, self.standing.source)

    @property
    def away(self) -> str:
        """A warning, if Redis does not answer some processes: they pace themselves then."""
        away = self.standing.redis_away
        return f"no Redis: {away} of {self.standing.processes} alone" if away else ""

    @property
    def allowed(self) -> list[str]:
        """`1,200 requests/min`, `2,000,000 tokens/min`."""
        limit = self.standing
        if limit.requests_per_minute == 0:
            return ["not on the plan"]
        rates = ((limit.requests_per_minute, "requests"), (limit.tokens_per_minute, "tokens"))
        told = [f"{rate:,.0f} {unit}/min" for rate, unit in rates if rate is not None]
        return told or ["not known yet"]


class LimitsView(View):
    """`/limits`."""

    tab = "limits"

    async def get(self) -> None:
        """Answers with the page."""
        lines = await self.database.read(look)
        self.show("maestrale/limits.html", title="Limits", lines=lines)


def look(connection: Connection) -> list[Line]:
    """What is used now first, then what was learnt and is not used."""
    now = read_now(connection)
    return [Line(standing, now) for standing in board.standings(connection)]
