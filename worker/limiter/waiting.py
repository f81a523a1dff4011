"""Who waits for a slot in this process, by priority and then by arrival; and the slots in hand."""

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count


@dataclass(slots=True)
class Slot:
    """The right to send one call at a moment: on the local clock, and in Redis time.

    `tokens`: what was reserved with it. `is_free`: no slot was needed.
    """

    at: float
    sent: float
    tokens: float = 0.0
    is_free: bool = False


@dataclass(slots=True, order=True)
class Waiter:
    """One call that waits. Lower `priority` goes first."""

    priority: int
    number: int
    tokens: int = field(compare=False)
    future: "asyncio.Future[Slot]" = field(compare=False)


class Waiters:
    """A queue of waiters; one that was cancelled is passed over."""

    def __init__(self) -> None:
        self._heap: list[Waiter] = []
        self._numbers = count()
        self._tokens = 0
        self._gone = 0

    def __len__(self) -> int:
        return len(self._heap) - self._gone

    @property
    def mean_tokens(self) -> float:
        """What one of them wants on average."""
        return self._tokens / max(1, len(self))

    def add(self, tokens: int, priority: int, future: "asyncio.Future[Slot]") -> Waiter:
        """Queue one more."""
        waiter = Waiter(priority, next(self._numbers), tokens, future)
        heapq.heappush(self._heap, waiter)
        self._tokens += tokens
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """One gives up before it got a slot; its future is done already."""
        self._gone += 1
        self._tokens -= waiter.tokens

    def pop(self) -> Waiter | None:
        """The next one, or None."""
        while self._heap:
            waiter = heapq.heappop(self._heap)
            if not waiter.future.done():
                self._tokens -= waiter.tokens
                return waiter
            self._gone -= 1
        return None


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

    def count_before(self, at: float) -> int:
        """How many are due before `at`."""
        return sum(1 for slot in self._slots if slot.at < at)
