"""Batches by the clock's own hand, against the simulator: cancelled when nobody knows whether they
were started."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import a_key, a_stored_job, claimed, the_job
from hosted_clock import HostedClock
from pydantic import SecretStr
from sqlalchemy import func, select

import simulator
from models.prices import load_prices
from models.states import JobState, RemoteState, RequestState
from models.store import batches, jobs, money, remote
from models.store.batches import Wanted
from models.store.engine import Store
from models.tables import Job, RemoteOperation
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.remote import RemoteApi, RemoteJob
from worker.remote.batches import Batches
from worker.remote.schedule import ANSWER_S, LAG_S, TOO_MANY_FAILURES

MODEL = "mistral-small-latest"
BODY = '{"model":"mistral-small-latest","messages":[{"role":"user","content":"Is it news?"}]}'
REFUSED = '{"model":"mistral-small-latest","messages":"none"}'
FINAL = (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED)
NEVER_S = 3600.0


class Clock(HostedClock):
    """Of batches."""

    def __init__(self, store: Store, api: RemoteApi, folder: Path) -> None:
        self.api = api
        how = {"store": store, "write": self.write, "prices": load_prices(), "folder": folder}
        super().__init__(store, "batch", Batches(api=api, **how))

    def cut(self, *bodies: str) -> str:
        """A job with a budget whose calls were put into a batch that is to be sent."""
        job_id = a_stored_job(self.store, rows_count=1, shard_size=1, budget_nano=10**9)
        held = claimed(self.store, job_id)
        wanted = [
            Wanted(a_key(f"{number}"), "chat", MODEL, body, 10)
            for number, body in enumerate(bodies or [BODY])
        ]
        with self.store.write() as connection:
            batches.park(connection, held, wanted)
            assert len(batches.cut(connection, job_id)) == 1
        return job_id

    def requests(self) -> dict[str, str]:
        """What became of the calls that have no answer yet."""
        query = select(batches.requests.c.key, batches.requests.c.state)
        with self.store.read() as connection:
            return {row.key: row.state for row in connection.execute(query)}

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


async def test_without_the_file_of_errors_answers_count_and_the_rest_is_asked_again(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """What was answered is all in the other file: nothing of the rest was paid."""
    spawned.steer("batch", queued_s=0.0)
    job_id = clock.cut(BODY, REFUSED)
    job, ended = await _ended_without(clock, job_id, "error_file")
    assert (ended.state, ended.requests_done) == (RemoteState.SUCCEEDED, 1)
    assert (job.calls_made, job.calls_doubtful) == (1, 0)
    assert clock.requests() == {a_key("1"): RequestState.WAITING}


async def test_without_the_file_of_answers_errors_are_read_and_the_rest_is_in_doubt(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """A refused call fails by its line; of the other nobody knows more than that it was paid."""
    spawned.steer("batch", queued_s=0.0)
    job_id = clock.cut(BODY, REFUSED)
    job, ended = await _ended_without(clock, job_id, "output_file")
    assert (ended.state, ended.requests_failed) == (RemoteState.FAILED, 1)
    assert "no more" in ended.reason
    assert (job.calls_made, job.calls_doubtful) == (0, 1)
    assert clock.requests() == {a_key("0"): RequestState.WAITING, a_key("1"): RequestState.FAILED}


async def _ended_without(clock: Clock, job_id: str, file: str) -> tuple[Job, RemoteOperation]:
    """The job and its operation, one of whose files is gone before it is fetched."""
    over = await clock.until(RemoteState.FETCHING)
    assert await clock.api.delete_file(orjson.loads(over.answer)[file]) is True
    ended = await clock.turn()
    return the_job(clock.store, job_id), ended


async def test_results_that_are_not_named_yet_are_asked_for_again(
    clock: Clock, spawned: simulator.Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch may be over before its file of answers is there: no answer is given up for that."""
    spawned.steer("batch", queued_s=0.0)
    job_id = clock.cut()
    await clock.until(RemoteState.RUNNING)
    with monkeypatch.context() as patched:
        patched.setattr(clock.api, "batch", _unnamed(clock.api))
        for _ in range(3):
            operation = await clock.turn()
    assert (operation.state, "not named" in operation.reason) == (RemoteState.RUNNING, True)
    ended = await clock.until(*FINAL)
    assert (ended.state, ended.requests_done) == (RemoteState.SUCCEEDED, 1)
    assert the_job(clock.store, job_id).calls_doubtful == 0


async def test_results_that_are_never_named_are_in_doubt_at_last(
    clock: Clock, spawned: simulator.Spawned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job pauses first: nothing is asked again unless somebody says so."""
    spawned.steer("batch", queued_s=0.0)
    job_id = clock.cut()
    await clock.until(RemoteState.RUNNING)
    monkeypatch.setattr(clock.api, "batch", _unnamed(clock.api))
    while (await clock.turn()).check_failures == 0:
        pass  # it is not over yet
    clock.change(check_failures=TOO_MANY_FAILURES - 1)
    await clock.turn()
    assert the_job(clock.store, job_id).state == JobState.PAUSED
    ended = await clock.until(*FINAL)
    job = the_job(clock.store, job_id)
    assert (ended.state, job.state) == (RemoteState.FAILED, JobState.PAUSED)
    assert (job.calls_made, job.calls_doubtful) == (0, 1)


def _unnamed(api: RemoteApi) -> Callable[[str], Awaitable[RemoteJob | Fault]]:
    ask = api.batch

    async def batch(job_id: str) -> RemoteJob | Fault:
        told = await ask(job_id)
        assert isinstance(told, RemoteJob)
        return RemoteJob(told.id, told.status, {**told.answer, "output_file": None})

    return batch


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
