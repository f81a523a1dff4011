"""Jobs: every move from every state, with its event; creation; settling; retry."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from builders import (
    a_job,
    a_stored_job,
    assert_all_rows_accounted_for,
    at_once,
    bounds_of,
    claimed,
    done,
    failed,
    settled,
    some_rows,
    the_job,
)
from sqlalchemy import Connection, text, update
from sqlalchemy.exc import IntegrityError

from models.states import JOB_TRANSITIONS, JobState, RowState
from models.store import events, jobs, retries, rows, shards
from models.store.engine import Store

MOVES: dict[str, tuple[Callable[[Connection, str], Any], set[JobState], JobState]] = {
    "start": (jobs.start, {JobState.QUEUED, JobState.WAITING}, JobState.RUNNING),
    "pause": (
        lambda connection, job_id: jobs.pause(connection, job_id, "why"),
        {JobState.QUEUED, JobState.RUNNING, JobState.WAITING},
        JobState.PAUSED,
    ),
    "resume": (jobs.resume, {JobState.PAUSED}, JobState.QUEUED),
    "cancel": (
        jobs.cancel,
        {JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.PAUSED},
        JobState.CANCELLED,
    ),
    "retry": (retries.retry, {JobState.SUCCEEDED, JobState.FAILED}, JobState.QUEUED),
    "settle": (
        jobs.settle_if_done,
        {JobState.RUNNING, JobState.WAITING, JobState.PAUSED},
        JobState.FAILED,
    ),
}


def _events(store: Store, job_id: str) -> list[tuple[int, str]]:
    with store.read() as connection:
        return [(event.seq, event.type) for event in events.of_subject(connection, job_id)]


def _all_failed(store: Store, state: JobState) -> str:
    """A job in `state` whose only row failed and whose only shard is done."""
    job_id = a_stored_job(store, rows_count=1, state=state)
    with store.write() as connection:
        connection.execute(
            update(rows.rows)
            .where(rows.rows.c.job_id == job_id)
            .values(state=RowState.FAILED, failure_code="refused", failure_detail="no")
        )
        connection.execute(
            update(shards.shards).where(shards.shards.c.job_id == job_id).values(state="done")
        )
        connection.execute(
            update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(rows_failed=1, shards_done=1)
        )
    return job_id


@pytest.mark.parametrize("state", list(JobState))
@pytest.mark.parametrize("name", list(MOVES))
def test_every_move_from_every_state(store: Store, name: str, state: JobState) -> None:
    """Allowed moves write exactly one event with the next number; forbidden ones change nothing."""
    move, sources, target = MOVES[name]
    job_id = _all_failed(store, state)
    before = the_job(store, job_id)
    with store.write() as connection:
        moved = move(connection, job_id)
    after, written = the_job(store, job_id), _events(store, job_id)
    if state in sources:
        assert moved
        assert after.state == target
        assert target in JOB_TRANSITIONS[state]
        assert written == [(1, "job.queued"), (2, f"job.{target}")]
        assert after.event_seq == 2
    else:
        assert not moved
        assert after == before
        assert written == [(1, "job.queued")]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"rows_failed": 1}, "1 of 1 rows failed, and --max-failed-share 0.05 allows 0"),
        ({"rows_failed": 1_040, "rows_total": 2_000, "max_failed_share": 0.29}, "1,040 of 2,000"),
        ({"rows_failed": 1_040, "rows_total": 2_000, "max_failed_share": 0.29}, "0.29 allows 580"),
        ({"parent_id": "job_run"}, "the stage's max_failed 0.05 allows 0"),
        (
            {"parent_id": "job_run", "kind": "evaluate", "idempotency_key": "job_run/exam/ab0/0"},
            "and the stage's max_failed 0.05 allows 0",
        ),
        (
            {"parent_id": "job_run", "kind": "evaluate", "idempotency_key": "r/t/ab0/0.ranking"},
            "1 of 1 rows failed, and a share of 0.05 allows 0",
        ),
        ({"parent_id": "job_run", "kind": "embed"}, "and a share of 0.05 allows 0"),
        ({"kind": "train"}, "the training failed"),
    ],
)
def test_a_job_that_fails_tells_how_many_did_and_by_which_word_more_may(
    store: Store, facts: dict[str, Any], words: str
) -> None:
    """As its reason, with the event."""
    job_id = _all_failed(store, JobState.RUNNING)
    with store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**facts))
        assert jobs.settle_if_done(connection, job_id) == JobState.FAILED
        told = events.of_subject(connection, job_id)[-1]
    assert words in the_job(store, job_id).state_reason
    assert words in json.loads(told.data)["reason"]


def test_moves_of_what_is_not_there(store: Store) -> None:
    """A move of an unknown job answers no, and writes no event."""
    with store.write() as connection:
        assert [bool(move(connection, "job_none")) for move, _, _ in MOVES.values()] == [False] * 6
        assert events.of_subject(connection, "job_none") == []


def test_one_of_many_movers_wins(store: Store) -> None:
    """Eight threads pause the same job: one wins, one event is written."""
    job_id = a_stored_job(store)

    def pause() -> bool:
        with store.write() as connection:
            return jobs.pause(connection, job_id, "why")

    assert sorted(at_once(*[pause] * 8)) == [False] * 7 + [True]
    assert _events(store, job_id) == [(1, "job.queued"), (2, "job.paused")]


def test_events_are_numbered_per_job(store: Store) -> None:
    """Threads that write events of one job at once get all the numbers, once each, in order."""
    job_id, other = a_stored_job(store), a_stored_job(store)

    def write() -> int:
        with store.write() as connection:
            return events.write(connection, job_id, "job.progressed")

    assert sorted(at_once(*[write] * 6)) == [2, 3, 4, 5, 6, 7]
    assert [seq for seq, _ in _events(store, job_id)] == [1, 2, 3, 4, 5, 6, 7]
    assert [seq for seq, _ in _events(store, other)] == [1]
    with store.read() as connection:
        assert [event.seq for event in events.of_subject(connection, job_id, after=5)] == [6, 7]


def test_an_event_needs_its_job(store: Store) -> None:
    """No event is ever written for a job that does not exist."""
    with pytest.raises(Exception, match="No row"), store.write() as connection:
        events.write(connection, "job_none", "job.queued")
    assert _events(store, "job_none") == []


def test_a_job_its_rows_and_shards_are_created_together(store: Store) -> None:
    """All of them are there after the commit, with the database's time, and read back equal."""
    job_id = a_stored_job(store, rows_count=5, shard_size=2, name="amira", priority=3)
    job = the_job(store, job_id)
    assert (job.state, job.name, job.priority, job.rows_total) == ("queued", "amira", 3, 5)
    assert abs(job.created_at - store.now()) < 5
    with store.read() as connection:
        found = [rows.open_of_shard(connection, job_id, no) for no in range(3)]
    assert [[row.row_id for row in shard] for shard in found] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]
    assert found[0][0].data == {"id": "r0"}


def test_nothing_is_left_of_a_submission_that_died(store: Store) -> None:
    """Killed between rows and commit: no job, no row, no shard, no event."""
    job = a_job(rows_total=3, shards_total=2)
    with pytest.raises(RuntimeError), store.write() as connection:
        jobs.create(connection, job)
        rows.insert_all(connection, some_rows(job.id, 3, 2))
        shards.create(connection, job.id, bounds_of(3, 2))
        raise RuntimeError("killed")
    with store.read() as connection:
        for table in ("jobs", "rows", "shards", "events"):
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


def test_an_idempotency_key_is_unique(store: Store) -> None:
    """Two jobs under one key cannot both be committed."""
    a_stored_job(store, idempotency_key="k")
    with pytest.raises(IntegrityError):
        a_stored_job(store, idempotency_key="k")
    with store.read() as connection:
        assert jobs.by_idempotency_key(connection, "k") is not None
        assert jobs.by_idempotency_key(connection, "other") is None


def test_jobs_are_found(store: Store) -> None:
    """By the beginning of the id (no wildcards), the fingerprint, the state, newest first."""
    first = a_stored_job(store, id="job_aa", fingerprint="f")
    a_stored_job(store, id="job_ab", fingerprint="f", state="paused")
    a_stored_job(store, id="job_b", fingerprint="g", state="cancelled")
    with store.read() as connection:
        assert sorted(jobs.like(connection, "job_a")) == ["job_aa", "job_ab"]
        assert jobs.like(connection, "%") == []
        assert jobs.like(connection, "job%a") == []
        assert [job.id for job in jobs.newest(connection)] == ["job_b", "job_ab", "job_aa"]
        assert [job.id for job in jobs.newest(connection, limit=1)] == ["job_b"]
        assert [job.id for job in jobs.newest(connection, state="queued")] == [first]
        newest = jobs.by_fingerprint(connection, "f")
        assert newest is not None and newest.id == "job_ab"
        assert jobs.by_fingerprint(connection, "g") is None, "it was given up"
        told = jobs.control(connection, ["job_ab", "job_none"])
        assert {one: control.state for one, control in told.items()} == {"job_ab": "paused"}


def test_a_move_tells_its_reason_and_times(store: Store) -> None:
    """A pause says why; starting again keeps the first start; a resume forgets the reason."""
    job_id = a_stored_job(store)
    with store.write() as connection:
        jobs.start(connection, job_id)
    started = the_job(store, job_id).started_at
    with store.write() as connection:
        jobs.pause(connection, job_id, "money: 402")
    assert the_job(store, job_id).state_reason == "money: 402"
    with store.write() as connection:
        jobs.resume(connection, job_id)
        jobs.start(connection, job_id)
    job = the_job(store, job_id)
    assert started is not None
    assert (job.started_at, job.state_reason, job.finished_at) == (started, "", None)


@pytest.mark.parametrize(
    ("share", "total", "failures", "ends_as"),
    [
        (0.0, 4, 0, "succeeded"),
        (0.0, 4, 1, "failed"),
        (0.05, 20, 0, "succeeded"),
        (0.05, 20, 1, "succeeded"),
        (0.05, 20, 2, "failed"),
        (0.29, 100, 29, "succeeded"),
        (0.29, 100, 30, "failed"),
        (0.07, 100, 7, "succeeded"),
        (1.0, 4, 4, "succeeded"),
        (0.5, 1, 1, "failed"),
    ],
)
def test_the_last_shard_settles_the_job(
    store: Store, share: float, total: int, failures: int, ends_as: str
) -> None:
    """As many failures as allowed succeed, one more fails; state and event come together."""
    job_id = a_stored_job(store, rows_count=total, shard_size=total, max_failed_share=share)
    held = claimed(store, job_id)
    outcomes = [failed(held, seq) if seq < failures else done(held, seq) for seq in range(total)]
    assert settled(store, held, outcomes)
    job = the_job(store, job_id)
    assert job.state == ends_as
    assert job.finished_at is not None
    assert bool(job.state_reason) == (ends_as == "failed")
    assert _events(store, job_id)[1:] == [(2, "job.running"), (3, f"job.{ends_as}")]
    with store.read() as connection:
        data = events.of_subject(connection, job_id)[-1].data
    assert f'"rows_failed":{failures}' in data
    assert_all_rows_accounted_for(store, job_id)


def test_settling_is_undone_with_its_transaction(store: Store) -> None:
    """The shard, the job and the event of the last settlement stand or fall together."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    with pytest.raises(RuntimeError), store.write() as connection:
        rows.settle(connection, [done(held, 0)])
        assert shards.settle(connection, held)
        raise RuntimeError("killed")
    assert the_job(store, job_id).state == "running"
    assert _events(store, job_id)[-1] == (2, "job.running")
    assert_all_rows_accounted_for(store, job_id)
    assert settled(store, held, [done(held, 0)])
    assert the_job(store, job_id).state == "succeeded"


def test_a_job_settles_when_its_last_shard_does(store: Store) -> None:
    """Not before, whatever order the shards end in, and when they end at the same time."""
    job_id = a_stored_job(store, rows_count=8, shard_size=1)
    leases = [claimed(store, job_id, no) for no in range(8)]
    assert settled(store, leases[7], [done(leases[7], 7)])
    assert the_job(store, job_id).state == "running"
    ends = [lambda held=held: settled(store, held, [done(held, held[1])]) for held in leases[:7]]
    assert all(at_once(*ends))
    job = the_job(store, job_id)
    assert (job.state, job.shards_done) == ("succeeded", 8)
    assert [kind for _, kind in _events(store, job_id)].count("job.succeeded") == 1


def test_a_paused_job_with_nothing_left_is_settled(store: Store) -> None:
    """Rows in flight finish under a pause; the last of them settles the job."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    with store.write() as connection:
        assert jobs.pause(connection, job_id, "by hand")
    assert settled(store, held, [done(held, 0)])
    assert the_job(store, job_id).state == "succeeded"


def test_a_resumed_job_whose_last_shard_was_in_flight_is_settled(store: Store) -> None:
    """Paused and resumed while its last shard runs: nobody claims again, and still it ends."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    with store.write() as connection:
        assert jobs.pause(connection, job_id, "by hand")
        assert jobs.resume(connection, job_id)
    assert settled(store, held, [done(held, 0)])
    assert the_job(store, job_id).state == "succeeded"


def test_a_cancelled_job_stays_cancelled(store: Store) -> None:
    """Rows in flight are kept, but no settlement brings a cancelled job back."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    with store.write() as connection:
        assert jobs.cancel(connection, job_id)
    assert settled(store, held, [done(held, 0)])
    job = the_job(store, job_id)
    assert (job.state, job.rows_done) == ("cancelled", 1)


def test_retry_opens_failed_rows_only(store: Store) -> None:
    """Done rows and their shards stay; failed ones are drawn anew, and the counters agree."""
    job_id = a_stored_job(store, rows_count=6, shard_size=2, max_failed_share=1.0)
    for no, outcome in enumerate((done, failed, done)):
        held = claimed(store, job_id, no)
        assert settled(store, held, [done(held, 2 * no), outcome(held, 2 * no + 1)])
    with store.write() as connection:
        assert retries.retry(connection, job_id) == 1
    job = the_job(store, job_id)
    assert (job.state, job.rows_done, job.rows_failed) == ("queued", 5, 0)
    assert (job.shards_done, job.finished_at) == (2, None)
    assert_all_rows_accounted_for(store, job_id)
    with store.read() as connection:
        opened = [rows.open_of_shard(connection, job_id, no) for no in range(3)]
        assert jobs.workable_with_open_shards(connection) == [job_id]
        assert rows.failures(connection, job_id) == []
    assert [[(row.seq, row.attempt) for row in shard] for shard in opened] == [[], [(3, 1)], []]
    with store.write() as connection:
        assert retries.retry(connection, job_id) == 0, "it is on its way already"
        window = shards.take_window(connection, job_id, slots=8)
    assert [message.no for message in window] == [1]
    held = claimed(store, job_id, 1)
    assert settled(store, held, [done(held, 3)])
    job = the_job(store, job_id)
    assert (job.state, job.rows_done, job.shards_done) == ("succeeded", 6, 3)


def test_retry_with_nothing_failed_is_refused(store: Store) -> None:
    """A job without failed rows is left as it is."""
    job_id = a_stored_job(store, rows_count=1)
    held = claimed(store, job_id)
    settled(store, held, [done(held, 0)])
    before = the_job(store, job_id)
    with store.write() as connection:
        assert retries.retry(connection, job_id) == 0
    assert the_job(store, job_id) == before


def test_two_retries_at_once_open_once(store: Store) -> None:
    """Of many retries one wins; rows are counted back once."""
    job_id = a_stored_job(store, rows_count=4, shard_size=2)
    for no in range(2):
        held = claimed(store, job_id, no)
        settled(store, held, [failed(held, 2 * no), failed(held, 2 * no + 1)])

    def retry() -> int:
        with store.write() as connection:
            return retries.retry(connection, job_id)

    assert sorted(at_once(*[retry] * 4)) == [0, 0, 0, 4]
    assert_all_rows_accounted_for(store, job_id)
    assert the_job(store, job_id).shards_done == 0


def test_workable_jobs_come_by_priority(store: Store) -> None:
    """Jobs with shards nobody was rung for: urgent ones first, stopped ones not at all."""
    late = a_stored_job(store, priority=9)
    first = a_stored_job(store, priority=0)
    second = a_stored_job(store, priority=0)
    a_stored_job(store, priority=0, state="paused")
    rung = a_stored_job(store, priority=0)
    with store.write() as connection:
        shards.take_window(connection, rung, slots=8)
        assert jobs.workable_with_open_shards(connection) == [first, second, late]


def test_counting_what_is_no_counter_is_a_bug(store: Store) -> None:
    """A name outside the list fails loudly, and moves nothing."""
    job_id = a_stored_job(store)
    with pytest.raises(AssertionError), store.write() as connection:
        jobs.count(connection, job_id, {"rows_total": 1})
    assert the_job(store, job_id).rows_total == 4
