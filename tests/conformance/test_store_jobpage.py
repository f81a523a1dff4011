"""The page of one job: what its queries answer, and that none of them walks the job's rows."""

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from builders import a_doubt, a_stored_job, claimed, done, failed, settled, the_job
from sqlalchemy import Connection, event, update

from models.payloads import Failed, RowSettled
from models.states import FailureCode, JobState
from models.store import calls, deliveries, jobs, money, pulses
from models.store.engine import Store
from models.store.views import jobpage


def fail_rows(store: Store, job_id: str, codes: Sequence[FailureCode]) -> None:
    """Fails the rows of shard 0 with `codes`, one for each row."""
    held = claimed(store, job_id)
    settled(store, held, [failed(held, seq, code) for seq, code in enumerate(codes)])


def groups(store: Store, job_id: str) -> list[jobpage.FailureGroup]:
    with store.read() as connection:
        job = jobs.get(connection, job_id)
        assert job is not None
        return jobpage.failures(connection, job)


def test_failures_are_grouped_by_reason_with_the_first_rows_of_each(store: Store):
    """The most frequent first; three samples at most, in input order."""
    codes = [FailureCode.REFUSED, *[FailureCode.TRUNCATED] * 5, FailureCode.REFUSED]
    job_id = a_stored_job(store, rows_count=8, shard_size=8)
    fail_rows(store, job_id, codes)
    truncated, refused = groups(store, job_id)
    assert (truncated.code, truncated.count, truncated.is_exact) == ("truncated", 5, True)
    assert [row.row_id for row in truncated.samples] == ["r1", "r2", "r3"]
    assert truncated.samples[0].detail == "row 1 failed"
    assert [row.seq for row in refused.samples] == [0, 6]


def test_a_job_without_failures_has_no_groups(store: Store):
    """Nothing failed, nothing shown; other jobs' failures are theirs."""
    other = a_stored_job(store, rows_count=2)
    fail_rows(store, other, [FailureCode.REFUSED])
    assert groups(store, a_stored_job(store)) == []


def test_of_many_failures_only_so_many_are_counted(store: Store, monkeypatch):
    """One capped reason is exact by the job's counter; of two, each is `so many or more`."""
    monkeypatch.setattr(jobpage, "COUNT_UP_TO", 2)
    job_id = a_stored_job(store, rows_count=8, shard_size=8)
    held = claimed(store, job_id)
    first = [failed(held, seq, FailureCode.REFUSED) for seq in range(4)]
    settled(store, held, [*first, failed(held, 4, FailureCode.TRUNCATED)])
    assert [(one.code, one.count, one.is_exact) for one in groups(store, job_id)] == [
        ("refused", 4, True),
        ("truncated", 1, True),
    ]
    settled(store, held, [failed(held, seq, FailureCode.TRUNCATED) for seq in (5, 6)])
    assert [(one.code, one.count, one.is_exact) for one in groups(store, job_id)] == [
        ("refused", 2, False),
        ("truncated", 2, False),
    ]


def test_events_come_newest_first_and_not_all(store: Store):
    """The page shows the end of the story; the job's own events only."""
    job_id, _other = a_stored_job(store), a_stored_job(store)
    with store.write() as connection:
        jobs.pause(connection, job_id, "a reason")
        jobs.resume(connection, job_id)
        jobs.cancel(connection, job_id)
    with store.read() as connection:
        found = jobpage.newest_events(connection, job_id, limit=2)
    assert [(one.seq, one.type) for one in found] == [(4, "job.cancelled"), (3, "job.queued")]


def test_lineage_leads_both_ways(store: Store):
    """From a job to where it came from, to the end, and to what was made of it."""
    first = a_stored_job(store, name="first")
    second = a_stored_job(store, name="second", parent_id=first)
    third = a_stored_job(store, name="third", parent_id=second)
    with store.read() as connection:
        above = jobpage.ancestors(connection, jobs.get(connection, third))
        below = jobpage.children(connection, first)
    assert [one.name for one in above] == ["second", "first"]
    assert [(one.id, one.state, one.rows_total) for one in below] == [(second, JobState.QUEUED, 4)]


def test_a_lineage_that_bites_its_tail_ends(store: Store):
    """Data of another version must not hang the page."""
    first = a_stored_job(store)
    second = a_stored_job(store, parent_id=first)
    with store.write() as connection:
        connection.execute(
            update(jobs.jobs).where(jobs.jobs.c.id == first).values(parent_id=second)
        )
    with store.read() as connection:
        above = jobpage.ancestors(connection, jobs.get(connection, second))
    assert [one.id for one in above] == [first]


def test_the_page_is_one_reading_of_everything(store: Store):
    """What there is of the job is there; what there is not is None or empty, never an error."""
    job_id = a_stored_job(store, name="whole")
    fail_rows(store, job_id, [FailureCode.REFUSED])
    with store.read() as connection:
        page = jobpage.read(connection, job_id)
        assert jobpage.read(connection, "job_unknown") is None
    assert page is not None
    assert (page.job.name, page.hands, page.calls_per_s) == ("whole", jobpage.Hands(1, 1), 0.0)
    assert [group.count for group in page.failures] == [1]
    assert [event.type for event in page.events] == ["job.running", "job.queued"]
    assert not (page.points or page.costs or page.doubts or page.deliveries or page.children)
    assert abs(page.now - store.now()) < 60


def test_doubts_are_grouped_and_an_unknown_price_is_counted_not_zeroed(store: Store):
    """By reason; what has no estimate is said to have none."""
    job_id = a_stored_job(store)
    found = [
        a_doubt(job_id=job_id, reason="crash"),
        a_doubt(job_id=job_id, reason="crash", cost_nano=None),
        a_doubt(job_id=job_id, reason="timeout"),
        a_doubt(),
    ]
    with store.write() as connection:
        calls.doubt(connection, found)
    with store.read() as connection:
        told = jobpage.doubts_by_reason(connection, job_id)
    assert told == [
        jobpage.DoubtGroup("crash", 2, 1, 500),
        jobpage.DoubtGroup("timeout", 1, 0, 500),
    ]


def test_hands_are_leased_shards_and_their_owners(store: Store):
    """Two shards, one worker; a settled shard is in nobody's hands."""
    job_id = a_stored_job(store, rows_count=6, shard_size=2)
    for no in (0, 1, 2):
        held = claimed(store, job_id, no)
    settled(store, held, [done(held, 4), done(held, 5)])
    with store.read() as connection:
        assert jobpage.hands_on(connection, job_id) == jobpage.Hands(shards=2, workers=1)


# -- plans ----------------------------------------------------------------------------------------


@contextmanager
def plans_of(connection: Connection):
    """Collects the plan of every statement sent meanwhile."""
    found: list[str] = []
    sqlite = connection.dialect.name == "sqlite"

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        prefix = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        if statement.lstrip().upper().startswith("SELECT"):
            cursor.execute(prefix + statement, parameters)
            found.append("\n".join(str(line) for line in cursor.fetchall()))

    event.listen(connection.engine, "before_cursor_execute", explain)
    try:
        yield found
    finally:
        event.remove(connection.engine, "before_cursor_execute", explain)


@pytest.fixture
def big(store: Store) -> str:
    """A job among others, large enough that a planner has a reason to use an index."""
    many = [a_stored_job(store, rows_count=400, shard_size=20) for _ in range(3)]
    held = claimed(store, many[1])
    outcomes = [
        RowSettled(*held, seq, Failed(FailureCode.REFUSED, "no")) for seq in range(0, 20, 2)
    ]
    settled(store, held, outcomes)
    if not store.is_sqlite:
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    return many[1]


READS: list[Callable[[Connection, Any], object]] = [
    jobpage.failures,
    lambda connection, job: jobpage.newest_events(connection, job.id),
    lambda connection, job: money.costs(connection, "model", job.id),
    lambda connection, job: pulses.series(connection, job.id),
    lambda connection, job: deliveries.newest(connection, subject_id=job.id),
    lambda connection, job: jobpage.doubts_by_reason(connection, job.id),
    jobpage.ancestors,
    lambda connection, job: jobpage.children(connection, job.id),
    lambda connection, job: jobpage.hands_on(connection, job.id),
]


def test_failed_rows_are_found_by_their_own_index(store: Store, big: str):
    """Neither the count nor the samples read rows that did not fail."""
    job = the_job(store, big)
    with store.read() as connection, plans_of(connection) as plans:
        jobpage.failures(connection, job)
    assert len(plans) == 2
    for plan in plans:
        assert "rows_failed" in plan
        assert not re.search(r"Seq Scan on rows|SCAN rows|rows_by|rows_pkey", plan), plan


def test_no_query_walks_a_whole_table(store: Store, big: str):
    """Every one has an index to go by. PostgreSQL, which may walk a tiny table, is told not to."""
    job = the_job(store, big)
    with store.read() as connection, plans_of(connection) as plans:
        if not store.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for read in READS:
            read(connection, job)
    assert len(plans) >= len(READS) - 1  # this job has no parent to ask for
    walks = r"SCAN (jobs|rows|shards|events|doubts|spending|pulses|deliveries)\b|Seq Scan"
    assert not [plan for plan in plans if re.search(walks, plan)]
