"""How fast a job goes and when it will end, from what was seen of it. Pure."""

from collections import deque
from dataclasses import dataclass

WINDOW_S = 10.0
"""Rates are those of the last ten seconds."""
SHORTEST_S = 1.0
"""A rate over less than this says nothing."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A job's counters at a moment (seconds of any clock that does not go back)."""

    at: float
    paid: int
    """Calls paid for."""
    answered: int
    """Calls paid for or found in the ledger."""
    settled: int
    """Rows done or failed."""


class Pace:
    """The recent past of one job."""

    def __init__(self, *, rows: int, calls: int) -> None:
        """`rows` and `calls`: how many there will be; calls are an estimate."""
        self._rows = rows
        self._calls = calls
        self._seen: deque[Seen] = deque()

    def note(self, seen: Seen) -> None:
        """Adds a look at the job; what is older than the window is forgotten."""
        self._seen.append(seen)
        while len(self._seen) > 2 and self._seen[1].at <= seen.at - WINDOW_S:
            self._seen.popleft()

    @property
    def calls_per_s(self) -> float | None:
        """Paid calls per second; None: too early to say."""
        return self._rate("paid")

    @property
    def seconds_left(self) -> float | None:
        """By calls while the estimate holds, else by rows; None: too early to say."""
        if not self._seen:
            return None
        now = self._seen[-1]
        if now.settled >= self._rows:
            return 0.0
        calls_left = self._calls - now.answered
        return self._left(calls_left, "answered") or self._left(self._rows - now.settled, "settled")

    def _left(self, left: int, counter: str) -> float | None:
        rate = self._rate(counter)
        return left / rate if rate and left > 0 else None

    def _rate(self, counter: str) -> float | None:
        if len(self._seen) < 2:
            return None
        first, last = self._seen[0], self._seen[-1]
        span = last.at - first.at
        grown = getattr(last, counter) - getattr(first, counter)
        return float(grown / span) if span >= SHORTEST_S else None
