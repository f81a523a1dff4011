"""Shards: leases, tokens, the window of messages, and what the sweeper finds."""

from functools import partial
from typing import Any

import pytest
from builders import (
    a_stored_job,
    assert_all_rows_accounted_for,
    at_once,
    claimed,
    done,
    failed,
    settled,
    the_job,
)
from sqlalchemy import event, func, select, update

from models.shares import Wanting
from models.states import JobState, ShardState
from models.store import fleet, jobs, rows, shards
from models.store.engine import Store
from models.store.engine import now_s as database_now
from models.tables import Shard

table = shards.shards


def _shard(store: Store, job_id: str, no: int = 0) -> Shard:
    with store.read() as connection:
        query = select(table).where(table.c.job_id == job_id, table.c.no == no)
        return Shard(**connection.execute(query).mappings().one())


def _claim(store: Store, job_id: str, no: int = 0, *, owner: str = "w") -> shards.Claim | None:
    with store.write() as connection:
        return shards.claim(connection, job_id, no, owner=owner, lease_s=60)


def _window(store: Store, job_id: str, slots: int = 4) -> list[int]:
    with store.write() as connection:
        return [message.no for message in shards.take_window(connection, job_id, slots=slots)]


def _sent_long_ago(store: Store, job_id: str, seconds: float) -> None:
    """The job's messages were sent that long ago by the database's clock."""
    with store.write() as connection:
        connection.execute(
            update(table)
            .where(table.c.job_id == job_id, table.c.published_at.is_not(None))
            .values(published_at=table.c.published_at - seconds)
        )


def test_a_claim_takes_the_shard_and_starts_the_job(store: Store) -> None:
    """It carries all a worker needs, raises the token, and the lease is timed by the database."""
    job_id = a_stored_job(store, priority=2)
    claim = _claim(store, job_id)
    assert claim is not None
    assert (claim.token, claim.deaths, claim.kind, claim.priority) == (1, 0, "generate", 2)
    assert claim.spec == the_job(store, job_id).spec
    shard = _shard(store, job_id)
    assert (shard.state, shard.token, shard.owner) == ("leased", 1, "w")
    assert shard.lease_until is not None
    assert 50 < shard.lease_until - store.now() <= 60
    assert the_job(store, job_id).state == "running"
    assert _shard(store, job_id, 1).state == "open"


def test_one_of_many_claimers_wins(store: Store) -> None:
    """Every message delivered eight times at once: one runner per shard, one started event."""
    job_id = a_stored_job(store, rows_count=3, shard_size=1)
    for no in range(3):
        claims = at_once(*[partial(_claim, store, job_id, no)] * 8)
        assert [claim is not None for claim in claims].count(True) == 1
        assert _shard(store, job_id, no).token == 1
    assert the_job(store, job_id).event_seq == 2


def test_a_second_delivery_is_a_no_op(store: Store) -> None:
    """A shard in hand or done cannot be claimed; nor can one that does not exist."""
    job_id = a_stored_job(store, rows_count=2, shard_size=1)
    held = claimed(store, job_id)
    before = _shard(store, job_id)
    assert _claim(store, job_id) is None
    assert _shard(store, job_id) == before
    assert settled(store, held, [done(held, 0)])
    assert _claim(store, job_id) is None
    assert _shard(store, job_id).state == "done"
    assert _claim(store, job_id, 99) is None
    assert _claim(store, "job_none") is None


@pytest.mark.parametrize("state", list(JobState))
def test_only_workable_jobs_give_claims_and_messages(store: Store, state: JobState) -> None:
    """A paused, cancelled or settled job's shard is neither claimed nor rung for."""
    job_id = a_stored_job(store, state=state)
    is_workable = state in {JobState.QUEUED, JobState.RUNNING, JobState.WAITING}
    assert bool(_window(store, job_id)) == is_workable
    assert (_claim(store, job_id) is not None) == is_workable
    if not is_workable:
        assert _shard(store, job_id) == Shard(job_id=job_id, no=0, first_seq=0, last_seq=1)
        assert the_job(store, job_id).state == state


def test_a_claim_waits_for_a_pause_under_way(store: Store) -> None:
    """A pause that was answered holds: a claim made while it commits comes too late."""
    job_id = a_stored_job(store)

    def pause() -> bool:
        with store.write() as connection:
            return jobs.pause(connection, job_id, "by hand")

    answers = at_once(pause, partial(_claim, store, job_id))
    assert answers[0]
    job = the_job(store, job_id)
    assert job.state == "paused"
    assert (job.started_at is None) == (answers[1] is None), "claimed before, or not at all"


def test_a_heartbeat_prolongs_and_tells_what_is_lost(store: Store) -> None:
    """Leases still ours live on; those taken over, done or unknown are answered."""
    job_id = a_stored_job(store, rows_count=3, shard_size=1)
    kept = claimed(store, job_id, 0, lease_s=1)
    taken = claimed(store, job_id, 1, lease_s=-1)
    ended = claimed(store, job_id, 2)
    settled(store, ended, [done(ended, 2)])
    with store.write() as connection:
        shards.reopen_expired(connection)
    anew = claimed(store, job_id, 1)
    with store.write() as connection:
        lost = shards.heartbeat(connection, [kept, taken, ended, ("job_x", 0, 1)], lease_s=100)
    assert lost == {taken, ended, ("job_x", 0, 1)}
    until = _shard(store, job_id).lease_until
    assert until is not None and until - store.now() > 90
    assert _shard(store, job_id, 1).token == anew[2] == 2


def test_handing_back_is_no_death(store: Store) -> None:
    """The shard is open for the next to claim, at once, under a new token."""
    job_id = a_stored_job(store)
    _window(store, job_id)
    held = claimed(store, job_id)
    with store.write() as connection:
        assert shards.hand_back(connection, held)
        assert not shards.hand_back(connection, held), "it is not ours any more"
    shard = _shard(store, job_id)
    assert (shard.state, shard.owner, shard.lease_until) == ("open", "", None)
    assert (shard.deaths, shard.published_at) == (0, None)
    assert 0 in _window(store, job_id)
    assert claimed(store, job_id)[2] == 2


def test_settling_waits_for_every_row(store: Store) -> None:
    """A shard with an open row is not settled, and stays leased."""
    job_id = a_stored_job(store)
    held = claimed(store, job_id)
    assert not settled(store, held, [done(held, 0)])
    shard = _shard(store, job_id)
    assert (shard.state, shard.token) == ("leased", 1)
    assert the_job(store, job_id).shards_done == 0
    assert settled(store, held, [failed(held, 1)])
    assert not settled(store, held, []), "only once"
    assert the_job(store, job_id).shards_done == 1


def test_an_old_token_changes_nothing(store: Store) -> None:
    """Who lost the lease can neither settle, hand back nor prolong it, nor pass the fence."""
    job_id = a_stored_job(store)
    old = claimed(store, job_id, lease_s=-1)
    with store.write() as connection:
        assert shards.reopen_expired(connection) == [(job_id, 0)]
        assert shards.tokens_in_force(connection, [(job_id, 0)]) == {}, "nobody has it"
    new = claimed(store, job_id)
    before = _shard(store, job_id)
    with store.write() as connection:
        rows.settle(connection, [done(new, 0), done(new, 1)])
        assert not shards.settle(connection, old)
        assert not shards.hand_back(connection, old)
        assert shards.heartbeat(connection, [old], lease_s=60) == {old}
        force = shards.tokens_in_force(connection, [(job_id, 0), (job_id, 1), ("job_x", 0)])
    assert force == {(job_id, 0): new[2]}
    assert _shard(store, job_id) == before


def test_a_death_is_counted_where_a_lease_ran_out(store: Store) -> None:
    """Only expired leases open, once; the next claim is told of the death."""
    job_id = a_stored_job(store, rows_count=3, shard_size=1)
    claimed(store, job_id, 0, lease_s=-1)
    claimed(store, job_id, 1, lease_s=60)
    with store.write() as connection:
        assert shards.reopen_expired(connection) == [(job_id, 0)]
        assert shards.reopen_expired(connection) == []
    assert [_shard(store, job_id, no).deaths for no in range(3)] == [1, 0, 0]
    assert _shard(store, job_id).published_at is None
    claim = _claim(store, job_id)
    assert claim is not None and (claim.deaths, claim.token) == (1, 2)


def test_two_sweepers_count_one_death(store: Store) -> None:
    """Sweeps at the same time open each dead lease once."""
    job_id = a_stored_job(store, rows_count=6, shard_size=1)
    for no in range(6):
        claimed(store, job_id, no, lease_s=-1)

    def sweep() -> list[tuple[str, int]]:
        with store.write() as connection:
            return shards.reopen_expired(connection)

    found = [shard for swept in at_once(*[sweep] * 4) for shard in swept]
    assert sorted(found) == [(job_id, no) for no in range(6)]
    assert {_shard(store, job_id, no).deaths for no in range(6)} == {1}


def test_rows_marked_in_hand_bear_the_death(store: Store) -> None:
    """After a death the open rows that were in hand are the suspects; settled ones are not."""
    job_id = a_stored_job(store, rows_count=4, shard_size=4)
    held = claimed(store, job_id)
    with store.write() as connection:
        rows.mark_in_hand(connection, job_id, [0, 1, 2], in_hand=True)
        rows.mark_in_hand(connection, job_id, [1], in_hand=False)
        rows.settle(connection, [done(held, 0)])
        rows.count_deaths(connection, job_id, 0)
        rows.count_deaths(connection, job_id, 0)
        found = rows.open_of_shard(connection, job_id, 0)
    assert [(row.seq, row.deaths) for row in found] == [(1, 0), (2, 1), (3, 0)]


def test_the_window_is_a_few_more_than_the_slots(store: Store) -> None:
    """slots + 4 shards are out at once, in order; as shards end, the next ones follow."""
    job_id = a_stored_job(store, rows_count=20, shard_size=1)
    assert _window(store, job_id, slots=2) == [0, 1, 2, 3, 4, 5]
    assert _window(store, job_id, slots=2) == []
    held = claimed(store, job_id, 3)
    assert _window(store, job_id, slots=2) == [], "a leased shard fills its place"
    assert settled(store, held, [done(held, 3)])
    assert _window(store, job_id, slots=2) == [6]
    assert _window(store, job_id, slots=4) == [7, 8]


def test_messages_carry_ids_and_a_label_for_people(store: Store) -> None:
    """Kind, priority, and which rows of which shard: what Flower shows."""
    job_id = a_stored_job(store, rows_count=5, shard_size=2, priority=3)
    with store.write() as connection:
        messages = shards.take_window(connection, job_id, slots=8)
    assert [message.label for message in messages] == [
        f"generate {job_id} shard 1/3 rows 0-1",
        f"generate {job_id} shard 2/3 rows 2-3",
        f"generate {job_id} shard 3/3 rows 4-4",
    ]
    assert {(m.job_id, m.kind, m.priority) for m in messages} == {(job_id, "generate", 3)}


def test_no_shard_is_published_twice(store: Store) -> None:
    """Eight callers at once share one window: no shard twice, none beyond it."""
    job_id = a_stored_job(store, rows_count=40, shard_size=1)
    taken = at_once(*[partial(_window, store, job_id, 16)] * 8)
    assert sorted(no for numbers in taken for no in numbers) == list(range(20))


def test_refused_messages_are_published_again(store: Store) -> None:
    """What the broker did not take is open for the next ring; a claimed shard is left alone."""
    job_id = a_stored_job(store, rows_count=3, shard_size=1)
    with store.write() as connection:
        messages = shards.take_window(connection, job_id, slots=8)
    claimed(store, job_id, 1)
    with store.write() as connection:
        shards.unpublish(connection, [(m.job_id, m.no) for m in messages])
    assert _shard(store, job_id, 1).published_at is not None
    assert _window(store, job_id, 8) == [0, 2]


def test_lost_messages_are_seen_and_sent_again(store: Store) -> None:
    """A message that nobody took for long is counted, forgotten, and rung for anew."""
    job_id = a_stored_job(store, rows_count=4, shard_size=1)
    stopped = a_stored_job(store, rows_count=1)
    _window(store, job_id)
    _window(store, stopped)
    claimed(store, job_id, 0)
    _sent_long_ago(store, job_id, 100)
    _sent_long_ago(store, stopped, 100)
    with store.write() as connection:
        jobs.pause(connection, stopped, "by hand")
        assert shards.waiting_since(connection, 90) == 3, "leased and stopped ones do not wait"
        assert shards.waiting_since(connection, 110) == 0
        assert shards.forget_messages(connection, 110) == 0
        assert shards.forget_messages(connection, 90) == 4
        assert shards.waiting_since(connection, 0) == 0
        assert jobs.workable_with_open_shards(connection) == [job_id]
    assert _window(store, job_id) == [1, 2, 3]


def test_who_wants_slots_and_who_has_them(store: Store) -> None:
    """Shards held, by process, and those rung for a while ago; of jobs that may run."""
    one, two, stopped, unheard = (
        a_stored_job(store, rows_count=6, shard_size=1, priority=priority)
        for priority in (9, 0, 5, 5)
    )
    for job_id in (one, two, stopped):
        _window(store, job_id, 0)
        _sent_long_ago(store, job_id, 2)
    _window(store, unheard, 0)
    _claim(store, one, 0, owner="a")
    _claim(store, one, 1, owner="b")
    _claim(store, two, 5, owner="b")
    with store.write() as connection:
        jobs.pause(connection, stopped, "by hand")
    with store.read() as connection:
        found = {job.job_id: job for job in shards.wanting(connection)}
    assert found == {
        one: Wanting(one, 9, 2, {"a": 1, "b": 1}),
        two: Wanting(two, 0, 4, {"b": 1}),
    }


def test_the_look_at_who_wants_slots_is_cheap(store: Store) -> None:
    """It reads the few shards that are out, not the many that are not."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by statistics")
    with store.read() as connection:
        waiting = select(func.count()).where(shards._IS_OPEN, table.c.published_at < 7.0)
        words = str(waiting.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}").all()
    assert "shards_rung" in str(plan)


def test_without_slots_known_a_default_holds(store: Store) -> None:
    """The first window of a job is not empty when no worker was seen yet."""
    job_id = a_stored_job(store, rows_count=40, shard_size=1)
    with store.write() as connection:
        taken = shards.take_window(connection, job_id, slots=fleet.slots(connection))
    assert len(taken) == fleet.DEFAULT_SLOTS + 4


def test_mixed_work_of_two_jobs_never_deadlocks(store: Store) -> None:
    """Claims, beats, settlements, windows and sweeps of the same shards at once all go through."""
    ids = [a_stored_job(store, rows_count=12, shard_size=1) for _ in range(2)]
    leases = [claimed(store, job_id, no) for job_id in ids for no in range(6)]

    def settle(held: shards.Held) -> bool:
        return settled(store, held, [done(held, held[1])])

    def beat(order: int) -> None:
        for _ in range(4):
            with store.write() as connection:
                shards.heartbeat(connection, leases[::order], lease_s=60)

    def sweep() -> None:
        for _ in range(4):
            with store.write() as connection:
                shards.reopen_expired(connection)
                shards.forget_messages(connection, 0)

    def ring() -> None:
        for _ in range(4):
            for job_id in ids:
                _window(store, job_id, 2)

    def claim() -> None:
        for job_id in ids:
            for no in range(6, 12):
                _claim(store, job_id, no)

    at_once(
        *[partial(settle, held) for held in leases[::3]],
        *[partial(beat, 1), partial(beat, -1), sweep, ring, claim],
    )
    for job_id in ids:
        assert_all_rows_accounted_for(store, job_id)
    with store.read() as connection:
        states = select(func.count()).where(table.c.state == ShardState.DONE)
        assert connection.scalar(states) == 4
        assert connection.scalar(select(database_now())) is not None


def test_a_shard_is_read_without_the_rest_of_its_job(store: Store) -> None:
    """Else each shard of a million rows would cost a walk through all of them."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL plans by statistics")
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_connection: Any, _cursor: Any, words: str, given: Any, *_: Any) -> None:
        asked.append((words, given))

    job_id = a_stored_job(store, rows_count=6, shard_size=3)
    with store.read() as connection:
        event.listen(connection, "before_cursor_execute", note)
        assert [row.seq for row in rows.open_of_shard(connection, job_id, 1)] == [3, 4, 5]
        words, given = asked[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {words}", given).all()
    assert "rows_by_shard" in str(plan)
