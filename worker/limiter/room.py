"""Room for calls under way: a bound on what a process has paid for and not yet on record.

A row may want hundreds of calls at once. A model that has less than its fair part of the room gets
some at once, even when others have taken all: their calls may stand in it for minutes. So at most
twice as many calls are under way, and for a while. A model that comes to a room taken twice waits
its turn.
"""

import sys
from collections.abc import Callable

NO_BOUND = sys.maxsize


class Room:
    """So many calls at once in a process, whatever their models."""

    def __init__(self, most: int = NO_BOUND) -> None:
        self.most = most
        self.taken = 0
        self.parts: list[Part] = []
        self._short: dict[Part, None] = {}

    def part(self, wake: Callable[[], None]) -> "Part":
        """A model's part. `wake` is called when it found no room and there may be some now."""
        part = Part(self, wake)
        self.parts.append(part)
        return part

    def lacks(self, part: "Part") -> None:
        """A part has no room for calls that wait."""
        self._short[part] = None

    def call_back(self) -> None:
        """Some room has come: those that lack it look again, who has waited longest first.

        Who takes some and lacks more waits anew, behind all others.
        """
        if not self._short:
            return
        short, self._short = self._short, {}
        taken = {part: part.taken for part in short}
        for part in short:
            part.wake()
        for part in [one for one in self._short if one.taken > taken.get(one, one.taken)]:
            self._short[part] = self._short.pop(part)


class Part:
    """What one model has of the room. Taken with the permission to call, and left with it."""

    __slots__ = ("_room", "taken", "wake")

    def __init__(self, room: Room, wake: Callable[[], None]) -> None:
        self._room = room
        self.wake = wake
        self.taken = 0

    @property
    def left(self) -> int:
        """How many more calls of the model may begin."""
        room = self._room
        if (free := room.most - room.taken) > 0:
            return free
        users = sum(other.taken > 0 or other is self for other in room.parts)
        fair = max(1, room.most // users)
        return min(fair - self.taken, 2 * room.most - room.taken)

    def has_room(self, beside: int = 0) -> bool:
        """Whether one more may begin, `beside` so many that have slots; if not, `wake` is called
        when that may have changed."""
        if self.left > beside:
            return True
        self._room.lacks(self)
        return False

    def take(self) -> None:
        """One call begins."""
        self.taken += 1
        self._room.taken += 1

    def leave(self) -> None:
        """One call has ended."""
        self.taken -= 1
        self._room.taken -= 1
        self._room.call_back()
