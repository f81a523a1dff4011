"""How much of the limits this process takes by right, while jobs of other weights run elsewhere.

What the others leave is taken too: beyond its right a process asks modestly, and gets a slot only
when nobody else is in line.
"""

from dataclasses import dataclass

AHEAD_S = 0.15
"""A process may use its right so far ahead: a block, and the time before the next is asked for."""
LEAST = 0.005
REMEMBERED_S = 1.0
"""What others left and the process took counts against its right for so long at most."""


@dataclass(slots=True)
class Portion:
    """This process's share of all limits; None: all processes count the same."""

    share: float | None = None


class Right:
    """What the process has used of its share of one limit. Times are of the local clock."""

    def __init__(self, portion: Portion) -> None:
        self._portion = portion
        self._used_s = 0.0
        """For so long the whole limit was used ahead of the share, at `_used_at`."""
        self._used_at = 0.0

    def is_used_up(self, now: float) -> bool:
        """Whether others, if they are in line, go first."""
        return self._portion.share is not None and self.due_at(now) > now + AHEAD_S

    def due_at(self, now: float) -> float:
        """Until when the share is used up, if it stays as it is."""
        return now + self._ahead_s(now) / self._share

    def use(self, now: float, seconds: float, *, modest: bool = False) -> None:
        """Slots were given that take up the whole limit for `seconds`; `modest`: leftovers."""
        before = self._ahead_s(now)
        self._used_s, self._used_at = before + seconds, now
        if self._portion.share is None:
            self._used_s = 0.0
        elif modest:  # else a job that came back would have the limit alone, for as long again
            self._used_s = max(before, min(self._used_s, REMEMBERED_S * self._share))

    def part(self, processes: int, *, modest: bool) -> float:
        """The share of the limit to ask for at a time."""
        if modest or self._portion.share is None:
            return 1 / processes
        return self._portion.share

    @property
    def _share(self) -> float:
        return max(LEAST, self._portion.share or 0.0)

    def _ahead_s(self, now: float) -> float:
        return max(0.0, self._used_s - (now - self._used_at) * self._share)
