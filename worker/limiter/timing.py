"""Redis time seen from here, and counts over it. Pure: every time is a parameter, in seconds."""

from bisect import bisect_right
from collections import deque

_TOLERANCE_S = 0.001


class ServerClock:
    """Redis time on the local monotonic clock.

    An answer that says `server` and came between `sent` and `received` bounds the offset; of the
    last answers the least delayed is the best, so a slow answer moves no slot. The local wall
    clock is never looked at.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=32)
        self._offset = 0.0

    def observe(self, sent: float, server: float, received: float) -> None:
        """Take in one answer; if it contradicts the earlier ones, Redis time has jumped."""
        if self._offset < sent - server - _TOLERANCE_S:
            self._offsets.clear()
        self._offsets.append(received - server)
        self._offset = min(self._offsets)

    def to_local(self, server: float) -> float:
        """The local monotonic time at which Redis time is `server`."""
        return server + self._offset

    def to_server(self, local: float) -> float:
        """Redis time at the local monotonic time `local`."""
        return local - self._offset


class Curve:
    """A count that only grows, known at some moments; linear in between, flat outside."""

    def __init__(self, span: float = 4.0) -> None:
        self._span = span
        self._times: list[float] = []
        self._counts: list[float] = []

    def add(self, at: float, count: float) -> None:
        """The count was `count` at `at`. A smaller count than before: it was reset."""
        if self._counts and count < self._counts[-1]:
            self._times, self._counts = [], []
        while self._times and self._times[-1] >= at:
            self._times.pop()
            self._counts.pop()
        self._times.append(at)
        self._counts.append(count)
        if len(self._times) > 512:
            self._forget(at - self._span)

    def _forget(self, before: float) -> None:
        keep = min(bisect_right(self._times, before), len(self._times) - 2)
        del self._times[: max(0, keep)], self._counts[: max(0, keep)]

    def at(self, when: float) -> float:
        """The count at `when`."""
        after = bisect_right(self._times, when)
        if after == 0:
            return self._counts[0] if self._counts else 0.0
        if after == len(self._times):
            return self._counts[-1]
        left, right = self._times[after - 1], self._times[after]
        low, high = self._counts[after - 1], self._counts[after]
        return low + (high - low) * (when - left) / (right - left)

    def rate(self, start: float, end: float) -> float | None:
        """How much was counted from `start` to `end`, per second; None: nothing is known."""
        if not self._times:
            return None
        return (self.at(end) - self.at(start)) / (end - start)
