"""How many calls were let through of late, by all processes: the measure of a limit. Pure."""

from worker.limiter.adaptive import UNKNOWN_RATE
from worker.limiter.shared import Grant
from worker.limiter.timing import Curve

_NOTED_EVERY_S = 0.01


class Passed:
    """Slots given and refusals, as the answers of Redis tell; and what went without slots."""

    def __init__(self) -> None:
        self._given, self._refused, self._free = Curve(), Curve(), Curve()
        self._is_known = False
        self._noted_free = 0.0

    def note(self, grant: Grant) -> None:
        """Take in one answer. All slots given so far lie before its `tat`."""
        if grant.is_local:
            return
        if not self._is_known:
            self._given.add(grant.born, 0)
            self._is_known = True
        if grant.starts:
            self._given.add(grant.starts[0], grant.seq - len(grant.starts))
        self._given.add(max(grant.tat, grant.now), grant.seq)
        self._refused.add(grant.now, grant.refused)

    def note_free(self, now: float, granted: int) -> None:
        """A call without a slot, at `now` (Redis time), the `granted`-th of this process."""
        if now - self._noted_free > _NOTED_EVERY_S:
            self._noted_free = now
            self._free.add(now, granted)

    def in_second_before(self, at: float) -> float:
        """Calls let through in the second before `at` (Redis time), by all processes."""
        given = self._given.rate(at - 1, at)
        if given is None:
            return UNKNOWN_RATE
        return max(0.0, given - (self._refused.rate(at - 1, at) or 0.0))

    def free_in_second_before(self, at: float) -> float:
        """The same for calls without slots, by this process."""
        sent = self._free.rate(at - 1, at)
        return UNKNOWN_RATE if sent is None else sent
