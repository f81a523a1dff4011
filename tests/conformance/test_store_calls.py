"""The ledger's table: one result per key, every paid call in the money, doubts once."""

from dataclasses import replace
from functools import partial

from builders import a_call, a_doubt, a_key, a_stored_job, at_once, the_job
from sqlalchemy import func, select

from models.payloads import CallRecord, Usage
from models.store import calls
from models.store.engine import Store


def _store(store: Store, *records: CallRecord) -> int:
    with store.write() as connection:
        return calls.store(connection, records)


def _rows_in(store: Store, table: str = "calls") -> int:
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(getattr(calls, table))) or 0


def test_a_stored_call_is_found_as_it_was(store: Store) -> None:
    """By its key alone, with every field; unknown keys are left out."""
    record = a_call(a_key("one"), answer='{"content":"é 🎉"}', cost_nano=None)
    assert _store(store, record) == 1
    with store.read() as connection:
        assert calls.find(connection, [a_key("one"), a_key("none")]) == {record.key: record}
        assert calls.find(connection, []) == {}


def test_a_key_has_one_result(store: Store) -> None:
    """I2: the first answer stays, in one group and over groups, and the new ones are counted."""
    key = a_key("same")
    assert _store(store, a_call(key, answer="1"), a_call(key, answer="2"), a_call()) == 2
    assert _store(store, a_call(key, answer="3")) == 0
    assert _store(store) == 0
    with store.read() as connection:
        assert calls.find(connection, [key])[key].answer == "1"
    assert _rows_in(store) == 2


def test_every_paid_call_counts_in_the_jobs_money(store: Store) -> None:
    """Also one whose result was there already; an unknown price counts as unpriced, not as zero."""
    one, other = a_stored_job(store), a_stored_job(store)
    key = a_key("twice")
    _store(
        store,
        a_call(key, job_id=one),
        a_call(key, job_id=other, answer="again"),
        a_call(job_id=one, cost_nano=None, usage=Usage(1, 2, 0)),
    )
    job = the_job(store, one)
    assert (job.calls_made, job.calls_unpriced, job.cost_nano) == (2, 1, 1000)
    assert (job.prompt_tokens, job.completion_tokens, job.cached_tokens) == (11, 7, 4)
    assert (the_job(store, other).calls_made, the_job(store, other).cost_nano) == (1, 1000)


def test_money_over_32_bits_is_kept(store: Store) -> None:
    """Costs are nano-USD: a hundred dollars do not fit 32 bits and are stored all the same."""
    job_id = a_stored_job(store)
    _store(store, a_call(job_id=job_id, cost_nano=100 * 10**9))
    _store(store, a_call(job_id=job_id, cost_nano=100 * 10**9))
    assert the_job(store, job_id).cost_nano == 200 * 10**9


def test_processes_that_store_the_same_calls_agree(store: Store) -> None:
    """The same keys from many threads, in any order: one result each, no deadlock, all paid."""
    job_id = a_stored_job(store)
    for group in range(5):  # the first of them opens the connections
        records = [a_call(a_key((group, number)), job_id=job_id) for number in range(100)]
        others = [replace(record, job_id="job_y") for record in records]
        groups = [records, others[::-1], others, records[::-1]]
        assert sum(at_once(*(partial(_store, store, *group) for group in groups))) == 100
    assert _rows_in(store) == 500
    assert the_job(store, job_id).calls_made == 1000


def test_replay_counts_what_was_committed_once(store: Store) -> None:
    """What stands in the ledger as it is was counted; another answer under its key was paid too."""
    job_id = a_stored_job(store)
    committed, lost = a_call(job_id=job_id), a_call(job_id=job_id)
    twice = a_call(a_key("twice"), job_id=job_id, answer="ours")
    _store(store, committed, replace(twice, answer="theirs", job_id="job_y"))
    with store.write() as connection:
        assert calls.replay(connection, [committed, lost, twice]) == 1
        assert calls.replay(connection, [committed, lost]) == 0
    assert the_job(store, job_id).calls_made == 3
    assert _rows_in(store) == 3


def test_a_replay_may_be_long(store: Store) -> None:
    """More records than a database takes parameters in one statement."""
    records = [a_call(a_key(number)) for number in range(2 * calls.REPLAY_BATCH + 1)]
    with store.write() as connection:
        assert calls.replay(connection, records) == len(records)
        assert calls.replay(connection, records) == 0


def test_a_doubt_is_noted_once(store: Store) -> None:
    """By the nonce of its attempt; two attempts at one call are two doubts of one key."""
    job_id, key = a_stored_job(store), a_key("doubtful")
    first, second = a_doubt(key, job_id=job_id), a_doubt(key, job_id=job_id, cost_nano=None)
    with store.write() as connection:
        calls.doubt(connection, [first, first, second])
        calls.doubt(connection, [replace(first, reason="timeout")])
        assert calls.in_doubt(connection, [key, a_key("sure")]) == {key}
    assert the_job(store, job_id).calls_doubtful == 2
    assert _rows_in(store, "doubts") == 2
    with store.write() as connection:
        calls.doubt(connection, [])
        assert calls.in_doubt(connection, []) == set()
