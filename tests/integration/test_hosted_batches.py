"""Batches by the clock's own hand, against the simulator: cancelled when nobody knows whether they
were started."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import a_key, a_stored_job, claimed
from hosted_clock import HostedClock
from pydantic import SecretStr
from sqlalchemy import func, select

import simulator
from models.prices import load_prices
from models.states import RemoteState
from models.store import batches, jobs, money, remote
from models.store.batches import Wanted
from models.store.engine import Store
from models.tables import RemoteOperation
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import RemoteApi
from worker.remote.batches import Batches
from worker.remote.schedule import ANSWER_S, LAG_S

MODEL = "mistral-small-latest"
BODY = '{"model":"mistral-small-latest","messages":[{"role":"user","content":"Is it news?"}]}'
FINAL = (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED)
NEVER_S = 3600.0


class Clock(HostedClock):
    """Of batches."""

    def __init__(self, store: Store, api: RemoteApi, folder: Path) -> None:
        self.api = api
        how = {"store": store, "write": self.write, "prices": load_prices(), "folder": folder}
        super().__init__(store, "batch", Batches(api=api, **how))

    def cut(self) -> str:
        """A job with a budget whose one call was put into a batch that is to be sent."""
        job_id = a_stored_job(self.store, rows_count=1, shard_size=1, budget_nano=10**9)
        held = claimed(self.store, job_id)
        with self.store.write() as connection:
            batches.park(connection, held, [Wanted(a_key(job_id), "chat", MODEL, BODY, 10)])
            assert len(batches.cut(connection, job_id)) == 1
        return job_id

    async def sent(self) -> str:
        """The same, sent; nobody knows whether it was started."""
        job_id = self.cut()
        operation = await self.turn()
        assert operation.state == RemoteState.SENDING
        assert operation.starting_at is not None
        return job_id

    def cancel(self, job_id: str) -> None:
        """By the user."""
        with self.store.write() as connection:
            assert jobs.cancel(connection, job_id)

    def left(self) -> tuple[int, int]:
        """Requests that wait for something, and money held back."""
        counted = select(func.count())
        with self.store.read() as connection:
            found = [
                connection.scalar(counted.select_from(table))
                for table in (batches.requests, money.holds)
            ]
        return found[0] or 0, found[1] or 0


@pytest.fixture
def spawned() -> Iterator[simulator.Spawned]:
    with simulator.spawn() as running:
        running.steer("batch", queued_s=NEVER_S)
        yield running


@pytest.fixture
async def clock(store: Store, spawned: simulator.Spawned, tmp_path: Path) -> AsyncIterator[Clock]:
    async with RemoteApi(spawned.url, SecretStr("a-key")) as api:
        yield Clock(store, api, tmp_path / "remote")


def assert_ended_as_cancelled(
    clock: Clock, spawned: simulator.Spawned, ended: RemoteOperation
) -> None:
    """With nothing left of it here, and no file there."""
    assert (ended.state, clock.left()) == (RemoteState.CANCELLED, (0, 0))
    stats = spawned.stats()
    assert stats["files_uploaded"] == stats["files_deleted"]


async def test_a_batch_that_nobody_heard_of_is_cancelled_with_its_job(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """The answer to its start was lost: it is looked for, found, ended over there and then here."""
    spawned.steer("batch", drop_creates=1)
    clock.cancel(await clock.sent())
    assert (await clock.turn()).state == RemoteState.RUNNING, "found, by its metadata"
    ended = await clock.until(*FINAL)
    assert ended.remote_id is not None
    assert_ended_as_cancelled(clock, spawned, ended)
    there = await clock.api.batch(ended.remote_id)
    assert not isinstance(there, Fault)
    assert there.status == "CANCELLED"
    assert spawned.stats()["batch_jobs_created"] == 1


async def test_a_cancelled_batch_that_no_list_shows_yet_is_waited_for(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """It runs over there and must be ended: nothing is settled, nor started, until it is shown."""
    spawned.steer("batch", drop_creates=1, listing_lag_s=NEVER_S)
    clock.cancel(await clock.sent())
    for _ in range(3):
        operation = await clock.turn()
        assert (operation.state, "list" in operation.reason) == (RemoteState.SENDING, True)
    spawned.steer("batch", listing_lag_s=0.0)
    assert_ended_as_cancelled(clock, spawned, await clock.until(*FINAL))
    assert spawned.stats()["batch_jobs_created"] == 1


async def test_a_cancelled_batch_that_was_surely_lost_starts_nothing(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """Noted, then its process died before it was sent: once a list would show it, it ends here."""
    job_id = clock.cut()
    with clock.store.write() as connection:
        (hand,) = remote.claim_due(connection, hold_s=-1, limit=1)
        assert remote.starting(connection, hand.op)
    clock.cancel(job_id)
    assert (await clock.turn()).state == RemoteState.SENDING
    clock.change(starting_at=clock.store.now() - ANSWER_S - LAG_S - 1)
    ended = await clock.turn()
    assert_ended_as_cancelled(clock, spawned, ended)
    assert "before it was sent" in ended.reason
    stats = spawned.stats()
    assert (stats["batch_jobs_created"], stats["files_uploaded"]) == (0, 0)


async def test_a_start_that_hung_is_looked_for_as_long_as_one_that_was_cut(
    clock: Clock, spawned: simulator.Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server may have taken it in the last moment: the list has its time from then on."""
    tries: list[Fault] = []

    async def hangs(**_: Any) -> Fault:
        clock.change(starting_at=clock.store.now() - ANSWER_S - LAG_S - 1)  # so long ago by now
        tries.append(Fault(FaultKind.TIMEOUT, "no answer", maybe_paid=True))
        return tries[-1]

    monkeypatch.setattr(clock.api, "create_batch", hangs)
    clock.cut()
    for _ in range(3):
        operation = await clock.turn()
    assert (operation.state, len(tries)) == (RemoteState.SENDING, 1)


async def test_a_start_that_was_refused_is_tried_again_at_once(
    clock: Clock, spawned: simulator.Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Surely not started: nothing to wait for."""
    create = clock.api.create_batch
    refusals = [Fault(FaultKind.TRANSIENT, "503")]

    async def refuses(**asked: Any) -> Any:
        return refusals.pop() if refusals else await create(**asked)

    monkeypatch.setattr(clock.api, "create_batch", refuses)
    clock.cut()
    assert (await clock.turn()).starting_at is None
    assert (await clock.turn()).state == RemoteState.RUNNING
    assert spawned.stats()["batch_jobs_created"] == 1
