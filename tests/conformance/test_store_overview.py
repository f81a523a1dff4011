"""The numbers of `/metrics`, counted on a real database."""

from typing import Any

import pytest
from builders import a_call, a_stored_job, claimed, done, failed, settled
from sqlalchemy import insert, update

from models.store import calls, events, fleet, rows, shards
from models.store.engine import Store
from models.store.views import overview


def look(store: Store) -> overview.Overview:
    """All of it."""
    with store.read() as connection:
        return overview.overview(connection)


def change(store: Store, statement: Any) -> None:
    """One write of a test's own."""
    with store.write() as connection:
        connection.execute(statement)


def test_an_empty_database_is_zeros(store: Store) -> None:
    """No error, and nothing is late."""
    found = look(store)
    assert (found.jobs, found.unfinished, found.spent, found.models) == ({}, [], {}, [])
    assert found.rows == {"done": 0, "failed": 0, "open": 0}
    assert found.shards == {"open": 0, "leased": 0}
    ages = (found.lease_overdue_s, found.unrelayed_oldest_s, found.deliveries_late_s)
    assert (ages, found.workers) == ((0, 0, 0), 0)


def test_rows_and_shards_of_unfinished_jobs_are_counted(store: Store) -> None:
    """What is cancelled or done weighs nothing; every job stands in its state."""
    job = a_stored_job(store, rows_count=6, shard_size=2, name="amira", budget_nano=5)
    a_stored_job(store, rows_count=8, state="cancelled")
    paused = a_stored_job(store, rows_count=2, state="paused")
    held = claimed(store, job)
    with store.write() as connection:
        rows.settle(connection, [done(held, 0), failed(held, 1)])
    found = look(store)
    assert found.jobs == {"running": 1, "cancelled": 1, "paused": 1}
    assert found.rows == {"done": 1, "failed": 1, "open": 6}
    assert found.shards == {"open": 3, "leased": 1}
    assert {told.id for told in found.unfinished} == {job, paused}
    (mine,) = (told for told in found.unfinished if told.id == job)
    assert (mine.name, mine.rows_total, mine.rows_done, mine.budget_nano) == ("amira", 6, 1, 5)


def test_only_so_many_jobs_are_told_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest; the sums are of all of them."""
    monkeypatch.setattr(overview, "MOST_JOBS", 2)
    jobs = [a_stored_job(store, rows_count=1, shard_size=1) for _ in range(3)]
    found = look(store)
    assert [job.id for job in found.unfinished] == jobs[:0:-1]
    assert found.rows["open"] == 3


def test_a_lease_that_ran_out_is_overdue_until_it_is_swept(store: Store) -> None:
    """The oldest counts; a living one does not."""
    job = a_stored_job(store)
    claimed(store, job, 0, lease_s=60)
    assert look(store).lease_overdue_s == 0
    claimed(store, job, 1, lease_s=-30)
    assert 29 < look(store).lease_overdue_s < 60
    with store.write() as connection:
        shards.reopen_expired(connection)
    assert look(store).lease_overdue_s == 0


def test_money_is_told_by_model_and_unknown_prices_apart(store: Store) -> None:
    """Of all jobs together."""
    jobs = [a_stored_job(store) for _ in range(2)]
    with store.write() as connection:
        calls.store(connection, [a_call(job_id=job) for job in jobs])
        calls.store(connection, [a_call(job_id=jobs[0], model="unknown", cost_nano=None)])
    assert look(store).spent == {
        "mistral-small-latest": overview.Spent(2, 0, 2000),
        "unknown": overview.Spent(1, 1, 0),
    }


def test_events_that_nobody_relayed_have_an_age(store: Store) -> None:
    """The oldest of those that wait; relayed ones do not count."""
    a_stored_job(store)
    a_stored_job(store)
    table = events.events
    change(store, update(table).where(table.c.id == 1).values(created_at=table.c.created_at - 90))
    found = look(store)
    assert found.unrelayed == 2
    assert 89 < found.unrelayed_oldest_s < 120
    change(store, update(table).where(table.c.id == 1).values(relayed_at=1.0))
    found = look(store)
    assert (found.unrelayed, found.unrelayed_oldest_s < 60) == (1, True)


def test_deliveries_that_are_due_have_an_age(store: Store) -> None:
    """Pending ones only; what is due in the future is not late."""
    now = store.now()
    values = {
        "message_id": "evt_x_1",
        "event_type": "job.queued",
        "subject_id": "x",
        "body": "{}",
        "tries": 0,
        "attempts": 0,
        "claims": 0,
        "last_error": "",
        "created_at": 0.0,
    }
    states = [("pending", now - 40), ("pending", now + 900), ("exhausted", now - 9999)]
    made = [
        {**values, "endpoint_id": f"ep_{no}", "state": state, "next_at": at}
        for no, (state, at) in enumerate(states)
    ]
    change(store, insert(overview.sent).values(made))
    found = look(store)
    assert (found.deliveries["pending"], found.deliveries["exhausted"]) == (2, 1)
    assert 39 < found.deliveries_late_s < 70


def test_living_workers_are_added_up(store: Store) -> None:
    """Their spools and backlogs; those who left do not count."""
    with store.write() as connection:
        for worker, size in (("a", 2**40), ("b", 5), ("c", 7)):
            fleet.sign_of_life(
                connection, worker, slots=8, rows_in_flight=0, spool_bytes=size, backlog=3
            )
        fleet.gone(connection, "c")
    found = look(store)
    assert (found.workers, found.spool_bytes, found.backlog) == (2, 2**40 + 5, 6)


def test_a_settled_job_is_unfinished_no_more(store: Store) -> None:
    """It stays in the counts by state."""
    job = a_stored_job(store, rows_count=2)
    held = claimed(store, job)
    settled(store, held, [done(held, 0), done(held, 1)])
    found = look(store)
    assert (found.jobs, found.unfinished) == ({"succeeded": 1}, [])
