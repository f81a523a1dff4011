"""One process's shards over a real database, with a stand-in for what a row does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import (
    a_stored_job,
    assert_all_rows_accounted_for,
    eventually_on_loop,
    the_job,
)

from models.doorbell import make_celery
from models.errors import StoreBusyError
from models.payloads import JobSpec, RowOutcome, Snoozed, Succeeded
from models.settings import Settings
from models.states import JobKind, JobState
from models.store import shards
from models.store.engine import Store
from proving.servers import free_port
from worker.database import Database
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.limiter.portion import Portion
from worker.rows import RowRun
from worker.shards import UNREADABLE, Run, Shards
from worker.sharing import Sharing

RUNS: dict[JobKind, Run] = {}


class NoCalls:
    """An asker whom nobody asks."""

    def cut(self) -> None:
        """Nothing is in flight."""


@pytest.fixture
async def here(store: Store, tmp_path: Path) -> AsyncIterator[Shards]:
    """This process's shards; no broker listens."""
    ledger = Ledger(store, tmp_path / "spool", Claims(None, "test"))
    ledger.open()
    url = f"redis://127.0.0.1:{free_port()}/0"
    with ThreadPoolExecutor(4) as threads:
        yield Shards(
            database=Database(store, threads),
            ledger=ledger,
            asker=NoCalls(),  # type: ignore[arg-type] # all it takes here
            app=make_celery(Settings(_env_file=None, REDIS_URL=url), patience_s=0.2),
            owner="test",
            lease_s=60,
            drain_s=0.1,
            rows_in_flight=100,
            pausing=lambda *_: None,
            runs=RUNS,
        )
        await ledger.close()


@pytest.fixture
def run_rows(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Puts another way of running a row in place."""

    def put(run: Any) -> None:
        monkeypatch.setitem(RUNS, JobKind.GENERATE, run)

    return put


async def at_once(run: RowRun) -> RowOutcome:
    """A row that is done."""
    return Succeeded([{"seq": run.row.seq}])


def shard_of(store: Store, job_id: str) -> Any:
    """The job's first shard as stored."""
    with store.read() as connection:
        table = shards.shards
        query = table.select().where(table.c.job_id == job_id, table.c.no == 0)
        return connection.execute(query).first()


async def test_a_shard_is_run_and_settles_its_job(
    store: Store, here: Shards, run_rows: Callable[[Any], None]
) -> None:
    """Claim, rows, settle: the job succeeds and a second message is a no-op."""
    run_rows(at_once)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    assert await here.run(job, 0) == "5 done"
    assert "nothing to do" in await here.run(job, 0)
    assert the_job(store, job).state == JobState.SUCCEEDED
    assert_all_rows_accounted_for(store, job)


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": [{"name": "a", "model": "m", "prompt": "{{ row.text | gone }}"}]},
        {"steps": [{"name": "a", "model": "m", "prompt": "{{ 1" + " + 1" * 120 + " }}"}]},
        {"steps": "none"},
    ],
)
async def test_a_job_whose_recipe_this_version_does_not_take_is_paused(
    store: Store, here: Shards, run_rows: Callable[[Any], None], changes: dict[str, Any]
) -> None:
    """Queued before an upgrade: no row fails by it, and the version that took it can go on."""
    run_rows(at_once)
    recipe = {"name": "r", "output": {"record": {"a": "{{ a }}"}}, **changes}
    spec = JobSpec(recipe=recipe).model_dump_json()
    job = a_stored_job(store, rows_count=5, shard_size=5, spec=spec)
    await here.run(job, 0)
    found = the_job(store, job)
    assert (found.state, found.state_reason) == (JobState.PAUSED, UNREADABLE)
    assert (found.rows_failed, shard_of(store, job).state, here.jobs) == (0, "open", {})


async def test_an_error_of_ours_gives_the_lease_back_without_a_death(
    store: Store, here: Shards, run_rows: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is busy for a moment: nobody is suspected, the shard is open at once."""
    run_rows(at_once)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    read = Database.read

    async def busy(*_: Any) -> Any:
        raise StoreBusyError("busy")

    monkeypatch.setattr(Database, "read", busy)
    with pytest.raises(StoreBusyError):
        await here.run(job, 0)
    found = shard_of(store, job)
    assert (found.state, found.deaths, here.held, here.jobs) == ("open", 0, {}, {})
    monkeypatch.setattr(Database, "read", read)
    assert await here.run(job, 0) == "5 done"


async def test_a_claim_under_way_when_the_worker_is_told_to_stop_starts_nothing(
    store: Store, here: Shards, run_rows: Callable[[Any], None]
) -> None:
    """SIGTERM between claim and rows: the shard is handed back with its rows open."""
    started: list[int] = []

    async def note(run: RowRun) -> RowOutcome:
        started.append(run.row.seq)
        return await at_once(run)

    run_rows(note)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    task = asyncio.create_task(here.run(job, 0))
    await asyncio.sleep(0)
    here.drain()
    assert "5 left open" in await task
    assert (started, shard_of(store, job).state) == ([], "open")
    assert "left to others" in await here.run(job, 0)


async def test_a_shard_that_waits_for_ever_is_cut_off_after_the_drain_time(
    store: Store, here: Shards, run_rows: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker told to stop ends, whatever its rows wait for; they stay open."""
    monkeypatch.setattr("worker.shards.CUT_AFTER_S", 0.1)

    started = asyncio.Event()

    async def hangs(_run: RowRun) -> RowOutcome:
        started.set()
        await asyncio.Event().wait()
        return Snoozed("never")

    run_rows(hangs)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    task = asyncio.create_task(here.run(job, 0))
    await asyncio.wait_for(started.wait(), 30)
    here.drain()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    found = shard_of(store, job)
    assert (found.state, found.deaths) == ("open", 0)


async def test_a_job_of_another_version_is_paused_with_the_reason(
    store: Store, here: Shards
) -> None:
    """A spec that this version cannot read is no endless loop of leases."""
    job = a_stored_job(store, rows_count=5, shard_size=5, spec='{"recipe": 7}')
    await here.run(job, 0)
    paused = the_job(store, job)
    assert (paused.state, paused.state_reason.split(":")[0]) == (JobState.PAUSED, "version")
    assert shard_of(store, job).state == "open"


async def test_a_lease_lost_after_the_shard_was_let_go_is_not_remembered(here: Shards) -> None:
    """A late heartbeat leaves nothing behind."""
    here.lose(("job_x", 1, 1))
    assert here._lost == set()


class Waits:
    """Rows that wait for a permit that never comes, but for some that are done."""

    def __init__(self, done: int) -> None:
        self.done = done
        self.waiting = 0
        self.started: list[tuple[str, int]] = []

    async def __call__(self, run: RowRun) -> RowOutcome:
        """One row."""
        self.started.append((run.shard.job.id, run.row.seq))
        if self.done:
            self.done -= 1
            return await at_once(run)
        self.waiting += 1
        with run.shard.waiting():
            await asyncio.Event().wait()
        return Snoozed(run.shard.stop_reason)


async def test_a_shard_yields_and_its_job_goes_on(
    store: Store, here: Shards, run_rows: Callable[[Any], None]
) -> None:
    """The newest shard is handed back with its done rows settled, and is no death; then goes on."""
    run_rows(waits := Waits(done=3))
    job = a_stored_job(store, rows_count=10, shard_size=5)
    other = asyncio.create_task(here.run(job, 1))
    await eventually_on_loop(lambda: waits.waiting == 2, "two rows wait")
    newest = asyncio.create_task(here.run(job, 0))
    await eventually_on_loop(lambda: waits.waiting == 7, "all rows wait")
    here.yield_shards(job, 1)
    here.yield_shards(job, 1)  # told again before it is gone: still one
    assert await asyncio.wait_for(newest, 30) == "5 left open (gave way to other jobs)"
    assert not other.done()
    found = shard_of(store, job)
    assert (found.state, found.deaths) == ("open", 0)
    here.yield_shards(job, 1)
    assert "3 done" in await asyncio.wait_for(other, 30)
    run_rows(at_once)
    assert [await here.run(job, no) for no in (0, 1)] == ["5 done", "2 done"]
    assert the_job(store, job).state == JobState.SUCCEEDED
    assert_all_rows_accounted_for(store, job)


async def test_a_job_that_has_its_share_leaves_the_slot_to_others(
    store: Store, here: Shards, run_rows: Callable[[Any], None]
) -> None:
    """Its message is put aside and rung for later; other jobs' shards are run."""
    run_rows(at_once)
    full, other = (a_stored_job(store, rows_count=5, shard_size=5) for _ in range(2))
    here.full = frozenset({full})
    assert "wait for their share" in await here.run(full, 0)
    assert await here.ring_for(full)
    found = shard_of(store, full)
    assert (found.state, found.published_at, here.hushed) == ("open", None, {full})
    assert await here.run(other, 0) == "5 done"


async def test_slots_are_shared_by_looking(
    store: Store, here: Shards, run_rows: Callable[[Any], None]
) -> None:
    """All slots taken and another job waits: half are freed, kept for it, and then all is calm."""
    run_rows(waits := Waits(done=0))
    old, new = (a_stored_job(store, rows_count=8, shard_size=1) for _ in range(2))
    limiter = SimpleNamespace(portion=Portion())
    database = Database(store, ThreadPoolExecutor(1))
    sharing = Sharing(database, here, limiter, "test", 4)  # type: ignore[arg-type] # all it takes
    first = [asyncio.create_task(here.run(old, no)) for no in range(4)]
    await eventually_on_loop(lambda: waits.waiting == 4, "all slots are taken")
    await sharing.look()
    assert not any(task.done() for task in first), "alone, nobody yields"
    with store.write() as connection:
        shards.take_window(connection, new, slots=4)
        of_new = shards.shards.c.job_id == new
        connection.execute(shards.shards.update().where(of_new).values(published_at=1.0))
    await sharing.look()
    assert (here.full, limiter.portion.share) == (frozenset({old}), None)
    await eventually_on_loop(lambda: sum(t.done() for t in first) == 2, "half have yielded")
    assert "wait for their share" in await here.run(old, 5)
    second = [asyncio.create_task(here.run(new, no)) for no in range(2)]
    await eventually_on_loop(lambda: waits.waiting == 6, "the other job has its half")
    await sharing.look()
    assert (here.full, here.hushed, limiter.portion.share) == (frozenset(), set(), 1.0)
    here.stop_job(old, "enough")
    here.stop_job(new, "enough")
    await asyncio.gather(*first, *second)
    await sharing.look()
    assert limiter.portion.share is None
