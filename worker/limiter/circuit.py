"""When a model's circuit opens, and for how long. Pure; the state itself is shared in Redis."""

from collections import deque
from random import Random

LONGEST_CAPACITY_S = 30.0
LONGEST_TRANSIENT_S = 5.0
"""A brown-out must be over for us within 10 s of its end."""
WINDOW = 40
FEWEST = 20


def hold_for(level: int, longest: float, random: Random) -> float:
    """Seconds to stay open at the `level`-th failure in a row (from 0): full jitter under
    1, 2, 4 ... `longest`, but never next to nothing."""
    base = min(longest, 2.0 ** min(level, 10))
    return max(0.2 * base, random.uniform(0.0, base))


class Outcomes:
    """The last outcomes of a model in this process: is the server failing most calls?"""

    def __init__(self) -> None:
        self._failed: deque[bool] = deque(maxlen=WINDOW)
        self._failures = 0

    def record(self, *, failed: bool) -> None:
        """Add one outcome."""
        if len(self._failed) == WINDOW:
            self._failures -= self._failed[0]
        self._failed.append(failed)
        self._failures += failed

    def is_storm(self) -> bool:
        """Whether more than half of the last `WINDOW` (at least `FEWEST`) calls failed."""
        return len(self._failed) >= FEWEST and self._failures * 2 > len(self._failed)

    def clear(self) -> None:
        """Forget all: what follows is another situation."""
        self._failed.clear()
        self._failures = 0
