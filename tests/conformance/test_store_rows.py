"""Rows: stored in bulk, settled once, counted exactly, read back in order."""

import pytest
from builders import (
    a_stored_job,
    assert_all_rows_accounted_for,
    claimed,
    done,
    failed,
    settled,
    the_job,
)

from models.payloads import Failed, RowSettled, Succeeded
from models.states import FailureCode, RowState
from models.store import retries, rows
from models.store.engine import Store


def test_more_rows_than_a_batch_are_inserted(store: Store) -> None:
    """Batches join without a gap, and the number is answered."""
    total = 2 * rows.INSERT_BATCH + 1
    job_id = a_stored_job(store, rows_count=total, shard_size=total)
    with store.read() as connection:
        assert rows.counts(connection, job_id) == {RowState.OPEN: total}
        found = rows.open_of_shard(connection, job_id, 0)
    assert [row.seq for row in found] == list(range(total))
    with store.write() as connection:
        assert rows.insert_all(connection, []) == 0


def test_a_row_is_settled_once(store: Store) -> None:
    """A second outcome, of either kind, in the same or a later group, changes nothing."""
    job_id = a_stored_job(store, rows_count=2)
    held = claimed(store, job_id)
    with store.write() as connection:
        rows.settle(connection, [done(held, 0), done(held, 0)])
        rows.settle(connection, [failed(held, 0), done(held, 0), failed(held, 1)])
        rows.settle(connection, [done(held, 1)])
    job = the_job(store, job_id)
    assert (job.rows_done, job.rows_failed) == (1, 1)
    assert_all_rows_accounted_for(store, job_id)
    with store.read() as connection:
        assert [found[0] for found in rows.results(connection, job_id)] == ["r0"]
        assert [found["row_id"] for found in rows.failures(connection, job_id)] == ["r1"]


def test_a_group_settles_rows_of_many_jobs(store: Store) -> None:
    """Counters of each job move by its own rows, with the calls found and tried again."""
    ids = [a_stored_job(store, rows_count=3, shard_size=3) for _ in range(3)]
    leases = [claimed(store, job_id) for job_id in ids]
    group = [done(held, seq, from_ledger=2, retried=seq) for held in leases for seq in (0, 1)]
    group += [failed(held, 2) for held in leases[:2]]
    with store.write() as connection:
        rows.settle(connection, sorted(group, key=lambda row: row.seq))
    for number, job_id in enumerate(ids):
        job = the_job(store, job_id)
        assert (job.rows_done, job.rows_failed) == (2, int(number < 2))
        assert (job.calls_from_ledger, job.calls_retried) == (4, 1)
        assert_all_rows_accounted_for(store, job_id)


def test_results_come_in_input_order_over_pages(store: Store) -> None:
    """More than a page of records, settled backwards, with failed rows between: input order."""
    total = 2 * rows.PAGE + 50
    job_id = a_stored_job(store, rows_count=total, shard_size=total)
    held = claimed(store, job_id)
    outcomes = [failed(held, seq) if seq % 10 == 3 else done(held, seq) for seq in range(total)]
    assert settled(store, held, outcomes[::-1])
    with store.read() as connection:
        found = list(rows.results(connection, job_id))
    wanted = [seq for seq in range(total) if seq % 10 != 3]
    assert [row_id for row_id, _, _ in found] == [f"r{seq}" for seq in wanted]
    assert found[0][1:] == ([{"text": "record 0"}], {"seq": 0})


@pytest.mark.parametrize("count", [0, rows.PAGE - 1, rows.PAGE, rows.PAGE + 1])
def test_pages_end_where_the_rows_do(store: Store, count: int) -> None:
    """Nothing is lost or doubled at the edge of a page, and an empty job has no results."""
    job_id = a_stored_job(store, rows_count=count + 1, shard_size=count + 1)
    held = claimed(store, job_id)
    with store.write() as connection:
        rows.settle(connection, [done(held, seq) for seq in range(count)])
        assert len(list(rows.results(connection, job_id))) == count


def test_failures_are_named_counted_and_limited(store: Store) -> None:
    """Each failed row has its code and detail; codes are counted, the frequent first."""
    job_id = a_stored_job(store, rows_count=5, shard_size=5)
    held = claimed(store, job_id)
    codes = [FailureCode.TRUNCATED, FailureCode.REFUSED, FailureCode.REFUSED]
    with store.write() as connection:
        rows.settle(connection, [failed(held, 4 - at, code) for at, code in enumerate(codes)])
        found = rows.failures(connection, job_id)
        assert rows.failures(connection, job_id, limit=1) == found[:1]
        by_code = rows.failures_by_code(connection, job_id)
    assert [(row["seq"], row["row_id"], row["code"]) for row in found] == [
        (2, "r2", FailureCode.REFUSED),
        (3, "r3", FailureCode.REFUSED),
        (4, "r4", FailureCode.TRUNCATED),
    ]
    assert found[0]["detail"] == "row 2 failed"
    assert list(by_code.items()) == [("refused", 2), ("truncated", 1)]


@pytest.mark.parametrize("detail", ["a\0b", "\ud800 alone", "x" * 10_000, "日本語 🎉 \u2028"])
def test_a_failures_detail_is_always_storable(store: Store, detail: str) -> None:
    """What a server says in its error, whatever it holds, never stops a row from failing."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    outcome = Failed(FailureCode.SERVER_ERROR, detail)
    assert settled(store, held, [RowSettled(*held, 0, outcome)])
    with store.read() as connection:
        stored = rows.failures(connection, job_id)[0]["detail"]
    assert 0 < len(stored) <= 2000
    assert "\0" not in stored
    assert stored.isprintable() or "\u2028" in stored


def test_records_keep_every_character(store: Store) -> None:
    """NULs, emoji and line separators inside a record come back as they were."""
    record = {"text": 'nul \0, 🎉, \u2028, "quotes", {{ braces }}', "n": [1.5, None, True]}
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    assert settled(store, held, [RowSettled(*held, 0, Succeeded([record], {}))])
    with store.read() as connection:
        assert list(rows.results(connection, job_id)) == [("r0", [record], {})]


def test_jobs_do_not_see_each_others_rows(store: Store) -> None:
    """Row numbers are a job's own: settling, retrying and reading stay inside the job."""
    one, other = (a_stored_job(store, rows_count=2) for _ in range(2))
    for job_id, outcome in ((one, done), (other, failed)):
        held = claimed(store, job_id)
        settled(store, held, [outcome(held, 0), outcome(held, 1)])
    with store.write() as connection:
        assert retries.retry(connection, other) == 2
        assert len(list(rows.results(connection, one))) == 2
        assert rows.counts(connection, other) == {RowState.OPEN: 2}
        assert rows.counts(connection, one) == {RowState.DONE: 2}
