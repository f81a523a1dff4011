"""The clock's hand for remote work: claims what is due, takes one step of each, plans the next.

Nothing here waits for a remote job: an operation is in hand for one step (send, look, fetch), and
then stands in the database until it is due again. Any number of processes may do this at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from sqlalchemy import Connection

from models.errors import MaestraleError
from models.states import JobState, RemoteState
from models.store import batches, fleet, jobs, remote
from models.store.remote import InHand
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import GONE
from worker.logs import bound
from worker.remote.outcomes import Fetched, Handler, Later, Refused, Seen, Sent
from worker.remote.schedule import FIRST_S, TOO_MANY_FAILURES, next_look_s
from worker.remote.statuses import OVER, Standing

log = logging.getLogger(__name__)

HOLD_S = 30.0
"""A claim lives so long without being renewed: then its process is taken for dead."""
AT_ONCE = 4
YOUNG_S = 60.0
"""A remote job so young may not be known everywhere over there: it is asked about again."""
LASTING = frozenset({FaultKind.REJECTED, FaultKind.ACCOUNT, FaultKind.MONEY})
"""Asking again does not help: the job pauses, and says why."""

Do = Callable[..., Awaitable[Any]]


class Operations:
    """The remote operations that one process has in hand. Belongs to its event loop."""

    def __init__(
        self,
        *,
        write: Do,
        read: Do,
        ring_for: Do,
        handlers: Mapping[str, Handler],
        random: Random,
    ) -> None:
        self._write = write
        self._read = read
        self._ring_for = ring_for
        self._handlers = handlers
        self._random = random
        self._in_hand: dict[str, asyncio.Task[None]] = {}
        self._ending: set[str] = set()
        self._closed = False

    async def turn(self) -> None:
        """Opens and cuts for the jobs that wait; takes what is due into hand, if hands are free."""
        waiting, due = await self._read(remote.stirring)
        if waiting and await self._write(_claim_turn):
            await self._move_jobs_on()
        if waiting or due:
            await self._take()

    async def _move_jobs_on(self) -> None:
        for job_id in await self._write(batches.open_ready):
            await self._ring_for(job_id)
        for job_id in await self._read(batches.jobs_at_rest):
            for op_id in await self._write(batches.cut, job_id):
                log.info("job %s: batch %s is to be sent", job_id, op_id)

    async def _take(self) -> None:
        free = AT_ONCE - len(self._in_hand)
        if free <= 0 or self._closed:
            return
        busy = list(self._in_hand)
        for hand in await self._write(remote.claim_due, hold_s=HOLD_S, limit=free, busy=busy):
            self._in_hand[hand.op.id] = asyncio.create_task(self._run(hand))

    async def close(self) -> None:
        """Cuts what is in hand: its claim runs out, and another process repeats the step."""
        self._closed = True
        tasks = list(self._in_hand.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, hand: InHand) -> None:
        """One step, with the claim renewed while it lasts."""
        step = asyncio.current_task()
        assert step is not None
        keeper = asyncio.create_task(self._keep(hand, step))
        with bound(job=hand.op.job_id, operation=hand.op.id):
            try:
                await self._step(hand)
            except MaestraleError as error:
                log.warning("an operation waits for its next turn: %s", error)
            except Exception:
                log.exception("an operation failed by an error of ours: it is tried again")
            finally:
                keeper.cancel()
                self._in_hand.pop(hand.op.id, None)
                self._ending.discard(hand.op.id)

    async def _keep(self, hand: InHand, step: "asyncio.Task[None]") -> None:
        while True:
            await asyncio.sleep(HOLD_S / 3)
            try:
                is_ours = await self._write(remote.renew, hand.op, hold_s=HOLD_S)
            except MaestraleError:  # the database is away: so it is for all others
                continue
            if hand.op.id in self._ending:  # it is over: nobody else takes it
                return
            if not is_ours:
                step.cancel()  # another process has it: what we still write is fenced off
                return

    async def _step(self, hand: InHand) -> None:
        handler = self._handlers[hand.op.kind]
        match RemoteState(hand.op.state):
            case RemoteState.SENDING:
                await self._send(handler, hand)
            case RemoteState.RUNNING:
                await self._look(handler, hand)
            case _:
                await self._fetch(handler, hand)

    async def _send(self, handler: Handler, hand: InHand) -> None:
        op = hand.op
        if hand.job_state == JobState.PAUSED:
            await self._write(remote.put_off, op, next_s=FIRST_S)
            return
        answer = await handler.send(hand)
        match answer:
            case Sent(job):
                log.info("remote %s %s is there: %s", op.kind, job.id, job.status)
                moved = {"remote_id": job.id, "status": job.status, "answer": job.answer}
                await self._write(remote.sent, op, **moved, next_s=FIRST_S)
            case Later(after_s, reason):
                await self._write(remote.put_off, op, next_s=after_s, reason=reason)
            case Refused(reason):
                is_given_up = hand.job_state == JobState.CANCELLED
                over = RemoteState.CANCELLED if is_given_up else RemoteState.FAILED
                await self._end(handler, hand, Fetched(over, reason))
            case Fault():
                await self._failed(hand, answer)

    async def _look(self, handler: Handler, hand: InHand) -> None:
        if hand.job_state == JobState.CANCELLED:
            refused = await handler.cancel(hand)
            if refused is not None:
                log.info("the provider did not take the cancellation: %s", refused.message)
        answer = await handler.look(hand)
        if isinstance(answer, Seen):
            await self._note(hand, answer)
        elif answer.status not in GONE:
            await self._failed(hand, answer)
        elif await self._read(remote.age_s, hand.op) > YOUNG_S:
            await self._end(handler, hand, _FORGOTTEN)
        else:  # or does not know it yet: nothing for a human to mend
            await self._failed(hand, replace(answer, kind=FaultKind.TRANSIENT))

    async def _note(self, hand: InHand, answer: Seen) -> None:
        is_over = answer.standing in OVER
        age_s = await self._read(remote.age_s, hand.op)
        word = answer.job.status[:60]
        unknown = f"the provider says {word!r}, which is not known here: it is asked again"
        await self._write(
            remote.seen,
            hand.op,
            status=answer.job.status,
            answer=answer.job.answer,
            next_s=0.0 if is_over else next_look_s(age_s, self._random),
            is_over=is_over,
            was_cancelled=hand.job_state == JobState.CANCELLED,
            reason=unknown if answer.standing == Standing.UNKNOWN else "",
        )

    async def _fetch(self, handler: Handler, hand: InHand) -> None:
        answer = await handler.fetch(hand)
        if isinstance(answer, Fetched):
            await self._end(handler, hand, answer)
        elif answer.status in GONE:
            await self._end(handler, hand, _FORGOTTEN)
        else:
            await self._failed(hand, answer)

    async def _end(self, handler: Handler, hand: InHand, answer: Fetched) -> None:
        log.info("remote %s %s %s", hand.op.kind, answer.state, answer.reason or "(all stored)")
        self._ending.add(hand.op.id)
        await handler.end(hand, answer)

    async def _failed(self, hand: InHand, fault: Fault) -> None:
        """Plans the next try; pauses the job when asking again does not help."""
        failures = hand.op.check_failures + 1
        next_s = next_look_s(
            0.0, self._random, failures=failures, retry_after_s=fault.retry_after_s
        )
        log.warning("remote %s: %s", hand.op.kind, fault.message)
        await self._write(remote.failed_look, hand.op, reason=fault.message, next_s=next_s)
        if fault.kind in LASTING or failures >= TOO_MANY_FAILURES:
            await self._write(jobs.pause, hand.op.job_id, f"{fault.kind}: {fault.message}")


_FORGOTTEN = Fetched(RemoteState.FAILED, "the provider does not know it any more", is_lost=True)


def _claim_turn(connection: Connection) -> bool:
    """One process a second moves jobs on."""
    return fleet.claim_hand(connection, "remote", every_s=0.9)
