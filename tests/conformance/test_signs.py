"""A sign of life on a real database: who is there, how it stands, and each call counted once."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from builders import a_stored_job, the_job
from sqlalchemy import func, select

from models.errors import SetupError, StoreBusyError
from models.limits import Limit
from models.payloads import Usage
from models.settings import Settings
from models.store import fleet, pulses
from models.store.engine import Store
from worker.call_counts import CallCounts
from worker.gateway.faults import Fault, FaultKind
from worker.limiter import ModelUse
from worker.signs import Signs


class Here:
    """The process's shards and its database, as signs know them; `trouble`: raised, not written."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.places = SimpleNamespace(taken=12)
        self.trouble: Exception | None = None
        self.wait: asyncio.Event | None = None
        self.writes = 0

    async def write(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """As on a thread: what has begun goes on when nobody waits for it any more."""
        self.writes += 1
        return await asyncio.shield(asyncio.ensure_future(self._write(function, *args, **named)))

    async def _write(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if self.wait:
            await self.wait.wait()
        if self.trouble:
            raise self.trouble
        with self.store.write() as connection:
            return function(connection, *args, **named)


class World:
    """Signs with all they look at."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.here, self.figures = store, Here(store), CallCounts()
        self.use = ModelUse(
            "small", Limit(600, None, "found"), 9.5, 0.0, 0, 3, 4, 100, 2, 1.5, 1, False
        )
        limiter: Any = SimpleNamespace(snapshot=lambda: [self.use])
        ledger: Any = SimpleNamespace(spool_bytes=77, writer=SimpleNamespace(backlog=5))
        here: Any = self.here
        self.signs = Signs(settings, here, here, ledger, limiter, self.figures, "me")

    def calls(self, job: str, count: int) -> None:
        """Answers and one refusal each."""
        for _ in range(count):
            self.figures.answered(job, "small", 120, Usage(1, 1), 1)
            self.figures.failed(job, "small", Fault(FaultKind.QUOTA, "no", 429))

    def stored(self, job: str) -> tuple[int, int, int]:
        """Calls and refusals of the pulses, and the job's own count of refusals."""
        table = pulses.pulses
        sums = select(func.sum(table.c.calls), func.sum(table.c.refusals))
        with self.store.read() as connection:
            calls, refusals = connection.execute(sums.where(table.c.job_id == job)).one()
        return calls or 0, refusals or 0, the_job(self.store, job).calls_refused


@pytest.fixture
def world(store: Store, make_settings: Callable[..., Settings]) -> World:
    """A process that is to give signs."""
    return World(store, make_settings())


async def test_a_sign_tells_all_of_it_in_one_transaction(world: World) -> None:
    """Worker, limiter and beats; the pulse lies in the ten seconds of the database's clock."""
    job = a_stored_job(world.store)
    await world.signs.give()
    world.calls(job, 3)
    before, now = world.here.writes, world.store.now()
    await world.signs.give()
    assert world.here.writes == before + 1
    with world.store.read() as connection:
        (worker,) = fleet.alive(connection)
        (limiter,) = fleet.limiters_seen(connection)
        (point,) = pulses.series(connection, job)
    assert worker.rows_in_flight == 12
    assert (worker.spool_bytes, worker.backlog) == (77, 5)
    assert (limiter.requests_per_minute, limiter.rate_per_s, limiter.waiting) == (600, 9.5, 3)
    assert world.stored(job) == (3, 3, 3)
    assert point.at in {int(now // 10) * 10, int((now - 5) // 10) * 10}


async def test_the_pace_of_a_model_is_what_was_granted_between_signs(world: World) -> None:
    """Nothing granted since the last sign is no call a second, whatever was before."""
    await world.signs.give()
    await world.signs.give()
    with world.store.read() as connection:
        assert [seen.calls_per_s for seen in fleet.limiters_seen(connection)] == [0.0]


async def test_what_a_busy_database_did_not_take_comes_with_the_next_sign(world: World) -> None:
    """Three signs fail; then every call is there, once."""
    job = a_stored_job(world.store)
    world.here.trouble = StoreBusyError("busy")
    for _ in range(3):
        world.calls(job, 2)
        with pytest.raises(StoreBusyError):
            await world.signs.give()
    world.here.trouble = None
    world.calls(job, 1)
    await world.signs.give()
    assert world.stored(job) == (7, 7, 7)


async def test_a_sign_cut_short_by_the_closing_counts_once(world: World) -> None:
    """The clock is stopped while a sign is being written: it is ended, not given again."""
    job = a_stored_job(world.store)
    world.calls(job, 5)
    world.here.wait = asyncio.Event()
    giving = asyncio.create_task(world.signs.give())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    giving.cancel()
    await asyncio.gather(giving, return_exceptions=True)
    world.calls(job, 1)
    closing = asyncio.create_task(world.signs.close())
    await asyncio.sleep(0)
    world.here.wait.set()
    await closing
    assert world.stored(job) == (6, 6, 6)
    with world.store.read() as connection:
        assert fleet.alive(connection) == []


async def test_a_database_that_is_away_does_not_hold_up_the_end(world: World) -> None:
    """Without a goodbye the others notice by the silence."""
    world.here.trouble = SetupError("away")
    await world.signs.close()
