"""The clock: heartbeats, control, and the sweep that re-sends what has no live lease.

Every worker process has one, and beat rings it too: duties are claimed by a guarded update, so
any number of clocks is harmless, and none is needed beside the workers.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from celery import Celery
from sqlalchemy import Connection

from models.doorbell import queued
from models.errors import MaestraleError
from models.settings import Settings
from models.states import WORKABLE
from models.store import fleet, jobs, shards
from worker.database import Database
from worker.ledger.adoption import adopt_orphans
from worker.ledger.claims import REFRESH_S
from worker.ledger.ledger import Ledger
from worker.money import Purses
from worker.remote.operations import Operations
from worker.shards import Shards
from worker.sharing import Sharing
from worker.signs import Signs

log = logging.getLogger(__name__)

CONTROL_S = 1.0
"""How often a process asks whether its jobs may go on: pause and cancel act within 2 s."""
SWEEP_S = 5.0
MOMENT_S = 1.0
"""A sweep may be late by this."""
ADOPT_S = 2.0
REMOTE_S = 1.0
"""How often a process looks whether remote work is due; nothing due is one read."""
SIGN_S = 5.0
FORGET_AFTER_S = 600.0
"""A message out this long is sent again whatever the broker says."""


class Clock:
    """The periodic duties of one process."""

    def __init__(
        self,
        settings: Settings,
        shards_here: Shards,
        ledger: Ledger,
        database: Database,
        app: Celery,
        owner: str,
        purses: Purses,
        sharing: Sharing,
        signs: Signs,
        operations: Operations,
    ) -> None:
        self._settings = settings
        self._shards = shards_here
        self._ledger = ledger
        self._database = database
        self._app = app
        self._owner = owner
        self._purses = purses
        self._sharing = sharing
        self._signs = signs
        self._operations = operations
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Starts the duties; the first sign of life is given before any work.

        What the dead left is adopted before, too: budgets are reckoned with it.
        """
        await self._signs.give()
        await self._adopt()
        every: list[tuple[float, Callable[[], Awaitable[object]]]] = [
            (CONTROL_S, self._control),
            (CONTROL_S, self._renew_holds),
            (CONTROL_S, self._sharing.look),
            (self._settings.lease_s / 3, self._beat),
            (SIGN_S, self._signs.give),
            (REFRESH_S, self._ledger.refresh_claims),
            (ADOPT_S, self._adopt),
            (REMOTE_S, self._operations.turn),
            (SWEEP_S, self.tick),
        ]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(_repeat(duty, seconds)) for seconds, duty in every]

    async def close(self) -> None:
        """Stops the duties and says goodbye."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._signs.close()

    async def tick(self) -> str:
        """Sweeps, if no other clock just did: opens dead leases and rings for what waits."""
        overdue_s = await self._database.write(_claim_sweep)
        if overdue_s is None:
            return "another clock did it"
        lease_s = self._settings.lease_s
        if overdue_s < lease_s:  # else nobody could prolong a lease: let the living go first
            await self._database.write(_rescue)
        waiting = await asyncio.get_running_loop().run_in_executor(None, queued, self._app)
        found = await self._database.write(_sweep, waiting, patience_s(lease_s))
        rung = [job_id for job_id in found if await self._shards.ring_for(job_id)]
        return f"rang for {len(rung)} jobs"

    async def _control(self) -> None:
        mine = list(self._shards.jobs)
        if not mine:
            return
        now = await self._database.read(jobs.control, mine)
        for job_id in mine:
            told = now.get(job_id)
            if told is None or told.state not in WORKABLE:
                self._shards.stop_job(job_id, f"the job is {told.state if told else 'gone'}")
            elif job := self._shards.jobs.get(job_id):
                job.priority, job.has_budget = told.priority, told.has_budget

    async def _renew_holds(self) -> None:
        await self._purses.beat(self._shards.jobs.keys())

    async def _beat(self) -> None:
        held = list(self._shards.held)
        if held:
            beat = self._database.write(shards.heartbeat, held, lease_s=self._settings.lease_s)
            for lost in await beat:
                self._shards.lose(lost)

    async def _adopt(self) -> None:
        folder = self._settings.home / "spool"
        await asyncio.get_running_loop().run_in_executor(
            None, adopt_orphans, self._database.store, folder
        )


def patience_s(lease_s: float) -> float:
    """How long a message may be out before it is taken for lost: it shall be sent again within two
    leases, and the sweep that finds it may be `SWEEP_S` and a moment away. Of a lease shorter than
    these the message has all, so that it is sent again within a lease and these."""
    return max(lease_s, 2 * lease_s - SWEEP_S - MOMENT_S)


def _claim_sweep(connection: Connection) -> float | None:
    """How overdue the sweep was, seconds, if it is ours to do now; else None."""
    overdue_s = fleet.overdue_s(connection, "sweep")
    return overdue_s if fleet.claim_hand(connection, "sweep", every_s=SWEEP_S * 0.9) else None


def _rescue(connection: Connection) -> None:
    """Opens the shards whose lease ran out."""
    if reopened := shards.reopen_expired(connection):
        log.warning("rescued %d shards whose worker is gone", len(reopened))


def _sweep(connection: Connection, queued_now: int | None, patience_s: float) -> list[str]:
    """Takes lost messages for lost; answers the jobs to ring for."""
    shards.forget_messages(connection, FORGET_AFTER_S)
    # more shards wait for a message to arrive than messages are there: some were lost
    if queued_now is not None and shards.waiting_since(connection, patience_s) > queued_now:
        shards.forget_messages(connection, patience_s)
    return jobs.workable_with_open_shards(connection)


async def _repeat(duty: Callable[[], Awaitable[object]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await duty()
        except MaestraleError as error:
            log.warning("the clock skips a beat: %s", error)
        except Exception:
            log.exception("a duty of the clock failed")
