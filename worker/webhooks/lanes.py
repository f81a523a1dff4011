"""Who may send now: a lane for each endpoint, so that a slow one takes nobody else's place. Pure.

A lane is narrow (one attempt at a time) until its endpoint answers well and quickly, then wide;
one that hangs or fails narrows it again. An attempt that has waited for a second gives up its
place among the quick ones: however many endpoints hang, there are places for the others.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from models.store.attempts import Claimed

WIDE = 4
"""Attempts at once to an endpoint, per process."""
AHEAD = 16
"""Claimed at once for an endpoint that answers quickly: a commit for each four would be dear."""
PLACES = 64
"""Quick attempts at once, per process."""
MOST = 512
"""Attempts at once, the hanging ones with them: each holds a socket."""
REMEMBERED = 1000
"""Lanes; beyond, the empty ones are forgotten, and begin narrow again."""
QUICK_S = 1.0
FRESH_S = 8.0
"""How long after its claim an attempt may begin: it must end before the claim does."""


@dataclass(slots=True)
class Lane:
    """One endpoint in this process."""

    waiting: deque[tuple[float, Claimed]] = field(default_factory=deque)
    """With the time of the claim."""
    begun: dict[int, float] = field(default_factory=dict)
    """Attempts under way, by delivery, and since when."""
    is_quick: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.waiting or self.begun)

    def width(self, now: float) -> int:
        """How many attempts may be under way."""
        hangs = any(now - at > QUICK_S for at in self.begun.values())
        return WIDE if self.is_quick and not hangs else 1

    def room(self, now: float) -> int:
        """How many to claim; few claims are not worth a transaction while others wait."""
        wide = self.width(now) == WIDE
        held = len(self.waiting) + (len(self.begun) if not wide else 0)
        free = (AHEAD if wide else 1) - held
        return free if not wide or free >= AHEAD // 2 else 0


class Lanes:
    """All lanes of a process. `now`: any clock that only goes forward, seconds."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._turn: deque[str] = deque()

    @property
    def under_way(self) -> int:
        """Attempts that have begun and not ended."""
        return sum(len(lane.begun) for lane in self._lanes.values())

    def room(self, endpoint_ids: Iterable[str], now: float) -> dict[str, int]:
        """How many deliveries to claim for each of these endpoints; those without room are left
        out."""
        free = {name: self._lanes.get(name, Lane()).room(now) for name in endpoint_ids}
        return {name: room for name, room in free.items() if room > 0}

    def add(self, claimed: Iterable[Claimed], now: float) -> None:
        """Puts what was claimed at `now` into its lanes."""
        if len(self._lanes) > REMEMBERED:
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.is_busy}
            self._turn = deque(name for name in self._turn if name in self._lanes)
        for one in claimed:
            if one.endpoint_id not in self._lanes:
                self._lanes[one.endpoint_id] = Lane()
                self._turn.append(one.endpoint_id)
            self._lanes[one.endpoint_id].waiting.append((now, one))

    def begin(self, now: float) -> list[Claimed]:
        """What may be sent now, one of each lane in turn. What waited too long is dropped: its
        claim runs out, and it is due again."""
        places = self._places(now)
        begun: list[Claimed] = []
        idle = 0
        while len(begun) < places and idle < len(self._turn):
            name = self._turn[0]
            self._turn.rotate(-1)
            one = _next(self._lanes[name], now)
            idle = 0 if one else idle + 1
            if one:
                begun.append(one)
        return begun

    def end(self, claimed: Claimed, now: float, *, well: bool) -> None:
        """An attempt is over; `well`: it was answered with success."""
        lane = self._lanes[claimed.endpoint_id]
        took_s = now - lane.begun.pop(claimed.id)
        lane.is_quick = well and took_s <= QUICK_S

    def give_back(self) -> list[Claimed]:
        """Empties the lanes of what has not begun."""
        left = [one for lane in self._lanes.values() for _, one in lane.waiting]
        for lane in self._lanes.values():
            lane.waiting.clear()
        return left

    def _places(self, now: float) -> int:
        ages = [now - at for lane in self._lanes.values() for at in lane.begun.values()]
        quick = sum(age <= QUICK_S for age in ages)
        return min(PLACES - quick, MOST - len(ages))


def _next(lane: Lane, now: float) -> Claimed | None:
    while lane.waiting and now - lane.waiting[0][0] > FRESH_S:
        lane.waiting.popleft()
    if not lane.waiting or len(lane.begun) >= lane.width(now):
        return None
    one = lane.waiting.popleft()[1]
    lane.begun[one.id] = now
    return one
