"""Runs one shard: claim, rows, settle. A list of small steps, fenced by the shard's token.

A shard whose worker died is run with care: rows are marked before they start, in small groups
(then, the suspects, one at a time), so that a row that kills its worker is found and parked, and
the others go on. A shard that has seen no death pays nothing for this.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from celery import Celery
from sqlalchemy import Connection

from models.crashing import crash_point
from models.doorbell import ring
from models.payloads import Failed, RowInHand, RowOutcome, RowSettled, Snoozed, Submitted, Succeeded
from models.states import FailureCode, JobKind
from models.store import batches, fleet, rows, shards
from models.store import jobs as job_moves
from models.store.shards import Claim, Held
from worker.asking import Asker
from worker.database import Database
from worker.jobs import Collecting, JobInHand, Pausing, ShardInHand
from worker.ledger.ledger import Ledger
from worker.logs import bound
from worker.row_places import Places
from worker.rows import RowRun
from worker.tally import Tally

log = logging.getLogger(__name__)

STOPPING = "the worker is stopping"
YIELDED = "gave way to other jobs"
UNREADABLE = "version: the workers cannot read this job; run the version that submitted it"
CUT_AFTER_S = 3.0
"""From the calls' cut to that of the shards that still wait for the database."""
CAREFUL_GROUP = 16
DEATHS_TO_PARK = 2
"""A marked row whose worker died this often is parked (the shard's first death had no marks)."""

AT_ONCE = 16
"""Rows of one shard that begin in one turn of the loop: a millisecond's work, where all of them
would take more than the limiter's margin."""

T = TypeVar("T")
Run = Callable[[RowRun], Coroutine[Any, Any, RowOutcome]]
"""How a row of a kind is run."""
Start = Callable[[RowInHand], Coroutine[Any, Any, None]]


class Shards:
    """The shards of one process. Belongs to its event loop."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        asker: Asker,
        app: Celery,
        owner: str,
        lease_s: float,
        drain_s: float,
        rows_in_flight: int,
        pausing: Pausing,
        runs: Mapping[JobKind, Run],
    ) -> None:
        self._database = database
        self._runs_by_kind = runs
        self._ledger = ledger
        self._asker = asker
        self._app = app
        self._owner = owner
        self._lease_s = lease_s
        self._drain_s = drain_s
        self._runs: set[asyncio.Task[Any]] = set()
        self.places = Places(rows_in_flight)
        self._care = asyncio.Lock()
        self._pausing = pausing
        self.jobs: dict[str, JobInHand] = {}
        self.held: dict[Held, ShardInHand] = {}
        self._lost: set[Held] = set()
        self.full: frozenset[str] = frozenset()
        """Jobs that take no more shards here, because others wait for their share."""
        self.hushed: set[str] = set()
        """Jobs to ring for when they are not full any more."""
        self.draining = False

    async def run(self, job_id: str, no: int) -> str:
        """The whole life of one shard in this process; answers its counts."""
        if self.draining:
            await self._database.write(shards.unpublish, [(job_id, no)])
            return "the worker is stopping: left to others"
        if job_id in self.full:
            await self._database.write(shards.unpublish, [(job_id, no)])
            self.hushed.add(job_id)
            return "left open: other jobs wait for their share"
        claim = await self._database.write(self._claim, job_id, no)
        if claim is None:
            return "nothing to do: settled, stopped, or in other hands"
        crash_point("shard.claimed")
        tally = await self._run_claimed(claim)
        crash_point("shard.settled")
        await self.ring_for(job_id)
        return str(tally)

    def lose(self, held: Held) -> None:
        """The lease went to somebody else: what this process still does for it is fenced off."""
        if shard := self.held.get(held):
            self._lost.add(held)
            shard.stop("the lease was lost")

    def stop_job(self, job_id: str, reason: str) -> None:
        """Nothing new of the job starts here; its calls in flight finish."""
        if job := self.jobs.get(job_id):
            job.stop(reason)

    def yield_shards(self, job_id: str, count: int) -> None:
        """Stops `count` shards of the job, the newest first; those that stop already count."""
        if (job := self.jobs.get(job_id)) and not job.is_stopped:
            going_on = [shard for shard in job.shards if not shard.is_stopped]
            count -= len(job.shards) - len(going_on)
            for shard in going_on[::-1][: max(0, count)]:
                shard.stop(YIELDED)

    def drain(self) -> None:
        """The process is about to end: hand back what has not started."""
        self.draining = True
        for job in self.jobs.values():
            job.stop(STOPPING)
        loop = asyncio.get_running_loop()
        loop.call_later(self._drain_s, self._asker.cut)
        loop.call_later(self._drain_s + CUT_AFTER_S, self._cut_runs)

    async def ring_for(self, job_id: str) -> bool:
        """Publishes the next shards of the job's window; False: the broker took none."""
        if job_id in self.full:  # its messages would stand before those of the jobs that wait
            self.hushed.add(job_id)
            return True
        messages = await self._database.write(_next_window, job_id)
        if not messages:
            return True
        # not on the database's threads: a silent broker would hold up the heartbeats
        loop = asyncio.get_running_loop()
        rung = await loop.run_in_executor(None, ring, self._app, messages)
        if not rung:
            await self._database.write(shards.unpublish, [(m.job_id, m.no) for m in messages])
        return rung

    # -- steps ---------------------------------------------------------------------------------

    async def _run_claimed(self, claim: Claim) -> Tally:
        """Runs the rows and gives the lease back on every path, so that no death is counted."""
        held = (claim.job_id, claim.no, claim.token)
        shard, tally = None, Tally(left=1)
        task = asyncio.current_task()
        assert task is not None
        self._runs.add(task)
        try:
            shard = await self._take_in_hand(claim, held)
            if shard is not None:
                tally = await self._run_rows(shard, claim)
                crash_point("shard.worked")
        finally:
            self._runs.discard(task)
            try:
                await self._database.write(self._give_back, held, tally, shard and shard.collecting)
            finally:
                self._let_go(held)
        return tally

    def _cut_runs(self) -> None:
        """What still runs then waits for a database that does not answer."""
        for task in self._runs:
            task.cancel()

    def _claim(self, connection: Connection, job_id: str, no: int) -> Claim | None:
        claim = shards.claim(connection, job_id, no, owner=self._owner, lease_s=self._lease_s)
        if claim is not None and claim.deaths:
            rows.count_deaths(connection, job_id, no)
        return claim

    async def _take_in_hand(self, claim: Claim, held: Held) -> ShardInHand | None:
        """The shard with its job; None (and the job paused) if this version cannot read it."""
        job = self.jobs.get(claim.job_id)
        if job is None or job.is_stopped:  # a resumed job starts afresh
            try:
                job = JobInHand.of(claim, self._pausing)
            except Exception as error:  # compilers of templates, patterns, schemas: each its own
                kind = type(error).__name__
                log.error("job %s was made by another version (%s)", claim.job_id, kind)
                await self._database.write(job_moves.pause, claim.job_id, UNREADABLE)
                return None
            self.jobs[claim.job_id] = job
        shard = self.held[held] = job.take()
        if job.spec.options.via == "batch":
            shard.collecting = Collecting(
                await self._database.read(batches.known, claim.job_id, claim.no)
            )
        if self.draining:  # told to stop while the claim was under way
            job.stop(STOPPING)
        return shard

    def _let_go(self, held: Held) -> None:
        shard = self.held.pop(held, None)
        self._lost.discard(held)
        if shard is None:
            return
        job = shard.job
        job.shards.remove(shard)
        if not job.shards and self.jobs.get(job.id) is job:
            del self.jobs[job.id]

    async def _run_rows(self, shard: ShardInHand, claim: Claim) -> Tally:
        tally = Tally()
        found = await self._database.read(rows.open_of_shard, claim.job_id, claim.no)
        for group in _groups(found, claim.deaths):
            start = partial(self._run_row, shard, claim, tally)
            if claim.deaths:
                await self._run_with_care(shard.job, group, start)
            else:
                await _gather(start, group)
        return tally

    async def _run_with_care(
        self, job: JobInHand, group: Sequence[RowInHand], start: Start
    ) -> None:
        """One such group at a time in a process: who is in hand at a death is rightly suspected."""
        async with self._care:
            await self._mark(job, group, in_hand=True)
            await _gather(start, group)
            await self._mark(job, group, in_hand=False)

    async def _mark(self, job: JobInHand, group: Sequence[RowInHand], *, in_hand: bool) -> None:
        numbers = [row.seq for row in group]
        await self._database.write(rows.mark_in_hand, job.id, numbers, in_hand=in_hand)

    async def _run_row(
        self, shard: ShardInHand, claim: Claim, tally: Tally, row: RowInHand
    ) -> None:
        run = RowRun(shard, row, self._asker)
        if await self.places.take(shard):
            try:
                outcome = await self._outcome(shard, claim, run)
            finally:
                self.places.give_back(claim.job_id)
        else:
            outcome = Snoozed(shard.stop_reason)
        if isinstance(outcome, Snoozed | Submitted):
            tally.left += isinstance(outcome, Snoozed)
            tally.submitted += isinstance(outcome, Submitted)
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

    async def _outcome(self, shard: ShardInHand, claim: Claim, run: RowRun) -> RowOutcome:
        if shard.is_stopped or (claim.job_id, claim.no, claim.token) in self._lost:
            return Snoozed(shard.stop_reason or "the lease was lost")
        if run.row.deaths >= DEATHS_TO_PARK:
            return Failed(FailureCode.POISON, f"the worker died {run.row.deaths + 1} times with it")
        try:
            return await self._runs_by_kind[shard.job.kind](run)
        except Exception as error:
            with bound(row=run.row.seq):
                log.exception("the row failed by an error of ours")
            return Failed(FailureCode.INTERNAL, f"{type(error).__name__}: see the worker's log")

    def _give_back(
        self, connection: Connection, held: Held, tally: Tally, collecting: Collecting | None
    ) -> None:
        """Settles the shard, parks it with what its rows wait for, or hands it back."""
        job_id, no, _token = held
        if tally.submitted and not tally.left:
            wanted = list(collecting.wanted.values()) if collecting else []
            is_done = batches.park(connection, held, wanted)
        else:
            is_done = not tally.left and shards.settle(connection, held)
            if is_done and collecting:
                batches.forget(connection, job_id, no)
        if not is_done:
            shards.hand_back(connection, held)
        if not is_done or tally.submitted:
            rows.unmark(connection, job_id, no)


def _groups(found: list[RowInHand], deaths: int) -> list[list[RowInHand]]:
    """All rows at once; after a death in small groups, and those who were in hand then alone."""
    if not deaths:
        return [found] if found else []
    fresh = [row for row in found if not row.deaths]
    groups = [fresh[at : at + CAREFUL_GROUP] for at in range(0, len(fresh), CAREFUL_GROUP)]
    return groups + [[row] for row in found if row.deaths]


def _next_window(connection: Connection, job_id: str) -> list[Any]:
    return shards.take_window(connection, job_id, slots=fleet.slots(connection))


async def _gather(start: Start, group: Sequence[RowInHand]) -> None:
    """All rows to their end, whatever becomes of one; then the first unforeseen error, if any.

    They begin a few at a time: beginning takes CPU, and meanwhile no call is sent at its time.
    """
    tasks: list[asyncio.Task[None]] = []
    try:
        for row in group:
            tasks.append(asyncio.create_task(start(row)))
            if len(tasks) % AT_ONCE == 0:
                await asyncio.sleep(0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    for result in ended:
        if isinstance(result, BaseException):
            raise result
