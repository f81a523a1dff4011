"""Runs one shard: claim, rows, settle. A list of small steps, fenced by the shard's token.

A shard whose worker died is run with care: rows are marked before they start, in small groups
(then, the suspects, one at a time), so that a row that kills its worker is found and parked, and
the others go on. A shard that has seen no death pays nothing for this.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from celery import Celery
from sqlalchemy import Connection

from models.doorbell import ring
from models.payloads import Failed, RowInHand, RowOutcome, RowSettled, Snoozed, Succeeded
from models.states import FailureCode, JobKind
from models.store import fleet, rows, shards
from models.store.engine import Store
from models.store.shards import Claim, Held
from worker.asking import Asker
from worker.jobs import JobInHand, Pausing
from worker.kinds import generate
from worker.ledger.ledger import Ledger

log = logging.getLogger(__name__)

CAREFUL_GROUP = 16
DEATHS_TO_PARK = 2
"""A marked row whose worker died this often is parked (the shard's first death had no marks)."""

T = TypeVar("T")


@dataclass(slots=True)
class Tally:
    """What became of a shard's rows, for Flower and the log."""

    done: int = 0
    failed: int = 0
    left: int = 0
    calls: int = 0
    from_ledger: int = 0
    reasons: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """Short, reasons before figures that people look up elsewhere: Flower cuts at ~45."""
        why = f" ({', '.join(sorted(self.reasons))})" if self.reasons else ""
        counts = [(self.done, " done"), (self.failed, " failed"), (self.left, " left open")]
        rows_told = ", ".join(f"{count}{word}" for count, word in counts if count) or "no open rows"
        calls = [(self.calls, " calls"), (self.from_ledger, " from the ledger")]
        return "; ".join([rows_told + why, *(f"{count}{word}" for count, word in calls if count)])


class Shards:
    """The shards of one process. Belongs to its event loop."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        asker: Asker,
        app: Celery,
        threads: Executor,
        owner: str,
        lease_s: float,
        rows_in_flight: int,
        pausing: Pausing,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._asker = asker
        self._app = app
        self._threads = threads
        self._owner = owner
        self._lease_s = lease_s
        self._places = asyncio.Semaphore(rows_in_flight)
        self._care = asyncio.Lock()
        self._pausing = pausing
        self.jobs: dict[str, JobInHand] = {}
        self.held: dict[Held, JobInHand] = {}
        self._lost: set[Held] = set()
        self.draining = False

    async def run(self, job_id: str, no: int) -> str:
        """The whole life of one shard in this process; answers its counts."""
        claim = None if self.draining else await self.write(self._claim, job_id, no)
        if claim is None:
            return "nothing to do: settled, stopped, or in other hands"
        held = (claim.job_id, claim.no, claim.token)
        job = self._take_in_hand(claim, held)
        try:
            tally = await self._run_rows(job, claim)
            await self.write(self._settle_or_hand_back, held, settled=not tally.left)
        finally:
            self._let_go(job, held)
        await self.ring_for(job_id)
        return str(tally)

    def lose(self, held: Held) -> None:
        """The lease went to somebody else: what this process still does for it is fenced off."""
        self._lost.add(held)

    def stop_job(self, job_id: str, reason: str) -> None:
        """Nothing new of the job starts here; its calls in flight finish."""
        if job := self.jobs.get(job_id):
            job.stop(reason)

    def drain(self) -> None:
        """The process is about to end: hand back what has not started."""
        self.draining = True
        for job in self.jobs.values():
            job.stop("the worker is stopping")

    async def write(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Runs `function(connection, ...)` in one transaction, off the loop."""
        call = partial(self._in_transaction, function, *args, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def ring_for(self, job_id: str) -> None:
        """Publishes the next shards of the job's window."""
        messages = await self.write(_next_window, job_id)
        if not messages:
            return
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._threads, ring, self._app, messages):
            await self.write(shards.unpublish, messages)

    # -- steps ---------------------------------------------------------------------------------

    def _in_transaction(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        with self._store.write() as connection:
            return function(connection, *args, **named)

    def _claim(self, connection: Connection, job_id: str, no: int) -> Claim | None:
        claim = shards.claim(connection, job_id, no, owner=self._owner, lease_s=self._lease_s)
        if claim is not None and claim.deaths:
            rows.count_deaths(connection, job_id, no)
        return claim

    def _take_in_hand(self, claim: Claim, held: Held) -> JobInHand:
        job = self.jobs.get(claim.job_id)
        if job is None or job.is_stopped:  # a resumed job starts afresh
            job = self.jobs[claim.job_id] = JobInHand.of(claim, self._pausing)
        job.shards += 1
        self.held[held] = job
        return job

    def _let_go(self, job: JobInHand, held: Held) -> None:
        self.held.pop(held, None)
        self._lost.discard(held)
        job.shards -= 1
        if not job.shards and self.jobs.get(job.id) is job:
            del self.jobs[job.id]

    async def _run_rows(self, job: JobInHand, claim: Claim) -> Tally:
        tally = Tally()
        found = await self.write(rows.open_of_shard, claim.job_id, claim.no)
        for group in _groups(found, claim.deaths):
            running = [self._run_row(job, claim, row, tally) for row in group]
            await (self._run_with_care(job, group, running) if claim.deaths else _gather(running))
        return tally

    async def _run_with_care(
        self,
        job: JobInHand,
        group: Sequence[RowInHand],
        running: Sequence[Coroutine[Any, Any, None]],
    ) -> None:
        """One such group at a time in a process: who is in hand at a death is rightly suspected."""
        async with self._care:
            await self._mark(job, group, in_hand=True)
            await _gather(running)
            await self._mark(job, group, in_hand=False)

    async def _mark(self, job: JobInHand, group: Sequence[RowInHand], *, in_hand: bool) -> None:
        numbers = [row.seq for row in group]
        await self.write(rows.mark_in_hand, job.id, numbers, in_hand=in_hand)

    async def _run_row(self, job: JobInHand, claim: Claim, row: RowInHand, tally: Tally) -> None:
        async with self._places:
            run = generate.RowRun(job, row, self._asker)
            outcome = await self._outcome(job, claim, run)
        if isinstance(outcome, Snoozed):
            tally.left += 1
            tally.reasons.add(outcome.reason)
            return
        from_ledger = sum(asked.from_ledger for _, asked in run.calls)
        retried = sum(asked.retried for _, asked in run.calls)
        stored = await self._ledger.settle_row(
            RowSettled(claim.job_id, claim.no, claim.token, row.seq, outcome, from_ledger, retried)
        )
        tally.calls += len(run.calls) - from_ledger
        tally.from_ledger += from_ledger
        tally.left += not stored
        tally.done += stored and isinstance(outcome, Succeeded)
        tally.failed += stored and isinstance(outcome, Failed)
        if isinstance(outcome, Failed):
            tally.reasons.add(outcome.code)

    async def _outcome(self, job: JobInHand, claim: Claim, run: generate.RowRun) -> RowOutcome:
        if job.is_stopped or (claim.job_id, claim.no, claim.token) in self._lost:
            return Snoozed(job.stop_reason or "the lease was lost")
        if run.row.deaths >= DEATHS_TO_PARK:
            return Failed(FailureCode.POISON, f"the worker died {run.row.deaths + 1} times with it")
        try:
            return await RUNS[job.kind](run)
        except Exception as error:
            log.exception("row %s of %s", run.row.seq, job.id, extra={"job": job.id})
            return Failed(FailureCode.INTERNAL, f"{type(error).__name__}: see the worker's log")

    def _settle_or_hand_back(self, connection: Connection, held: Held, *, settled: bool) -> None:
        if not (settled and shards.settle(connection, held)):
            shards.hand_back(connection, held)


RUNS: dict[JobKind, Callable[[generate.RowRun], Coroutine[Any, Any, RowOutcome]]] = {
    JobKind.GENERATE: generate.run_row,
}


def _groups(found: list[RowInHand], deaths: int) -> list[list[RowInHand]]:
    """All rows at once; after a death in small groups, and those who were in hand then alone."""
    if not deaths:
        return [found] if found else []
    fresh = [row for row in found if not row.deaths]
    groups = [fresh[at : at + CAREFUL_GROUP] for at in range(0, len(fresh), CAREFUL_GROUP)]
    return groups + [[row] for row in found if row.deaths]


def _next_window(connection: Connection, job_id: str) -> list[Any]:
    return shards.take_window(connection, job_id, slots=fleet.slots(connection))


async def _gather(rows_running: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All rows to their end, whatever becomes of one; then the first unforeseen error, if any."""
    ended = await asyncio.gather(*rows_running, return_exceptions=True)
    for result in ended:
        if isinstance(result, BaseException):
            raise result
