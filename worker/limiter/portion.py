"""How much of the limits this process takes by right, while jobs of other weights run elsewhere.

What the others leave is taken too: beyond its right a process asks modestly, and gets a slot only
when nobody else is in line.
"""

from dataclasses import dataclass

AHEAD_S = 0.15
"""A process may use its right so far ahead: a block, and the time before the next is asked for."""
LEAST = 0.005


@dataclass(slots=True)
class Portion:
    """This process's share of all limits; None: all processes count the same."""

    share: float | None = None


class Right:
    """What the process has used of its share of one limit. Times are of the local clock."""

    def __init__(self, portion: Portion) -> None:
        self._portion = portion
        self.due_at = 0.0
        """Until when the share is used up."""

    def is_used_up(self, now: float) -> bool:
        """Whether others, if they are in line, go first."""
        return self._portion.share is not None and self.due_at > now + AHEAD_S

    def use(self, now: float, seconds: float) -> None:
        """Slots were given that take up the whole limit for `seconds`."""
        if self._portion.share is not None:
            self.due_at = max(self.due_at, now) + seconds / max(LEAST, self._portion.share)
        else:
            self.due_at = 0.0

    def part(self, processes: int, *, modest: bool) -> float:
        """The share of the limit to ask for at a time."""
        if modest or self._portion.share is None:
            return 1 / processes
        return self._portion.share
