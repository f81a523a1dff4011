"""One model in one process: who waits, the slots in hand, and the task that asks for more."""

import asyncio
from collections.abc import Callable
from random import Random

from models.limits import Limit
from worker.limiter import beliefs
from worker.limiter.alarm import Alarm
from worker.limiter.beliefs import MARGIN, Belief, Pace
from worker.limiter.counting import Passed
from worker.limiter.fallback import Reservations
from worker.limiter.feedback import Feedback
from worker.limiter.outlook import Outlook
from worker.limiter.permit import Permit
from worker.limiter.portion import AHEAD_S, Portion, Right
from worker.limiter.room import Room
from worker.limiter.shared import Ask, Grant
from worker.limiter.timing import ServerClock
from worker.limiter.usage import ModelUse
from worker.limiter.waiting import EARLY_S, LATE_S, Flow, Slot, Slots, Waiter, Waiters

LEAD_S = 0.05
"""The next block is asked for so long before the last slot in hand."""
BLOCK_S = 0.1
LARGEST_BLOCK = 50
CALL_GAP_S = 0.01
"""Shortest time between two calls to Redis: gathers callers into blocks."""
SIGN_S = 1.0
"""A process in use shows itself, and hears of the others, at least so often."""
RESTLESS_S = 0.1
"""The same while the rate is about to change."""

Learnt = Callable[[str, Limit], None]


class Pacer:
    """Hands the slots of one model to its callers, to each flow its share."""

    def __init__(
        self,
        model: str,
        told: Limit | None,
        seed: Belief,
        reservations: Reservations,
        server: ServerClock,
        processes: int,
        random: Random,
        on_learnt: Learnt | None,
        portion: Portion,
        room: Room,
    ) -> None:
        self.model, self._told, self._random = model, told, random
        self._reservations, self._server, self._processes = reservations, server, processes
        self._on_learnt = on_learnt
        self._loop = asyncio.get_running_loop()
        self._outlook, self._alarm = Outlook(seed), Alarm()
        self._poke = self._alarm.poke
        self._feedback = Feedback(self._outlook, told, random, self._measured, self._poke)
        self._waiters, self._slots = Waiters(), Slots()
        self._room = room.part(self._room_came)
        self._granted, self._waited_s, self._is_closed = 0, 0.0, False
        self._passed, self._right = Passed(), Right(portion)
        self._last: Grant | None = None
        self._last_call = self._ask_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._pace_of: tuple[Belief, Pace] | None = None
        self._task = self._loop.create_task(self._run(), name=f"limiter {model}")
        reservations.on_return(self._poke)

    # What callers use

    async def acquire(self, tokens: int, priority: int, flow: Flow) -> Permit:
        """A permit, once its time has come."""
        slot = self._free_slot() or await self._wait(tokens, priority, flow)
        self._granted += 1
        self._feedback.in_flight += 1
        if self._feedback.in_flight == 1:
            self._poke()
        if not slot.is_free:
            self._feedback.report.settled += tokens - slot.tokens
        return Permit(self._feedback, slot, tokens, self._room)

    def snapshot(self) -> ModelUse:
        """What is going on, for metrics and the dashboard."""
        now, pace = self._loop.time(), self._pace()
        held = self._server.to_local(self._last.held_until) - now if self._last else 0.0
        return ModelUse(
            model=self.model,
            limit=pace.limit,
            rate=pace.rate,
            hold_s=max(0.0, held),
            circuit_level=self._feedback.level,
            waiting=len(self._waiters),
            in_flight=self._feedback.in_flight,
            granted=self._granted,
            refusals=self._feedback.refusals,
            waited_s=self._waited_s,
            processes=self._processes,
            redis_away=self._reservations.is_away,
        )

    async def close(self) -> None:
        """Stop; whoever still waits is cancelled. The other processes learn that we left."""
        self._is_closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._timer:
            self._timer.cancel()
        while waiter := self._waiters.pop():
            waiter.future.cancel()
        if self._last and not self._reservations.is_away:
            await self._reservations.reserve(
                self.model, self._compose(0, sign=-1)[0], self._now(), self._processes
            )

    # Waiting

    async def _wait(self, tokens: int, priority: int, flow: Flow) -> Slot:
        since = self._loop.time()
        waiter = self._waiters.add(tokens, priority, self._loop.create_future(), flow)
        self._hand_out()
        if self._wanted() == 1:
            self._poke()
        try:
            slot = await waiter.future
        except asyncio.CancelledError:
            self._give_up(waiter)
            raise
        now = self._loop.time()
        self._waited_s += now - since
        late = now - slot.at - LATE_S
        if late > self._feedback.report.late_s and not slot.is_free:
            self._feedback.report.late_s = late
        return slot

    def _give_up(self, waiter: Waiter) -> None:
        if waiter.future.done() and not waiter.future.cancelled():
            self._slots.give_back(waiter.future.result())
            self._room.leave()
            self._hand_out()
        else:
            self._waiters.leave(waiter)

    def _free_slot(self) -> Slot | None:
        """A slot without asking: nothing limits this model."""
        if not self._is_free() or len(self._waiters) or not self._room.has_room():
            return None
        self._room.take()
        now = self._loop.time()
        sent = self._server.to_server(now)
        self._passed.note_free(sent, self._granted + 1)
        if now - self._last_call > SIGN_S:
            self._poke()
        return Slot(now, sent, is_free=True)

    def _is_free(self) -> bool:
        pace, last = self._pace(), self._last
        if pace.rate is not None or pace.token_rate is not None or self._feedback.level:
            return False
        if self._reservations.is_away and pace.found_free:
            return False
        return last is not None and self._server.to_local(last.held_until) <= self._loop.time()

    def _wanted(self) -> int:
        """Slots to ask for: none while there is no room for the calls."""
        wanted = len(self._waiters) - len(self._slots)
        return wanted if wanted <= 0 or self._room.has_room(len(self._slots)) else 0

    def _room_came(self) -> None:
        if self._waiters:
            if self._is_free():
                self._free_all()
            self._hand_out()
            self._poke()

    # Handing out

    def _hand_out(self) -> None:
        """Give every slot that is due to the next waiter, and come back for the next one."""
        now = self._loop.time()
        self._drop_stale(now)
        while self._may_go() and (slot := self._slots.take_due(now + EARLY_S)):
            waiter = self._waiters.pop(self._pace().takes_s)
            if waiter is None:
                self._slots.give_back(slot)
                break
            self._let_go(waiter, slot)
        self._set_timer()

    def _may_go(self) -> bool:
        return bool(self._waiters) and self._room.has_room()

    def _let_go(self, waiter: Waiter, slot: Slot) -> None:
        self._room.take()
        waiter.future.set_result(slot)

    def _drop_stale(self, now: float) -> None:
        """After a stall, or where others took the room; what nobody waits for in any case."""
        if self._slots.are_stale(now, self._pace().rate if self._waiters else None):
            self._feedback.report.settled -= self._slots.drop_before(now - LATE_S)
            self._poke()

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        first = self._slots.first_at
        if first is not None and self._may_go():
            self._timer = self._loop.call_at(first, self._hand_out)

    # Asking

    async def _run(self) -> None:
        while not self._is_closed:  # the client may swallow a cancellation that meets an answer
            await self._alarm.until(self._due_at)
            self._last_call = self._loop.time()
            ask, proposed, pending = self._compose(self._block(), sign=1)
            sent = self._loop.time()
            grant = await self._reservations.reserve(self.model, ask, self._now(), self._processes)
            if not grant.is_local:
                self._server.observe(sent, grant.now, self._loop.time())
            self._absorb(grant, proposed, pending)
            self._stock(grant, ask)

    def _due_at(self) -> float | None:
        """When Redis is to be asked next (local time); None: not before something happens."""
        soonest = self._last_call + CALL_GAP_S
        if self._feedback.report.is_urgent:
            return soonest
        if self._wanted() > 0:
            due = max(soonest, self._ask_at, self._slots.last_at - LEAD_S)
            return min(due, self._last_call + (RESTLESS_S if self._is_restless() else SIGN_S))
        if self._feedback.in_flight > 0:
            return self._last_call + SIGN_S
        return None

    def _is_restless(self) -> bool:
        search = self._outlook.now.search
        return self._feedback.level > 0 or search.ceiling is not None or self._pace().limit is None

    def _block(self) -> int:
        """How many slots to ask for: a tenth of a second's share, when the time has come."""
        if self._wanted() <= 0 or self._slots.last_at - LEAD_S > self._loop.time() + CALL_GAP_S:
            return 0
        rate = self._pace().rate
        part = self._right.part(self._processes, modest=self._right.is_used_up(self._loop.time()))
        share = LARGEST_BLOCK if rate is None else int(rate * BLOCK_S * part)
        room = self._room.left - len(self._slots)
        return min(self._wanted(), room, max(1, min(LARGEST_BLOCK, share)))

    def _compose(self, slots: int, *, sign: int) -> tuple[Ask, Belief, int]:
        """The call, with the belief proposed in it and the number of pending changes in that."""
        proposed, pending = self._grown(), self._outlook.pending_count()
        pace = beliefs.pace(self._told, proposed)
        report, last = self._feedback.take_report(), self._last
        ask = Ask(
            slots=slots,
            tokens=self._waiters.mean_tokens,
            settled=report.settled,
            version=self._outlook.version,
            proposes=self._outlook.differs(proposed),
            belief=proposed.to_json(),
            rate=pace.rate,
            token_rate=pace.token_rate,
            hold=max(report.hold, self._outlook.hold_until(proposed)),
            refused=report.refused,
            late_s=report.late_s,
            trip_s=report.trip_s,
            trip_sent=report.trip_sent,
            answered_sent=report.answered_sent,
            probe_back=report.probe_back,
            known_tat=last.tat if last else 0.0,
            known_ttat=last.ttat if last else 0.0,
            sign=sign,
            is_modest=self._right.is_used_up(self._loop.time()),
            is_free=pace.rate is None and not pace.found_free,
        )
        return ask, proposed, pending

    def _grown(self) -> Belief:
        """The belief, moved on if calls wait for the pace and answers come."""
        if not self._feedback.answered or self._wanted() <= 0:
            return self._outlook.now
        return beliefs.advanced(self._outlook.now, self._now(), self._told)

    def _absorb(self, grant: Grant, proposed: Belief, pending: int) -> None:
        if grant.belief is not None:
            self._outlook.adopt(Belief.from_json(grant.belief), grant.version)
        elif not grant.is_local:
            self._outlook.confirm(proposed, pending, grant.version)
            if pending:
                self._tell()
        self._note(grant)

    def _stock(self, grant: Grant, ask: Ask) -> None:
        now, pace = self._loop.time(), self._pace()
        soonest = 0.0 if pace.rate else now  # of a limit on tokens none is late as it comes
        for start in grant.starts:
            at = max(soonest, self._server.to_local(start))
            self._slots.add(Slot(at, start, ask.tokens))
        takes_s = len(grant.starts) * pace.takes_s(ask.tokens)
        self._right.use(now, takes_s, modest=ask.is_modest)
        if ask.is_modest and not grant.starts:
            self._ask_at = min(self._ask_at, self._right.due_at(now) - AHEAD_S)
        self._hand_out()
        if self._is_free():
            self._free_all()

    def _note(self, grant: Grant) -> None:
        now = self._loop.time()
        if grant.level > self._feedback.level:
            self._feedback.opened(grant.now)
        self._feedback.level = grant.level
        self._processes = grant.processes
        self._passed.note(grant)
        held = self._server.to_local(grant.held_until)
        if held > now:
            self._feedback.report.settled -= self._slots.drop_before(held)
        self._ask_at = now + grant.wait_s + self._random.uniform(0, min(0.05, grant.wait_s))
        self._last = grant

    def _free_all(self) -> None:
        now = self._loop.time()
        while self._may_go() and (waiter := self._waiters.pop(self._pace().takes_s)):
            self._let_go(waiter, Slot(now, self._server.to_server(now), is_free=True))

    def _measured(self, at: float) -> float:
        """Calls let through in the second before `at` (Redis time), by all processes."""
        if self._pace().rate is None:
            return self._passed.free_in_second_before(at) * self._processes
        return self._passed.in_second_before(at)

    def _pace(self) -> Pace:
        belief = self._outlook.now
        if self._pace_of is None or self._pace_of[0] is not belief:
            self._pace_of = belief, beliefs.pace(self._told, belief)
        return self._pace_of[1]

    def _now(self) -> float:
        return self._server.to_server(self._loop.time())

    def _tell(self) -> None:
        limit = self._pace().limit
        if self._on_learnt and limit and limit.source != "told":
            self._on_learnt(self.model, limit)


assert 1 / MARGIN - 1 > LATE_S, "the margin of one second must hold a late slot"
