"""Spends a job's budget: every call stakes its cautious price before it is made.

A process holds a part of the budget (`models/store/money.py`) and spends of it without asking. In
its purse money is `free`, or `out`: staked on a call, or paid and not committed yet. More is asked
for off the loop before the free part is used up. When nothing is granted, nothing is out here and
nobody else holds any, the budget is reached: the job is paused. Jobs without one never get here.
"""

import asyncio
import heapq
import logging
import time
from collections.abc import Awaitable, Callable, Set
from itertools import count
from typing import Any

from models.errors import MaestraleError
from models.store import money
from models.store.money import Grant
from worker.caution import Caution, Pace

log = logging.getLogger(__name__)

TTL_S = 30.0
"""A hold not renewed for so long is not counted: its process is gone (workers: their lease)."""
LAPSE = 0.7
"""What was granted such a part of that ago is not spent any more: we may have been asleep."""
RENEW_S = 2.0
AHEAD_S = 2.0
"""Money is held for so many seconds of calls at the present pace,"""
FEW_CALLS = 8
"""and for so many calls at least."""
RETRY_S = 0.25
"""How often to ask again while others hold what we need."""
REACHED = "paused: the budget is spent"

Holding = Callable[[int, int, int], Awaitable[Grant]]
"""Called with nano-USD: what may be spent already, how much more is wanted, and needed at least."""
Price = Callable[[], int]
"""A call's cautious price in nano-USD; falls while answers are seen, so it is asked late."""
Reaching = Callable[[int], Awaitable[bool]]
"""Called with what the next call needs; answers whether the job is paused for it now."""


class Stake:
    """Money set aside for one call; every call ends by `void` or `spend`."""

    __slots__ = ("_nano", "_purse")

    def __init__(self, purse: "Purse | None" = None, nano: int = 0) -> None:
        self._purse = purse
        self._nano = nano

    def void(self) -> None:
        """The call was not paid."""
        if self._purse is not None:
            self._purse.settle(self._nano, 0)

    def spend(self, cost_nano: int | None, stored: "asyncio.Future[bool] | None") -> None:
        """It cost (or, in doubt, may have cost) so much, which counts here until it is `stored`."""
        if self._purse is None:
            return
        cost = self._nano if cost_nano is None else cost_nano
        self._purse.settle(self._nano, cost)
        if stored is not None:
            stored.add_done_callback(lambda ended: self._committed(ended, cost))

    def _committed(self, stored: "asyncio.Future[bool]", cost: int) -> None:
        if self._purse is not None and not stored.cancelled():  # else the spool keeps it
            self._purse.committed(cost)


NO_STAKE = Stake()
"""Of calls whose job has no budget."""


class Purse:
    """One job's money in this process. Belongs to the event loop."""

    def __init__(
        self,
        hold: Holding,
        reach: Reaching,
        stop: Callable[[], None],
        *,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lapse_s = ttl_s * LAPSE
        self._hold = hold
        self._reach = reach
        self._stop = stop
        self._clock = clock
        self.free = 0
        self.out = 0
        self.held = 0
        """What the database has of us; at 0 it knows nothing of us."""
        self._granted_at = float("-inf")
        self._pace = Pace(clock)
        self._last_need = 0
        self._queue: list[tuple[int, int, Price, asyncio.Future[Stake]]] = []
        self._numbers = count()
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._asking: asyncio.Task[None] | None = None

    async def stake(self, price: Price, turn: int = 0) -> Stake:
        """Sets the price of a call aside, at once or when there is enough; lower turns go first."""
        need = self._last_need = price()
        if not self._queue and self._usable() >= need:
            stake = self._set_aside(need)
            if self.free < self._target() // 2 and self._clock() - self._granted_at > RETRY_S:
                self._ask()
            return stake
        waiting: asyncio.Future[Stake] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (turn, next(self._numbers), price, waiting))
        self._ask()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():
                waiting.result().void()
            raise

    def settle(self, staked_nano: int, cost_nano: int) -> None:
        """A call ended: what it did not cost is free again (or what it cost more, gone)."""
        self.out += cost_nano - staked_nano
        self.free += staked_nano - cost_nano
        self._changed.set()

    def committed(self, cost_nano: int) -> None:
        """From now on the database counts it."""
        self.out -= cost_nano
        self._changed.set()

    async def renew(self, *, is_idle: bool) -> None:
        """Keeps the hold alive and true; an idle process gives back what it does not need."""
        if is_idle:
            self.free = 0
        if self.held or self.out:
            await self._ask_for(wanted=0, needed=0)

    @property
    def is_forgettable(self) -> bool:
        """Whether nobody here needs it, and the database knows nothing of it."""
        is_asking = self._asking is not None and not self._asking.done()
        return not (self.held or self.out or self._queue or is_asking or self.free > 0)

    def _set_aside(self, nano: int) -> Stake:
        self.free -= nano
        self.out += nano
        self._pace.note(nano)
        return Stake(self, nano)

    def _usable(self) -> int:
        if self._clock() - self._granted_at > self._lapse_s:
            self.free = min(0, self.free)
        return self.free

    def _target(self) -> int:
        return max(int(self._pace.per_s() * AHEAD_S), FEW_CALLS * self._last_need)

    def _ask(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._fill())

    async def _fill(self) -> None:
        """Asks until everybody who waits is served, the budget is reached, or nobody waits."""
        while True:
            try:
                if await self._fill_once():
                    return
            except MaestraleError as error:  # the database is away: calling stops anyway
                log.warning("no money of a budget could be asked for: %s", error)
            except Exception:  # who waits would wait for ever
                log.exception("no money of a budget could be asked for")
            await self._wait_for_a_change()

    async def _fill_once(self) -> bool:
        """One question; answers whether there is no reason to ask again."""
        needed = self._first_need()
        if needed:  # we cannot go on: what is left here may be what another lacks
            self.free = min(0, self.free)
        wanted = max(self._target(), needed * len(self._queue))
        grant = await self._ask_for(wanted=wanted, needed=needed)
        self._serve()
        if not self._queue:
            return True
        # nothing is under way anywhere that could give money back
        is_last = not (grant.nano or grant.others_nano or self.out)
        if is_last and await self._reach(self._first_need()):
            self._stop()
            return True
        if grant.nano:
            self._changed.set()  # there may be more
        return False

    async def _ask_for(self, *, wanted: int, needed: int) -> Grant:
        async with self._one_at_a_time:
            asked_at = self._clock()
            self._changed.clear()
            kept = max(0, self.out + self.free)
            grant = await self._hold(kept, wanted, needed)
            self.held = kept + grant.nano
            self._granted_at = asked_at
            self.free += grant.nano
            return grant

    def _serve(self) -> None:
        while (need := self._first_need()) and self._usable() >= need:
            *_, waiting = heapq.heappop(self._queue)
            waiting.set_result(self._set_aside(need))

    def _first_need(self) -> int:
        """What the first who waits needs, as it is known now; 0: nobody waits any more."""
        while self._queue and self._queue[0][3].done():
            heapq.heappop(self._queue)
        return max(1, self._queue[0][2]()) if self._queue else 0

    async def _wait_for_a_change(self) -> None:
        await asyncio.sleep(RETRY_S / 10)  # at most so many questions a second
        try:
            await asyncio.wait_for(self._changed.wait(), RETRY_S)
        except TimeoutError:
            return


class Purses:
    """The purses of one process, by job. `write` runs a function in one transaction."""

    def __init__(
        self,
        write: Callable[..., Awaitable[Any]],
        stop: Callable[[str, str], None],
        owner: str,
        *,
        ttl_s: float = TTL_S,
    ) -> None:
        self._write = write
        self._stop = stop
        self._owner = owner
        self._ttl_s = ttl_s
        self._purses: dict[str, Purse] = {}
        self._renewed_at = float("-inf")
        self.caution = Caution()

    def of(self, job_id: str) -> Purse:
        """The job's purse, made on first use."""
        if job_id not in self._purses:
            self._purses[job_id] = self._make(job_id)
        return self._purses[job_id]

    async def beat(self, at_work: Set[str]) -> None:
        """Renews holds every now and then; forgets the purses of jobs not `at_work` here."""
        now = time.monotonic()
        if now - self._renewed_at >= min(RENEW_S, self._ttl_s / 4):
            self._renewed_at = now
            await self._renew(at_work)

    async def close(self) -> None:
        """Gives back all that is not out; what cannot be given back runs out by itself."""
        try:
            await self._renew(frozenset())
        except MaestraleError as error:
            log.warning("held money is not given back: %s", error)

    async def _renew(self, at_work: Set[str]) -> None:
        for job_id, purse in list(self._purses.items()):
            await purse.renew(is_idle=job_id not in at_work)
            if job_id not in at_work and purse.is_forgettable:
                self._purses.pop(job_id, None)

    def _make(self, job_id: str) -> Purse:
        def stop() -> None:
            log.warning("job %s has reached its budget", job_id, extra={"job": job_id})
            self._stop(job_id, REACHED)

        async def hold(kept: int, wanted: int, needed: int) -> Grant:
            asked = (job_id, self._owner, kept, wanted, self._ttl_s)
            granted: Grant = await self._write(money.hold, *asked, needed_nano=needed)
            return granted

        async def reach(needed: int) -> bool:
            return bool(await self._write(money.reach, job_id, self._owner, needed))

        return Purse(hold, reach, stop, ttl_s=self._ttl_s)
