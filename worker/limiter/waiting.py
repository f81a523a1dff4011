"""Who waits for a slot in this process, each job with its share; and the slots in hand."""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from operator import attrgetter
from typing import NamedTuple

EARLY_S = 0.002
"""Slots so near are handed out together: fewer wake-ups, well within the margin."""
LATE_S = 0.010
"""A slot used so late is still within the margin, with 5 ms left for the network."""
UNTIDY = 64
"""So many who left are kept in a line without a thought."""


@dataclass(slots=True)
class Slot:
    """The right to send one call at a moment: on the local clock, and in Redis time.

    `tokens`: what was reserved with it. `is_free`: no slot was needed.
    """

    at: float
    sent: float
    tokens: float = 0.0
    is_free: bool = False


class Flow(NamedTuple):
    """Whose calls these are: flows that wait at the same time share by weight."""

    name: str = ""
    weight: float = 1.0


ALONE = Flow()


@dataclass(slots=True, order=True)
class Waiter:
    """One call that waits. Lower `priority` goes first within its flow."""

    priority: int
    number: int
    tokens: int = field(compare=False)
    future: "asyncio.Future[Slot]" = field(compare=False)
    line: "_Line" = field(compare=False)


@dataclass(slots=True)
class _Line:
    """The waiters of one flow. `due`: the virtual time at which its next one may go."""

    due: float
    weight: float = 1.0
    heap: list[Waiter] = field(default_factory=list)
    waiting: int = 0

    def pop(self) -> Waiter | None:
        """Its next waiter; those who left are dropped on the way."""
        while self.heap:
            waiter = heapq.heappop(self.heap)
            if not waiter.future.done():
                return waiter
        return None

    def tidy(self) -> None:
        """Forgets those who left, once they are more than those who wait."""
        if len(self.heap) > 2 * self.waiting + UNTIDY:
            self.heap = [waiter for waiter in self.heap if not waiter.future.done()]
            heapq.heapify(self.heap)


class Waiters:
    """A weighted fair queue: between flows by weight, within a flow by priority, then arrival.

    Each flow has a virtual time at which its next call is due; the earliest goes, and its flow is
    due again after what the call takes, divided by the weight (start-time fair queueing). A flow
    that comes anew starts at the present virtual time: who asked for nothing has saved up nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._numbers = count()
        self._now = 0.0
        self._waiting = 0
        self._tokens = 0

    def __len__(self) -> int:
        return self._waiting

    @property
    def mean_tokens(self) -> float:
        """What one of them wants on average."""
        return self._tokens / max(1, self._waiting)

    def add(
        self, tokens: int, priority: int, future: "asyncio.Future[Slot]", flow: Flow = ALONE
    ) -> Waiter:
        """Queue one more. The flow's newest weight counts for all its waiters."""
        line = self._lines.get(flow.name)
        if line is None:
            line = self._lines[flow.name] = _Line(self._now)
        if not line.waiting:
            line.due = max(line.due, self._now)
        line.weight = flow.weight
        waiter = Waiter(priority, next(self._numbers), tokens, future, line)
        heapq.heappush(line.heap, waiter)
        line.waiting += 1
        self._waiting += 1
        self._tokens += tokens
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """One gives up before it got a slot; its future is done already."""
        self._count_out(waiter)
        waiter.line.tidy()

    def pop(self, takes: Callable[[float], float] = lambda _tokens: 1.0) -> Waiter | None:
        """The next one, or None. `takes(tokens)`: how much of the shared limit a call uses up."""
        while line := self._next_line():
            if waiter := line.pop():
                self._count_out(waiter)
                self._now = max(self._now, line.due)
                line.due += takes(waiter.tokens) / line.weight
                return waiter
        return None

    def _next_line(self) -> _Line | None:
        """The flow that is due first. Those who owe nothing and want nothing are forgotten."""
        if len(self._lines) == 1:  # one job alone, as most of the time: nothing to weigh
            (line,) = self._lines.values()
            return line if line.heap else None
        for name in [n for n, ln in self._lines.items() if not ln.heap and ln.due <= self._now]:
            del self._lines[name]
        waiting = (line for line in self._lines.values() if line.heap)
        return min(waiting, key=attrgetter("due"), default=None)

    def _count_out(self, waiter: Waiter) -> None:
        waiter.line.waiting -= 1
        self._waiting -= 1
        self._tokens -= waiter.tokens


class Slots:
    """Slots in hand, in the order of their times."""

    def __init__(self) -> None:
        self._slots: deque[Slot] = deque()

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def first_at(self) -> float | None:
        """When the next one is due, local time."""
        return self._slots[0].at if self._slots else None

    @property
    def last_at(self) -> float:
        """When the last one is due, local time; long ago if there is none."""
        return self._slots[-1].at if self._slots else 0.0

    def are_stale(self, now: float, rate: float | None) -> bool:
        """Whether those that are late by more than the margin are better lost.

        At a `rate` either they are, or all that follow are moved (reported as lateness): whichever
        costs less. Without one (only tokens are limited, which go back with them) losing is free.
        """
        first = self.first_at
        if first is None or now - first < LATE_S:
            return False
        late = sum(1 for slot in self._slots if slot.at < now - LATE_S)
        return not rate or late / rate < now - first - LATE_S

    def add(self, slot: Slot) -> None:
        """Keep one more, later than all others."""
        self._slots.append(slot)

    def give_back(self, slot: Slot) -> None:
        """Put one that was not used after all in front again."""
        self._slots.appendleft(slot)

    def take_due(self, now: float) -> Slot | None:
        """The first slot if its time has come."""
        if self._slots and self._slots[0].at <= now:
            return self._slots.popleft()
        return None

    def drop_before(self, at: float) -> float:
        """Throw away slots due before `at` (local time); the tokens reserved with them."""
        tokens = 0.0
        while self._slots and self._slots[0].at < at:
            tokens += self._slots.popleft().tokens
        return tokens
