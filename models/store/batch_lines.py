"""The lines of a batch: what is sent, and how each settles its call, once."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select, update

from models.payloads import CallRecord, DoubtRecord
from models.states import FailureCode, RemoteState, RequestState
from models.store import calls, inserts, money, remote
from models.store import jobs as job_moves
from models.store.batches import HOLD_S, LOOKUP, requests
from models.store.engine import now_s
from models.store.remote import operations
from models.tables import RemoteOperation

SENT, FOLLOWS = RequestState.SENT, RequestState.FOLLOWS
MOST_TRIES = 3
"""Batches that a request may be in; then it fails."""


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line without an answer; `is_lasting`: asking again will not help; `doubt`: it was paid."""

    key: str
    is_lasting: bool
    code: FailureCode
    detail: str
    doubt: DoubtRecord | None = None


def lines(connection: Connection, op_id: str) -> Iterator[tuple[str, str]]:
    """(key, body) of the operation's requests, in a stable order and constant memory."""
    query = (
        select(requests.c.key, requests.c.body)
        .where(requests.c.op_id == op_id, requests.c.state == RequestState.SENT)
        .order_by(requests.c.shard_no, requests.c.key)
        .execution_options(yield_per=LOOKUP)
    )
    for row in connection.execute(query):
        yield row.key, row.body


def settle_lines(
    connection: Connection,
    op: RemoteOperation,
    records: Collection[CallRecord],
    faults: Collection[LineFault],
    last: str = RequestState.WAITING,
) -> int:
    """Stores answers and faults of lines that are still out, each once; answers how many answers.

    `last`: what becomes of requests that may be asked again (`RequestState`).
    """
    job_moves.lock(connection, [op.job_id])
    keys = [*(record.key for record in records), *(fault.key for fault in faults)]
    out = _still_out(connection, op.id, keys)
    new: dict[str, CallRecord] = {one.key: one for one in records if one.key in out}
    calls.store(connection, list(new.values()))
    for at in range(0, len(new), LOOKUP):
        some = list(new)[at : at + LOOKUP]
        connection.execute(delete(requests).where(requests.c.key.in_(some)))
    failed = [fault for fault in faults if fault.key in out and fault.key not in new]
    calls.doubt(connection, [fault.doubt for fault in failed if fault.doubt])
    for fault in failed:
        line = (_unindexed(requests.c.op_id) == op.id) & (requests.c.key == fault.key)
        _unanswered(connection, op, line, fault, last)
    connection.execute(
        update(operations)
        .where(operations.c.id == op.id)
        .values(
            requests_done=operations.c.requests_done + len(new),
            requests_failed=operations.c.requests_failed + len(failed),
            reckoned_nano=operations.c.reckoned_nano + sum(out[key] for key in new),
            spent_nano=operations.c.spent_nano + sum(one.cost_nano or 0 for one in new.values()),
        )
    )
    return len(new)


def _still_out(connection: Connection, op_id: str, keys: Sequence[str]) -> dict[str, int]:
    """Key -> what it may cost at most, of those without an answer yet."""
    found: dict[str, int] = {}
    for at in range(0, len(keys), LOOKUP):
        some = requests.c.key.in_(keys[at : at + LOOKUP])
        mine = (_unindexed(requests.c.op_id) == op_id) & (requests.c.state == SENT)
        query = select(requests.c.key, requests.c.cost_nano).where(some, mine)
        found.update({row.key: row.cost_nano or 0 for row in connection.execute(query)})
    return found


def _unindexed(column: ColumnElement[str | None]) -> ColumnElement[str]:
    """The column without its indexes, where a request is looked for by its key.

    SQLite keeps no count of what they hold, and would rather look through a whole operation or
    job, line by line.
    """
    return column.concat("")


def _unanswered(
    connection: Connection, op: RemoteOperation, mine: Any, fault: LineFault, last: str
) -> None:
    """Requests without an answer: lasting, or out of tries, their rows fail; else once more.

    Only a lasting fault says something about other jobs that want the same call: else one of
    those leads from its next cut on.
    """
    if not fault.is_lasting:
        in_realtime = last == RequestState.REALTIME
        again = mine if in_realtime else mine & (requests.c.tries < MOST_TRIES)
        if in_realtime:  # those who followed must not wait for a batch
            _move_followers(connection, again, op.job_id, state=RequestState.REALTIME)
        connection.execute(update(requests).where(again).values(state=last, op_id=None))
    failed = {"state": RequestState.FAILED, "code": fault.code, "detail": fault.detail}
    _move_followers(connection, mine, None if fault.is_lasting else op.job_id, **failed)
    connection.execute(update(requests).where(mine).values(**failed, op_id=None))


def _move_followers(
    connection: Connection, leading: Any, job_id: str | None, **values: Any
) -> None:
    keys = select(requests.c.key).where(leading).correlate(None)
    followers = (requests.c.state == FOLLOWS) & requests.c.key.in_(keys)
    if job_id is not None:
        followers &= _unindexed(requests.c.job_id) == job_id
    connection.execute(update(requests).where(followers).values(**values))


def _doubt(connection: Connection, op: RemoteOperation, mine: Any) -> None:
    """The requests may have been paid: each a doubt, at its dearest."""
    query = select(requests.c.key, requests.c.cost_nano).where(mine).order_by(requests.c.key)
    same = {"job_id": op.job_id, "model": op.model, "reason": "lost", "created_at": now_s()}
    statement, number = inserts.once(connection, calls.doubts, ["nonce"]).values(**same), 0
    for some in connection.execute(query.execution_options(yield_per=LOOKUP)).partitions():
        values = [
            {"key": row.key, "cost_nano": row.cost_nano, "nonce": f"{op.id}:{row.key}"}
            for row in some
        ]
        connection.execute(statement, values)
        number += len(values)
    job_moves.count(connection, op.job_id, {"calls_doubtful": number})


def release(
    connection: Connection,
    op: RemoteOperation,
    state: RemoteState,
    reason: str,
    last: str | None,
    *,
    is_lost: bool = False,
) -> bool:
    """Ends the operation, with what it brought no answer for; False: it is not ours any more.

    `last`: `waiting` (another batch), `realtime`, or None: forgotten with its cancelled job.
    `is_lost`: those calls may have been paid, and are in doubt.
    """
    job_moves.lock(connection, [op.job_id])
    if not remote.settle(connection, op, state, reason):
        return False
    money.hold(connection, op.job_id, op.id, 0, 0, HOLD_S)
    mine = requests.c.op_id == op.id
    if is_lost:
        _doubt(connection, op, mine)
    if last is None:
        connection.execute(delete(requests).where(mine))
        return True
    detail = reason or "the batch ended without an answer for it"
    passing = LineFault("", False, FailureCode.SERVER_ERROR, detail)
    _unanswered(connection, op, mine, passing, last)
    return True
