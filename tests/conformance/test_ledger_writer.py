"""The group-committing writer: nothing that was paid for is lost to a bad neighbour."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from builders import (
    a_call,
    a_doubt,
    a_key,
    a_stored_job,
    assert_all_rows_accounted_for,
    claimed,
    done,
    eventually_on_loop,
    failed,
    the_job,
)
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError

from models.errors import SetupError
from models.payloads import CallRecord, RowSettled, Succeeded, Usage
from models.states import FailureCode
from models.store import calls, rows, shards
from models.store.engine import Store
from worker.ledger import writer as writing
from worker.ledger.writer import Writer


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    made = Writer(store, window_s=0.01)
    made.open()
    yield made
    await made.close(patience_s=0)


class Away:
    """A store whose transactions fail while `is_away`; `commits_first` fails after the commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.commits_first = False
        self.error: Exception = SetupError("the database does not answer")
        self.commits = 0

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self.is_away and not self.commits_first:
            raise self.error
        with self._store.write() as connection:
            yield connection
        self.commits += 1
        if self.is_away:
            raise self.error


@pytest.fixture
def away(store: Store) -> Away:
    return Away(store)


@pytest.fixture
async def flaky_writer(away: Away, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Writer]:
    monkeypatch.setattr(writing, "RETRY_S", 0.02)
    made = Writer(away, window_s=0.01)  # type: ignore[arg-type]
    made.open()
    yield made
    away.is_away = False
    await made.close(patience_s=0)


def _found(store: Store, *records: CallRecord) -> list[bool]:
    with store.read() as connection:
        found = calls.find(connection, [record.key for record in records])
    return [record.key in found for record in records]


def _failures(store: Store, job_id: str) -> list[tuple[int, str]]:
    with store.read() as connection:
        return [(row["seq"], row["code"]) for row in rows.failures(connection, job_id)]


async def test_a_group_is_one_commit(store: Store, away: Away, flaky_writer: Writer) -> None:
    """What is put within the window shares a transaction, calls before the rows they made."""
    job_id = a_stored_job(store, rows_count=3, shard_size=3)
    held = claimed(store, job_id)
    put = [done(held, 0), a_call(job_id=job_id), a_doubt(job_id=job_id), failed(held, 1)]
    assert await asyncio.gather(*map(flaky_writer.put, put)) == [True] * 4
    assert away.commits == 1
    job = the_job(store, job_id)
    assert (job.rows_done, job.rows_failed, job.calls_made, job.calls_doubtful) == (1, 1, 1, 1)


async def test_more_than_a_group_goes_in_several(store: Store) -> None:
    """All of it is stored, in groups of at most the given size, without waiting for the window."""
    counting = Away(store)
    writer = Writer(counting, window_s=100, group=10)  # type: ignore[arg-type]
    writer.open()
    stored = [writer.put(a_call()) for _ in range(30)]
    assert writer.backlog == 30
    assert all(await asyncio.wait_for(asyncio.gather(*stored), 60))
    assert counting.commits == 3
    assert writer.backlog == 0
    await writer.close()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda record: replace(record, model="nul \0 inside"), id="NUL"),
        pytest.param(lambda record: replace(record, answer="lone \ud800"), id="surrogate"),
        pytest.param(lambda record: replace(record, usage=Usage(2**63 + 1, 0, 0)), id="big int"),
        pytest.param(lambda record: replace(record, cost_nano=2**64), id="big cost"),
        pytest.param(lambda record: replace(record, model=None), id="null"),
    ],
)
async def test_one_bad_call_never_takes_the_group_down(
    store: Store, writer: Writer, spoil: Callable[[CallRecord], CallRecord]
) -> None:
    """FAULTS 7: the nineteen good answers beside a bad one are stored, and it is told apart."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    good = [a_call(job_id=job_id) for _ in range(19)]
    bad = spoil(a_call(job_id=job_id))
    put = [writer.put(what) for what in [*good[:7], bad, *good[7:], done(held, 0)]]
    answers = await asyncio.wait_for(asyncio.gather(*put), 30)
    assert _found(store, *good) == [True] * 19
    assert answers[-1]
    assert [answers[at] for at in (*range(7), *range(8, 20))] == [True] * 19
    assert answers[7] == _found(store, bad)[0]
    assert the_job(store, job_id).calls_made == 19 + answers[7]
    assert writer.healthy.is_set()


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({"n": 2**64}, id="big int"),
        pytest.param({"text": "lone \ud800"}, id="surrogate"),
        pytest.param({"text": object()}, id="no JSON"),
    ],
)
async def test_a_bad_result_becomes_a_named_failure(
    store: Store, writer: Writer, record: dict[str, Any]
) -> None:
    """The row whose record cannot be stored fails by name; its neighbours are done."""
    job_id = a_stored_job(store, rows_count=5, shard_size=5)
    held = claimed(store, job_id)
    bad = RowSettled(*held, 2, Succeeded([record], {}))
    group = [bad if seq == 2 else done(held, seq) for seq in range(5)]
    stored = await asyncio.wait_for(asyncio.gather(*map(writer.put, group)), 30)
    assert stored == [True] * 5
    assert _failures(store, job_id) == [(2, FailureCode.INTERNAL)]
    assert the_job(store, job_id).rows_done == 4
    assert_all_rows_accounted_for(store, job_id)
    with store.write() as connection:
        assert shards.settle(connection, held), "no row is left open by it"


async def test_a_bad_result_under_a_lost_lease_answers_no(store: Store, writer: Writer) -> None:
    """Unstorable and fenced off at once: not stored, not failed either."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    fenced = RowSettled(job_id, 0, held[2] - 1, 0, Succeeded([{"n": 2**64}], {}))
    assert await writer.put(fenced) is False
    assert _failures(store, job_id) == []


async def test_fenced_rows_answer_no(store: Store, writer: Writer) -> None:
    """Rows of a lost lease resolve to False and change nothing; others of the group stay."""
    job_id = a_stored_job(store, rows_count=4, shard_size=2)
    old, kept = claimed(store, job_id, 0, lease_s=-1), claimed(store, job_id, 1)
    with store.write() as connection:
        shards.reopen_expired(connection)
    new = claimed(store, job_id, 0)
    paid = a_call(job_id=job_id)
    put = [done(old, 0), done(kept, 2), failed(old, 1), paid, done(new, 1)]
    stored = await asyncio.gather(*map(writer.put, put))
    assert stored == [False, True, False, True, True]
    job = the_job(store, job_id)
    assert (job.rows_done, job.rows_failed, job.calls_made) == (2, 0, 1)
    assert_all_rows_accounted_for(store, job_id)


async def test_a_row_is_fenced_once_its_shard_is_open(store: Store, writer: Writer) -> None:
    """Between rescue and the next claim nobody may write, not even under the newest token."""
    job_id = a_stored_job(store)
    held = claimed(store, job_id, lease_s=-1)
    with store.write() as connection:
        shards.reopen_expired(connection)
    assert await writer.put(done(held, 0)) is False
    assert the_job(store, job_id).rows_done == 0


async def test_a_database_away_is_waited_for(
    store: Store, away: Away, flaky_writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    """Calling stops, what is paid is kept, and all is stored when the database is back."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    away.is_away = True
    put = [flaky_writer.put(what) for what in (a_call(job_id=job_id), done(held, 0))]
    await eventually_on_loop(lambda: not flaky_writer.healthy.is_set(), "calling stops")
    put.append(flaky_writer.put(a_call(job_id=job_id)))
    await asyncio.sleep(0.1)
    assert not any(future.done() for future in put)
    away.is_away = False
    assert await asyncio.wait_for(asyncio.gather(*put), 30) == [True] * 3
    assert flaky_writer.healthy.is_set()
    assert the_job(store, job_id).calls_made == 2
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1, "told once, not at every attempt"


@pytest.mark.parametrize(
    "error",
    [
        OSError("disk"),
        RuntimeError("a bug"),
        InterfaceError("COMMIT", None, Exception("connection already closed")),
    ],
)
async def test_no_error_whatever_ends_the_writer(
    store: Store, away: Away, flaky_writer: Writer, error: Exception
) -> None:
    """Even an error that nobody thought of drops nothing: it is tried again until it passes."""
    away.error, away.is_away = error, True
    record = a_call()
    stored = flaky_writer.put(record)
    await eventually_on_loop(lambda: not flaky_writer.healthy.is_set(), "calling stops")
    away.is_away = False
    assert await asyncio.wait_for(stored, 30)
    assert _found(store, record) == [True]


async def test_a_commit_without_an_answer_is_not_counted_twice(
    store: Store, away: Away, flaky_writer: Writer
) -> None:
    """The connection broke after the commit: tried again, the money and the rows count once."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    away.is_away = away.commits_first = True
    put = [flaky_writer.put(w) for w in (a_call(job_id=job_id), a_doubt(), done(held, 0))]
    await eventually_on_loop(lambda: away.commits >= 2, "it was tried twice")
    away.is_away = False
    assert await asyncio.wait_for(asyncio.gather(*put), 30) == [True] * 3
    job = the_job(store, job_id)
    assert (job.calls_made, job.cost_nano, job.rows_done) == (1, 1000, 1)
    assert_all_rows_accounted_for(store, job_id)


async def test_a_full_disk_stops_calling_for_a_moment(
    store: Store, away: Away, flaky_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits that go well meanwhile do not start it early; it resumes by itself."""
    monkeypatch.setattr(writing, "PAUSE_S", 2.0)
    flaky_writer.pause_calling()
    flaky_writer.pause_calling()
    assert await flaky_writer.put(a_call())
    assert not flaky_writer.healthy.is_set()
    await asyncio.wait_for(flaky_writer.healthy.wait(), 30)


async def test_closing_commits_what_waits(store: Store) -> None:
    """Put just before the end, and under way at the end: stored, and every future resolves."""
    writer = Writer(store, window_s=0.05)
    writer.open()
    records = [a_call() for _ in range(20)]
    stored = [writer.put(record) for record in records]
    await writer.close()
    assert all(future.result() for future in stored)
    assert _found(store, *records) == [True] * 20
    assert writer.put(a_call()).cancelled(), "too late"
    job_id = a_stored_job(store)
    assert writer.put(done(claimed(store, job_id), 0)).result() is False


async def test_closing_waits_for_the_commit_under_way(store: Store) -> None:
    """A slow commit is not cut off: its futures resolve."""
    entered, release = threading.Event(), threading.Event()

    class Slow(Away):
        @contextmanager
        def write(self) -> Iterator[Connection]:
            entered.set()
            assert release.wait(10)
            with super().write() as connection:
                yield connection

    writer = Writer(Slow(store), window_s=0.001)  # type: ignore[arg-type]
    writer.open()
    stored = writer.put(a_call())
    await eventually_on_loop(entered.is_set, "the commit is under way")
    closing = asyncio.ensure_future(writer.close())
    await asyncio.sleep(0.05)
    assert not closing.done()
    release.set()
    await asyncio.wait_for(closing, 30)
    assert stored.result()


async def test_closing_gives_up_on_a_database_that_stays_away(
    store: Store, away: Away, flaky_writer: Writer
) -> None:
    """Within its patience; no future is left hanging: rows are not stored, calls are cancelled."""
    job_id = a_stored_job(store)
    held = claimed(store, job_id)
    away.is_away = True
    paid, row = flaky_writer.put(a_call()), flaky_writer.put(done(held, 0))
    await asyncio.wait_for(flaky_writer.close(patience_s=0.1), 5)
    assert paid.cancelled()
    assert row.result() is False


async def test_a_waiter_that_went_away_harms_nobody(store: Store, writer: Writer) -> None:
    """A cancelled future is skipped; its thing is stored, and so are the others."""
    gone, kept = a_call(a_key("gone")), a_call(a_key("kept"))
    writer.put(gone).cancel()
    assert await writer.put(kept)
    assert _found(store, gone, kept) == [True, True]


async def test_writers_of_two_jobs_never_deadlock(
    store: Store, open_another: Callable[[], Store], caplog: pytest.LogCaptureFixture
) -> None:
    """Groups that mix calls and rows of two jobs the other way round all go through, at once."""
    ids = [a_stored_job(store, rows_count=40, shard_size=40) for _ in range(2)]
    leases = {job_id: claimed(store, job_id) for job_id in ids}
    writers = [Writer(open_another(), window_s=0.001, group=2) for _ in range(2)]
    stored = []
    for seq in range(40):
        for writer, (calls_of, rows_of) in zip(writers, (ids, ids[::-1]), strict=True):
            stored.append(writer.put(a_call(job_id=calls_of)))
            stored.append(writer.put(done(leases[rows_of], seq)))
    for writer in writers:
        writer.open()
    assert all(await asyncio.wait_for(asyncio.gather(*stored), 60))
    assert not caplog.records, "no group had to be tried again"
    for writer in writers:
        await writer.close()
    for job_id in ids:
        assert (the_job(store, job_id).calls_made, the_job(store, job_id).rows_done) == (40, 40)
