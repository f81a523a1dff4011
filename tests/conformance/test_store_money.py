"""Money in the database: what was spent, and holds of a budget that never grant too much."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from builders import a_call, a_doubt, a_key, a_stored_job, at_once, claimed, done, settled, the_job
from sqlalchemy import func, select, update

from models.payloads import Usage
from models.states import JobState
from models.store import calls, events, jobs, money, retries, shards
from models.store.engine import Store
from models.store.money import Cost, Grant

A_WEEK_S = 7 * 86_400


def _store(store: Store, *records: Any) -> None:
    with store.write() as connection:
        calls.store(connection, records)


def _doubt(store: Store, *records: Any) -> None:
    with store.write() as connection:
        calls.doubt(connection, records)


def _costs(store: Store, *how: Any, **named: Any) -> list[Cost]:
    with store.read() as connection:
        return money.costs(connection, *how, **named)


def _hold(store: Store, job_id: str, owner: str, *asked: int, ttl_s: float = 30.0) -> Grant:
    """`asked`: in flight, wanted, and needed at least."""
    in_flight, wanted, needed = (*asked, 0)[:3]
    with store.write() as connection:
        return money.hold(connection, job_id, owner, in_flight, wanted, ttl_s, needed_nano=needed)


def _reach(store: Store, job_id: str, owner: str = "a", needed: int = 10) -> bool:
    with store.write() as connection:
        return money.reach(connection, job_id, owner, needed)


def _held(store: Store, job_id: str) -> int:
    query = select(func.coalesce(func.sum(money.holds.c.nano), 0))
    with store.read() as connection:
        return int(connection.scalar(query.where(money.holds.c.job_id == job_id)) or 0)


def _told(store: Store, job_id: str) -> list[str]:
    with store.read() as connection:
        return [event.type for event in events.of_subject(connection, job_id)]


# -- what was spent --------------------------------------------------------------------------------


def test_paid_calls_add_to_what_was_spent(store: Store) -> None:
    """By job, model and day, in one group and over groups; unpriced calls are counted apart."""
    one, other = a_stored_job(store), a_stored_job(store)
    _store(store, a_call(job_id=one), a_call(job_id=one, model="large", cost_nano=None))
    _store(store, a_call(job_id=one), a_call(job_id=other, usage=Usage(1, 2, 0)))
    by_job = {cost.key: cost for cost in _costs(store)}
    assert by_job[one] == Cost(one, 3, 1, 30, 15, 12, 2000)
    assert by_job[other] == Cost(other, 1, 0, 1, 2, 0, 1000)
    assert [(c.key, c.calls) for c in _costs(store, "model", one)] == [
        ("mistral-small-latest", 2),
        ("large", 1),
    ]
    (today,) = _costs(store, "day")
    assert (today.key, today.calls) == (money.day_of(store.now()).isoformat(), 4)


def test_spending_and_the_jobs_own_sums_agree(store: Store) -> None:
    """A repeated group adds nothing twice; a call paid twice counts twice in both."""
    job_id, key = a_stored_job(store), a_key("again")
    first = [a_call(key, job_id=job_id), a_call(job_id=job_id)]
    _store(store, *first)
    with store.write() as connection:
        calls.replay(connection, [*first, a_call(key, job_id=job_id, answer="another")])
    (spent,) = _costs(store, "job", job_id)
    job = the_job(store, job_id)
    assert (spent.calls, spent.cost_nano) == (job.calls_made, job.cost_nano) == (3, 3000)


def test_doubts_stand_apart(store: Store) -> None:
    """Their estimate is not mixed into what is known; one without an estimate is counted."""
    job_id = a_stored_job(store)
    _store(store, a_call(job_id=job_id))
    _doubt(store, a_doubt(job_id=job_id), a_doubt(job_id=job_id, cost_nano=None))
    for by in ("job", "model", "day"):
        (cost,) = _costs(store, by)
        assert (cost.cost_nano, cost.doubts, cost.doubts_unpriced, cost.doubts_nano) == (
            1000,
            2,
            1,
            500,
        ), by


def test_costs_since_a_day_leave_out_what_was_before(store: Store) -> None:
    """From 0:00 UTC of the day on; days are listed newest first."""
    job_id = a_stored_job(store)
    _store(store, a_call(job_id=job_id))
    _doubt(store, a_doubt(job_id=job_id))
    with store.write() as connection:
        connection.execute(update(money.spending).values(day=money.spending.c.day - 7))
        at = money.doubts.c.created_at - A_WEEK_S
        connection.execute(update(money.doubts).values(created_at=at))
    _store(store, a_call(job_id=job_id), a_call(job_id=job_id))
    today = money.day_of(store.now())
    assert [(c.calls, c.doubts) for c in _costs(store, "day")] == [(2, 0), (1, 1)]
    assert [(c.calls, c.doubts) for c in _costs(store, since=today)] == [(2, 0)]
    assert [c.calls for c in _costs(store, since=today - timedelta(days=7))] == [3]
    assert _costs(store, since=today + timedelta(days=1)) == []


def test_the_database_names_the_utc_day(store: Store) -> None:
    """Neither rounded nor local: what is spent at 23:59 UTC is that day's."""
    assert money.day_of(datetime(2026, 3, 1, 23, 59, tzinfo=UTC).timestamp()) == date(2026, 3, 1)
    with store.read() as connection:
        days, now = connection.execute(select(money.today(), money.now_s())).one()
    assert days == int(now // money.DAY_S)


# -- who may spend ---------------------------------------------------------------------------------


def test_what_is_spent_doubted_and_held_is_not_granted_again(store: Store) -> None:
    """Of 10,000: 1,000 paid, 500 in doubt, 3,000 held by another; never more than what is left."""
    job_id = a_stored_job(store, budget_nano=10_000)
    _store(store, a_call(job_id=job_id))
    _doubt(store, a_doubt(job_id=job_id))
    assert _hold(store, job_id, "b", 3_000, 0) == Grant(0, 0)
    assert _hold(store, job_id, "a", 0, 9_999, 5_500) == Grant(5_500, 3_000)
    assert _hold(store, job_id, "a", 5_500, 100, 1) == Grant(0, 3_000)
    assert _held(store, job_id) == 8_500


def test_a_slice_leaves_something_for_others(store: Store) -> None:
    """A quarter of what is left at most, unless one call needs more; never less than it needs."""
    job_id = a_stored_job(store, budget_nano=1_000)
    assert _hold(store, job_id, "a", 0, 1_000).nano == 250
    assert _hold(store, job_id, "b", 0, 1_000, 700).nano == 700
    assert _hold(store, job_id, "c", 0, 1_000, 60).nano == 0
    assert _hold(store, job_id, "c", 0, 1_000, 50).nano == 50


def test_a_hold_that_is_not_renewed_is_not_counted(store: Store) -> None:
    """Its process is gone; what it gave back before is free at once."""
    job_id = a_stored_job(store, budget_nano=1_000)
    _hold(store, job_id, "dead", 900, 0, ttl_s=-1)
    assert _hold(store, job_id, "a", 0, 1_000, 800) == Grant(800, 0)
    _hold(store, job_id, "a", 0, 0)
    assert _held(store, job_id) == 0


def test_the_budget_is_reached_once_and_told(store: Store) -> None:
    """Event and pause in one go, by whoever is first; nobody pauses while others hold money."""
    job_id = a_stored_job(store, state=JobState.RUNNING, budget_nano=1_005)
    _store(store, a_call(job_id=job_id))
    _hold(store, job_id, "b", 3, 0)
    assert not _reach(store, job_id)
    _hold(store, job_id, "b", 0, 0)
    assert not _reach(store, job_id, needed=5)
    reached = at_once(*(partial(_reach, store, job_id, owner) for owner in "abcd"))
    assert sorted(reached) == [False, False, False, True]
    job = the_job(store, job_id)
    assert job.state == JobState.PAUSED
    assert job.state_reason.startswith("budget: ")
    assert f"maestrale resume {job_id} --budget MORE" in job.state_reason
    assert _told(store, job_id) == ["job.queued", "budget.reached", "job.paused"]


def test_a_job_without_a_budget_is_never_refused(store: Store) -> None:
    """Also one whose budget went while a worker still asked for it."""
    job_id = a_stored_job(store)
    assert _hold(store, job_id, "a", 0, 77, 5).nano == 77
    assert not _reach(store, job_id)


def test_resume_takes_the_larger_budget_with_it(store: Store) -> None:
    """One guarded move; what counts as spent is known for the check before it."""
    job_id = a_stored_job(store, state=JobState.PAUSED, budget_nano=1_000)
    _store(store, a_call(job_id=job_id))
    _doubt(store, a_doubt(job_id=job_id))
    with store.write() as connection:
        assert money.spent_nano(connection, job_id) == 1_500
        assert jobs.resume(connection, job_id, budget_nano=5_000)
        assert not jobs.resume(connection, job_id, budget_nano=9_000)
    assert (the_job(store, job_id).state, the_job(store, job_id).budget_nano) == ("queued", 5_000)


def test_a_resumed_job_is_rung_for_at_once(store: Store) -> None:
    """Messages that came while it was paused were no-ops: its open shards count as not rung for."""
    job_id = a_stored_job(store, rows_count=6, shard_size=2)
    with store.write() as connection:
        assert len(shards.take_window(connection, job_id, slots=8)) == 3
        assert jobs.pause(connection, job_id, "paused")
    with store.write() as connection:
        assert jobs.resume(connection, job_id)
        assert len(shards.take_window(connection, job_id, slots=8)) == 3


@pytest.mark.parametrize("seed", [1, 2])
def test_processes_that_race_never_spend_more_than_there_is(
    store: Store, open_another: Callable[[], Store], seed: int
) -> None:
    """Four owners ask, pay late and give back at random until nothing is granted: I5, to the end.

    A fifth, with the job's lock, adds it all up again and again: never above the budget.
    """
    budget = 50_000
    job_id = a_stored_job(store, budget_nano=budget)
    over: list[int] = []
    ended = threading.Event()

    def spend(place: int) -> int:
        mine, dice, owner, paid = open_another(), Random(seed * 10 + place), f"o{place}", 0
        kept = 0
        while True:
            grant = _hold(mine, job_id, owner, kept, dice.randrange(1_000, 9_000), 1_000)
            if not grant.nano and not kept:
                return paid
            kept += grant.nano
            calls_now = min(kept // 1_000, dice.randrange(1, 9))
            _store(mine, *(a_call(job_id=job_id) for _ in range(calls_now)))
            kept, paid = kept - 1_000 * calls_now, paid + calls_now
            if not grant.nano:
                kept = 0  # what is left over goes back with the next question

    def audit() -> int:
        mine = open_another()
        while not ended.is_set():
            with mine.write() as connection:
                jobs.lock(connection, [job_id])
                held = (
                    connection.scalar(select(func.coalesce(func.sum(money.holds.c.nano), 0))) or 0
                )
                spent = money.spent_nano(connection, job_id)
            # what is committed and still held is counted twice, and only until the next question
            if spent > budget or (int(held) > budget):
                over.append(spent)
            ended.wait(0.01)
        return 0

    def spend_all() -> int:
        try:
            return sum(at_once(*(partial(spend, place) for place in range(4))))
        finally:
            ended.set()

    paid, _ = at_once(spend_all, audit)
    assert not over
    assert paid * 1_000 <= budget
    assert paid >= budget // 1_000 - 4
    assert the_job(store, job_id).cost_nano == paid * 1_000


# -- progress --------------------------------------------------------------------------------------


def _ago(store: Store, job_id: str, **columns: float) -> None:
    """Moves times of the job into the past, by seconds."""
    with store.write() as connection:
        values = {name: money.now_s() - seconds for name, seconds in columns.items()}
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**values))


def test_progress_is_told_at_a_new_tenth_once_a_minute(store: Store) -> None:
    """Not within the first minute, not twice for a tenth, and never at the end."""
    job_id = a_stored_job(store, rows_count=20, shard_size=20)
    held = claimed(store, job_id)
    settled(store, held, [done(held, seq) for seq in range(4)])
    assert "job.progressed" not in _told(store, job_id)
    _ago(store, job_id, started_at=61)
    settled(store, held, [done(held, 4)])
    assert _told(store, job_id).count("job.progressed") == 1
    settled(store, held, [done(held, seq) for seq in range(5, 10)])
    assert _told(store, job_id).count("job.progressed") == 1
    _ago(store, job_id, progress_told_at=61)
    settled(store, held, [done(held, 10)])
    assert _told(store, job_id).count("job.progressed") == 2
    _ago(store, job_id, progress_told_at=61)
    settled(store, held, [done(held, 11)])
    settled(store, held, [done(held, seq) for seq in range(12, 20)])
    assert _told(store, job_id)[-2:] == ["job.progressed", "job.succeeded"]
    assert _told(store, job_id).count("job.progressed") == 3
    assert the_job(store, job_id).progress_told == 6


def test_a_retried_job_begins_to_tell_anew(store: Store) -> None:
    """From what stays done, and a minute after the retry."""
    from builders import failed  # noqa: PLC0415 # only here

    job_id = a_stored_job(store, rows_count=10, shard_size=10)
    held = claimed(store, job_id)
    outcomes = [failed(held, seq) for seq in range(8)]
    settled(store, held, [*outcomes, done(held, 8), done(held, 9)])
    _ago(store, job_id, started_at=600)
    with store.write() as connection:
        assert retries.retry(connection, job_id) == 8
    assert the_job(store, job_id).progress_told == 2
    held = claimed(store, job_id)
    settled(store, held, [done(held, 0)])
    assert "job.progressed" not in _told(store, job_id)
    _ago(store, job_id, progress_told_at=61)
    settled(store, held, [done(held, 1)])
    assert _told(store, job_id)[-1] == "job.progressed"


# -- control ---------------------------------------------------------------------------------------


def test_a_priority_is_changed_while_there_is_work(store: Store) -> None:
    """Workers read it with the states; a settled job keeps what it had."""
    job_id = a_stored_job(store, budget_nano=1)
    ended = a_stored_job(store, state=JobState.SUCCEEDED)
    with store.write() as connection:
        assert jobs.set_priority(connection, job_id, 1)
        assert not jobs.set_priority(connection, ended, 1)
        told = jobs.control(connection, [job_id, ended, "job_none"])
    assert told == {
        job_id: jobs.Control(JobState.QUEUED, 1, has_budget=True),
        ended: jobs.Control(JobState.SUCCEEDED, 5, has_budget=False),
    }
