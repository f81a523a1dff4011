"""Calls that go by batch: parked with their shard, cut into operations, settled line by line."""

import orjson
from builders import a_call, a_doubt, a_key, a_stored_job, claimed, the_job
from sqlalchemy import func, insert, select, update

from models.payloads import CallRecord, DoubtRecord, JobSpec, Options
from models.states import FailureCode, JobState, RemoteState, RequestState, ShardState
from models.store import batch_lines, batches, jobs, money, remote, shards
from models.store.batch_lines import LineFault
from models.store.batches import Wanted
from models.store.calls import calls
from models.store.engine import Store
from models.store.money import holds
from models.store.remote import InHand
from models.tables import RemoteOperation

WAITING, SENT, FOLLOWS = RequestState.WAITING, RequestState.SENT, RequestState.FOLLOWS


def wanted(*names: str, model: str = "small", cost_nano: int | None = 10) -> list[Wanted]:
    """Calls that rows want, keyed by their names."""
    return [
        Wanted(a_key(name), "chat", model, f'{{"model":"{model}","n":"{name}"}}', cost_nano)
        for name in names
    ]


def parked(store: Store, job_id: str, no: int, *names: str, **how: object) -> bool:
    """Claims the shard and parks it with these calls."""
    held = claimed(store, job_id, no)
    with store.write() as connection:
        return batches.park(connection, held, wanted(*names, **how))  # type: ignore[arg-type]


def states(store: Store, job_id: str) -> dict[str, str]:
    """The job's requests: key -> state."""
    table = batches.requests
    with store.read() as connection:
        query = select(table.c.key, table.c.state).where(table.c.job_id == job_id)
        return {row.key: row.state for row in connection.execute(query)}


def shard_states(store: Store, job_id: str) -> list[str]:
    """The job's shards in order."""
    with store.read() as connection:
        query = select(shards.shards.c.state).where(shards.shards.c.job_id == job_id)
        return list(connection.scalars(query.order_by(shards.shards.c.no)))


def cut(store: Store, job_id: str) -> list[str]:
    """The clock's turn for one job."""
    with store.write() as connection:
        return batches.cut(connection, job_id)


def in_hand(store: Store) -> InHand:
    """The only operation that is due, claimed and running."""
    with store.write() as connection:
        (hand,) = remote.claim_due(connection, hold_s=60, limit=4)
        remote.sent(connection, hand.op, remote_id="r", status="QUEUED", answer={}, next_s=0)
    return hand


def settle(
    store: Store,
    op: RemoteOperation,
    answered: tuple[str, ...] = (),
    faults: tuple[LineFault, ...] = (),
    last: str = WAITING,
) -> int:
    """Lines of the operation's files."""
    records = [_record(name, op.job_id) for name in answered]
    with store.write() as connection:
        return batch_lines.settle_lines(connection, op, records, faults, last)


def _record(name: str, job_id: str) -> CallRecord:
    return a_call(a_key(name), job_id=job_id)


def release(store: Store, op: RemoteOperation, last: str | None = WAITING) -> bool:
    """The operation's end."""
    with store.write() as connection:
        connection.execute(
            update(remote.operations)
            .where(remote.operations.c.id == op.id)
            .values(state=RemoteState.FETCHING)
        )
        return batch_lines.release(connection, op, RemoteState.FAILED, "timed out", last)


def opened(store: Store) -> list[str]:
    """Jobs of which shards were opened."""
    with store.write() as connection:
        return batches.open_ready(connection)


def test_a_parked_shard_waits_with_its_calls(store: Store) -> None:
    """It is neither open nor leased; an older token parks nothing."""
    job_id = a_stored_job(store)
    held = claimed(store, job_id, 0)
    with store.write() as connection:
        assert not batches.park(connection, (*held[:2], held[2] + 1), wanted("a"))
        assert batches.park(connection, held, wanted("a", "b"))
        assert not batches.park(connection, held, wanted("c"))
    assert shard_states(store, job_id) == ["waiting", "open"]
    assert states(store, job_id) == {a_key("a"): WAITING, a_key("b"): WAITING}


def test_calls_are_cut_when_no_shard_has_more_to_add(store: Store) -> None:
    """One operation per model; the job waits from then on, with its event."""
    job_id = a_stored_job(store)
    parked(store, job_id, 0, "a", "b")
    with store.read() as connection:
        assert batches.jobs_at_rest(connection) == [], "its other shard is open"
    parked(store, job_id, 1, "c", model="large")
    with store.read() as connection:
        assert batches.jobs_at_rest(connection) == [job_id]
    assert len(cut(store, job_id)) == 2
    assert cut(store, job_id) == [], "an intent is written once"
    assert set(states(store, job_id).values()) == {SENT}
    assert the_job(store, job_id).state == JobState.WAITING
    with store.read() as connection:
        found = connection.execute(select(remote.operations).order_by("model")).mappings().all()
    assert [(op["model"], op["requests_total"], op["state"]) for op in found] == [
        ("large", 1, "sending"),
        ("small", 2, "sending"),
    ]


def test_the_same_call_is_in_one_batch(store: Store) -> None:
    """Another shard's and another job's follow; the one answer serves all, and is paid once."""
    job_id, other = a_stored_job(store), a_stored_job(store, rows_count=1)
    parked(store, job_id, 0, "a")
    parked(store, job_id, 1, "a", "b")
    parked(store, other, 0, "a")
    cut(store, job_id)
    assert cut(store, other) == []
    assert states(store, other) == {a_key("a"): FOLLOWS}
    hand = in_hand(store)
    assert settle(store, hand.op, ("a", "b")) == 2
    assert states(store, job_id) == states(store, other) == {}
    assert opened(store) == sorted([job_id, other])
    assert (the_job(store, job_id).calls_made, the_job(store, other).calls_made) == (2, 0)


def test_a_line_counts_once(store: Store) -> None:
    """The same file settled again, after a death in the middle, changes nothing."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a", "b")
    cut(store, job_id)
    op = in_hand(store).op
    assert (settle(store, op, ("a",)), settle(store, op, ("a", "b", "stranger"))) == (1, 1)
    job = the_job(store, job_id)
    assert (job.calls_made, job.cost_nano) == (2, 2000)
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(calls)) == 2


def test_an_answer_without_use_counts_once_as_paid(store: Store) -> None:
    """Read twice, its price is once against the budget, beside what answers cost."""
    job_id = a_stored_job(store)
    parked(store, job_id, 0, "a")
    parked(store, job_id, 1, "b")
    cut(store, job_id)
    op = in_hand(store).op
    nonce = f"{op.id}:{a_key('a')}"
    doubt = DoubtRecord(a_key("a"), job_id, "small", "unusable", 7, nonce)
    fault = LineFault(a_key("a"), False, FailureCode.SERVER_ERROR, "unusable answer", doubt)
    for _ in range(2):
        settle(store, op, faults=(fault,))
    with store.read() as connection:
        assert money.spent_nano(connection, job_id) == 7
    assert the_job(store, job_id).calls_doubtful == 1


def test_faults_are_tried_again_in_other_batches_and_then_fail(store: Store) -> None:
    """A lasting one fails at once; a passing one after three batches, with its reason."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a", "b")
    passing = LineFault(a_key("a"), False, FailureCode.SERVER_ERROR, "status 500")
    lasting = LineFault(a_key("b"), True, FailureCode.REQUEST_REJECTED, "status 400")
    for turn in range(3):
        assert len(cut(store, job_id)) == 1
        op = in_hand(store).op
        settle(store, op, faults=(passing, lasting))
        release(store, op)
        assert (opened(store) == []) is (turn < 2), "it waits while one may still be answered"
    assert set(states(store, job_id).values()) == {RequestState.FAILED}
    with store.read() as connection:
        known = batches.known(connection, job_id, 0)
    assert known[a_key("b")].code == FailureCode.REQUEST_REJECTED
    assert known[a_key("a")].detail == "status 500"


def test_what_a_batch_did_not_answer_goes_where_the_user_said(store: Store) -> None:
    """Into another batch, or the ordinary way with those of its job that follow.

    Another job that wants the same goes its own way: it leads from now on.
    """
    job_id, other = a_stored_job(store), a_stored_job(store, rows_count=1)
    parked(store, job_id, 0, "a", "b")
    parked(store, job_id, 1, "b")
    parked(store, other, 0, "b")
    cut(store, job_id)
    op = in_hand(store).op
    settle(store, op, ("a",))
    assert release(store, op, RequestState.REALTIME)
    with store.write() as connection:
        ended = (RemoteState.FAILED, "again", WAITING)
        assert not batch_lines.release(connection, op, *ended), "it ended before"
    assert states(store, job_id) == {a_key("b"): RequestState.REALTIME}
    assert opened(store) == [job_id]
    assert len(cut(store, other)) == 1


def test_a_follower_leads_when_its_leader_was_cancelled(store: Store) -> None:
    """The cancelled job's calls are forgotten; the first follower of each goes into a batch."""
    job_id, other = a_stored_job(store, rows_count=2), a_stored_job(store, shard_size=1)
    parked(store, job_id, 0, "a")
    parked(store, other, 0, "a")
    parked(store, other, 1, "a", "c")
    cut(store, job_id)
    release(store, in_hand(store).op, None)
    for no in (2, 3):
        parked(store, other, no)
    assert states(store, job_id) == {}
    assert opened(store) == sorted([job_id, other]), "shards that wait for nothing"
    with store.write() as connection:  # as if those two had run and settled
        connection.execute(
            update(shards.shards)
            .where(shards.shards.c.state == ShardState.OPEN)
            .values(state=ShardState.DONE)
        )
    assert len(cut(store, other)) == 1
    with store.read() as connection:
        (total,) = connection.scalars(
            select(remote.operations.c.requests_total).where(remote.operations.c.job_id == other)
        )
    assert total == 2, "a and c, each once"


def test_calls_that_others_paid_meanwhile_are_not_sent(store: Store) -> None:
    """The ledger is asked again before a batch is cut."""
    job_id, other = a_stored_job(store, rows_count=2), a_stored_job(store)
    parked(store, job_id, 0, "a")
    with store.write() as connection:
        connection.execute(insert(calls).values(**_stored("a", other)))
    assert cut(store, job_id) == []
    assert opened(store) == [job_id]


def _stored(name: str, job_id: str) -> dict[str, object]:
    return {
        "key": a_key(name),
        "endpoint": "chat",
        "model": "small",
        "answer": "{}",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "cached_tokens": 0,
        "latency_ms": 1,
        "job_id": job_id,
        "created_at": 1.0,
    }


def test_a_stopped_job_sends_nothing(store: Store) -> None:
    """Paused between the look and the cut: its calls wait. Cancelled, its shards wait no more."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a")
    with store.write() as connection:
        jobs.pause(connection, job_id, "by hand")
    assert cut(store, job_id) == []
    assert opened(store) == []
    with store.write() as connection:
        jobs.cancel(connection, job_id)
    assert opened(store) == [job_id]
    with store.read() as connection:
        assert remote.stirring(connection) == (False, False)


def test_a_budget_does_not_pay_for_what_has_no_price(store: Store) -> None:
    """As in real time, the job pauses and says which model it is."""
    job_id = a_stored_job(store, rows_count=2, budget_nano=25)
    parked(store, job_id, 0, "a", cost_nano=None)
    assert cut(store, job_id) == []
    assert "small" in the_job(store, job_id).state_reason


def test_a_long_answer_of_the_provider_is_kept_as_it_was_given(store: Store) -> None:
    """It was shortened where it came in: a second cut would lose why the batch failed."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a")
    cut(store, job_id)
    hand = in_hand(store)
    answer = {"output_file": "f-1", "errors": ["x" * 300] * 100}
    with store.write() as connection:
        remote.seen(connection, hand.op, status="SUCCESS", answer=answer, next_s=0, is_over=True)
        kept = connection.scalar(select(remote.operations.c.answer))
    assert orjson.loads(kept or "") == answer


def test_a_budget_bounds_what_is_sent(store: Store) -> None:
    """As much as it pays for at most is cut and held; then the job pauses, with the event."""
    job_id = a_stored_job(store, rows_count=2, budget_nano=25)
    parked(store, job_id, 0, "a", "b", "c")
    (op_id,) = cut(store, job_id)
    with store.read() as connection:
        held = connection.execute(select(holds)).mappings().one()
        assert (held["owner"], held["nano"]) == (op_id, 20)
        assert sorted(states(store, job_id).values()) == [SENT, SENT, WAITING]
    op = in_hand(store).op
    settle(store, op, ("a", "b"))  # each cost 1000 in the end
    release(store, op)
    assert cut(store, job_id) == []
    job = the_job(store, job_id)
    assert (job.state, job.state_reason.startswith("budget:")) == (JobState.PAUSED, True)
    with store.read() as connection:
        assert connection.execute(select(holds)).first() is None


def test_the_next_batch_knows_what_calls_cost(store: Store) -> None:
    """Reckoned at their dearest the first is small; the next is reckoned by what it cost."""
    job_id = a_stored_job(store, rows_count=2, budget_nano=30_000)
    names = [f"n{number}" for number in range(12)]
    parked(store, job_id, 0, *names, cost_nano=10_000)
    cut(store, job_id)
    op = in_hand(store).op
    assert op.requests_total == 3
    with store.read() as connection:
        sent = [key for key, _ in batch_lines.lines(connection, op.id)]
    by_key = {a_key(name): name for name in names}
    settle(store, op, tuple(by_key[key] for key in sent))  # 1,000 each in the end
    release(store, op)
    cut(store, job_id)
    assert in_hand(store).op.requests_total == 9, "1,250 each, and 27,000 are left"


def test_a_claimed_operation_is_fenced(store: Store) -> None:
    """Nobody else has it before its claim runs out; what comes under the older claim is lost."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a")
    cut(store, job_id)
    with store.write() as connection:
        (first,) = remote.claim_due(connection, hold_s=60, limit=4)
        assert remote.claim_due(connection, hold_s=60, limit=4) == []
        assert remote.renew(connection, first.op, hold_s=-1), "as if its process had died"
        (second,) = remote.claim_due(connection, hold_s=60, limit=4)
        assert remote.claim_due(connection, hold_s=60, limit=4, busy=[second.op.id]) == []
        assert not remote.starting(connection, first.op)
        assert remote.starting(connection, second.op)
        said = {"remote_id": "r", "status": "QUEUED", "answer": {}, "next_s": 5.0}
        assert not remote.sent(connection, first.op, **said)  # type: ignore[arg-type]
        assert remote.sent(connection, second.op, **said)  # type: ignore[arg-type]
        assert not remote.sent(connection, second.op, **said), "it runs already"  # type: ignore[arg-type]


def test_a_cancelled_job_is_looked_at_now(store: Store) -> None:
    """What runs is due at once; what is being sent is not: two at a time could start two."""
    job_id = a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a")
    cut(store, job_id)
    with store.write() as connection:
        (hand,) = remote.claim_due(connection, hold_s=60, limit=1)
        jobs.cancel(connection, job_id)
        assert remote.claim_due(connection, hold_s=60, limit=1) == []
        remote.sent(connection, hand.op, remote_id="r", status="Q", answer={}, next_s=600)
        assert remote.stirring(connection)[1] is False
        remote.hurry(connection, job_id)
        assert remote.stirring(connection)[1] is True
        (again,) = remote.claim_due(connection, hold_s=60, limit=1)
    assert again.job_state == JobState.CANCELLED


def test_a_job_cancelled_during_a_look_is_looked_at_at_once(store: Store) -> None:
    """To be cancelled over there as well; one that was cancelled before keeps its pace."""
    job_id = a_stored_job(store)
    parked(store, job_id, 0, "a")
    parked(store, job_id, 1, "b")
    cut(store, job_id)
    op = in_hand(store).op
    looked = {"status": "RUNNING", "answer": {}, "next_s": 600.0}
    with store.write() as connection:
        jobs.cancel(connection, job_id)
        assert remote.seen(connection, op, **looked)
        assert remote.stirring(connection)[1] is True
        assert remote.seen(connection, op, **looked, was_cancelled=True)
        assert remote.stirring(connection)[1] is False


def test_calls_of_a_batch_that_is_lost_are_in_doubt(store: Store) -> None:
    """It ran, and nobody can say what was paid: each counts, and a job that holds fails them."""
    job_id = a_stored_job(store, spec=HOLD)
    parked(store, job_id, 0, "a")
    parked(store, job_id, 1, "b")
    cut(store, job_id)
    op = in_hand(store).op
    settle(store, op, answered=("a",))
    with store.write() as connection:
        gone = (RemoteState.FAILED, "gone", WAITING)
        assert batch_lines.release(connection, op, *gone, is_lost=True)
    assert the_job(store, job_id).calls_doubtful == 1
    assert cut(store, job_id) == []
    assert states(store, job_id)[a_key("b")] == RequestState.FAILED


HOLD = JobSpec(options=Options(via="batch", on_uncertain="hold")).model_dump_json()


def unusable(op: RemoteOperation, name: str) -> LineFault:
    """A line that was paid and is of no use."""
    doubt = a_doubt(a_key(name), job_id=op.job_id, nonce=f"{op.id}:{name}")
    return LineFault(a_key(name), False, FailureCode.SERVER_ERROR, "unusable answer", doubt)


def test_a_call_in_doubt_is_in_no_second_batch_of_a_job_that_holds(store: Store) -> None:
    """Its line was paid and of no use: a job that says hold fails it by name, with those that
    follow in time, and sends the rest again; another job does as it was told itself."""
    job_id, other = a_stored_job(store, spec=HOLD), a_stored_job(store, rows_count=2)
    parked(store, job_id, 0, "a", "b")
    parked(store, job_id, 1, "a")
    parked(store, other, 0, "a")
    cut(store, job_id)
    op = in_hand(store).op
    settle(store, op, faults=(unusable(op, "a"),))
    release(store, op)
    assert len(cut(store, job_id)) == 1, "b"
    again = in_hand(store).op
    with store.read() as connection:
        assert [key for key, _ in batch_lines.lines(connection, again.id)] == [a_key("b")]
        known = batches.known(connection, job_id, 0)[a_key("a")]
    assert (known.state, known.code) == (RequestState.FAILED, FailureCode.UNCERTAIN)
    settle(store, again, ("b",))
    release(store, again)
    assert cut(store, job_id) == []
    assert opened(store) == [job_id], "its other shard too: nothing waits any more"
    assert shard_states(store, job_id) == ["open", "open"]
    assert len(cut(store, other)) == 1


def test_a_follower_that_holds_does_not_ask_again_what_another_job_may_have_paid(
    store: Store,
) -> None:
    """It leads from now on, and would be the next to send it."""
    job_id, other = a_stored_job(store, rows_count=2), a_stored_job(store, rows_count=2, spec=HOLD)
    parked(store, job_id, 0, "a")
    parked(store, other, 0, "a")
    cut(store, job_id)
    op = in_hand(store).op
    settle(store, op, faults=(unusable(op, "a"),), last=RequestState.REALTIME)
    assert cut(store, other) == []
    assert states(store, other) == {a_key("a"): RequestState.FAILED}
