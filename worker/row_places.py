"""Places for rows in flight in a process: a bound on memory that no job can take up for itself.

A job that has less than its fair part gets a place at once, even when others have taken all: their
rows may stand in it for minutes. So at most twice as many rows are in flight, and for a while.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from models import shares
from worker.jobs import JobInHand, ShardInHand


@dataclass(slots=True)
class _Part:
    """What one job has and wants."""

    job: JobInHand
    taken: int = 0
    line: deque["asyncio.Future[None]"] = field(default_factory=deque)

    @property
    def weight(self) -> int:
        """What the job counts."""
        return shares.weight(self.job.priority)

    @property
    def fill(self) -> float:
        """How far it is ahead of others, with one more place."""
        return (self.taken + 1) / self.weight


class Places:
    """So many rows at once; freed places go to the job that has least for its weight."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._taken = 0
        self._parts: dict[str, _Part] = {}

    @property
    def taken(self) -> int:
        """Rows in flight now."""
        return self._taken

    async def take(self, shard: ShardInHand) -> bool:
        """Waits for a place; False if the shard was stopped before there was one."""
        if shard.is_stopped:
            return False
        part = self._parts.setdefault(shard.job.id, _Part(shard.job))
        part.job = shard.job  # a resumed job is another one
        try:
            return await self._enter(part, shard)
        finally:
            self._forget(part)

    def give_back(self, job_id: str) -> None:
        """A row of the job has ended."""
        part = self._parts[job_id]
        self._taken -= 1
        part.taken -= 1
        self._fill()
        self._forget(part)

    async def _enter(self, part: _Part, shard: ShardInHand) -> bool:
        if not part.line and self._has_room(part):
            self._take(part)
            return True
        ready = asyncio.get_running_loop().create_future()
        part.line.append(ready)
        with shard.waiting():
            try:
                await ready
            except asyncio.CancelledError:
                self._leave(part, ready)
                raise
            return True
        return False

    def _leave(self, part: _Part, ready: "asyncio.Future[None]") -> None:
        """One does not wait any more; a place that came at the same moment goes on."""
        if ready.cancelled():
            with suppress(ValueError):  # it may have been passed over already
                part.line.remove(ready)
            return
        self._taken -= 1
        part.taken -= 1
        self._fill()

    def _has_room(self, part: _Part) -> bool:
        if self._taken < self._count:
            return True
        everybody = sum(other.weight for other in self._parts.values())
        return part.taken + 1 <= self._count * part.weight / everybody

    def _take(self, part: _Part) -> None:
        self._taken += 1
        part.taken += 1

    def _fill(self) -> None:
        """Gives what is free to who waits."""
        while part := self._next():
            if not self._has_room(part):
                return
            self._take(part)
            part.line.popleft().set_result(None)

    def _next(self) -> _Part | None:
        for part in self._parts.values():
            while part.line and part.line[0].done():
                part.line.popleft()
        waiting = [part for part in self._parts.values() if part.line]
        return min(waiting, key=lambda part: part.fill, default=None)

    def _forget(self, part: _Part) -> None:
        if not part.taken and not part.line and self._parts.get(part.job.id) is part:
            del self._parts[part.job.id]
