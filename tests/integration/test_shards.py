"""One process's shards over a real database, with a stand-in for what a row does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job, assert_all_rows_accounted_for, the_job
from servers import free_port

from models.doorbell import make_celery
from models.errors import StoreBusyError
from models.payloads import RowOutcome, Snoozed, Succeeded
from models.settings import Settings
from models.states import JobKind, JobState
from models.store import shards
from models.store.engine import Store
from worker.kinds.generate import RowRun
from worker.ledger.claims import Claims
from worker.ledger.ledger import Ledger
from worker.shards import RUNS, Shards


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
            store=store,
            ledger=ledger,
            asker=NoCalls(),  # type: ignore[arg-type] # all it takes here
            app=make_celery(Settings(_env_file=None, REDIS_URL=url), patience_s=0.2),
            threads=threads,
            owner="test",
            lease_s=60,
            drain_s=0.1,
            rows_in_flight=100,
            pausing=lambda *_: None,
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
        query = shards.shards.select().where(shards.shards.c.job_id == job_id)
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


async def test_an_error_of_ours_gives_the_lease_back_without_a_death(
    store: Store, here: Shards, run_rows: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is busy for a moment: nobody is suspected, the shard is open at once."""
    run_rows(at_once)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    read = here.read

    async def busy(*_: Any) -> Any:
        raise StoreBusyError("busy")

    monkeypatch.setattr(here, "read", busy)
    with pytest.raises(StoreBusyError):
        await here.run(job, 0)
    found = shard_of(store, job)
    assert (found.state, found.deaths, here.held, here.jobs) == ("open", 0, {}, {})
    monkeypatch.setattr(here, "read", read)
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

    async def hangs(_run: RowRun) -> RowOutcome:
        await asyncio.Event().wait()
        return Snoozed("never")

    run_rows(hangs)
    job = a_stored_job(store, rows_count=5, shard_size=5)
    task = asyncio.create_task(here.run(job, 0))
    while not here.held:
        await asyncio.sleep(0.01)
    here.drain()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
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
