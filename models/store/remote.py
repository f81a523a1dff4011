"""Remote operations: intent, claims by a fencing token, and one guarded move per state."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    exists,
    insert,
    literal_column,
    select,
    update,
)

from models.payloads import JobSpec, Options
from models.states import REMOTE_TRANSITIONS, JobState, RemoteState, ShardState
from models.store.engine import now_s, read_now
from models.tables import Job, RemoteOperation, Shard, table_of

operations = table_of(RemoteOperation)
jobs = table_of(Job)
shards = table_of(Shard)

OPEN = tuple(state for state, nexts in REMOTE_TRANSITIONS.items() if nexts)
IS_OPEN = operations.c.state.in_([literal_column(f"'{state}'") for state in OPEN])
"""With the values in the statement, so that databases see that `remote_operations_due` will do."""
MOST_REASON = 500


@dataclass(frozen=True, slots=True)
class InHand:
    """An operation that this process may work on until its claim runs out, with its job."""

    op: RemoteOperation
    job_state: JobState
    spec: str

    @property
    def options(self) -> Options:
        """How the job's calls are made."""
        return JobSpec.model_validate_json(self.spec).options


def create(connection: Connection, **values: Any) -> str:
    """Commits the intent with the caller's transaction; answers the new id. Due at once."""
    op_id = "op_" + secrets.token_hex(8)
    row = {**_DEFAULTS, **values, "id": op_id, "state": RemoteState.SENDING}
    connection.execute(insert(operations).values(**row, created_at=now_s(), next_check_at=now_s()))
    return op_id


_DEFAULTS: Mapping[str, Any] = {
    name: field.default
    for name, field in RemoteOperation.model_fields.items()
    if not field.is_required() and name != "state"
}


def claim_due(
    connection: Connection, *, hold_s: float, limit: int, busy: Collection[str] = ()
) -> list[InHand]:
    """Takes operations that are due; nobody else does before `hold_s` has passed.

    `busy`: those the caller has in hand already.
    """
    due = (
        select(operations.c.id)
        .where(
            IS_OPEN,
            operations.c.next_check_at <= now_s(),
            operations.c.id.not_in(busy),
        )
        .order_by(operations.c.next_check_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taken = connection.execute(
        update(operations)
        .where(operations.c.id.in_(due))
        .values(claims=operations.c.claims + 1, next_check_at=now_s() + hold_s)
        .returning(operations.c.id)
    )
    return _in_hand(connection, list(taken.scalars()))


def _in_hand(connection: Connection, ids: Collection[str]) -> list[InHand]:
    if not ids:
        return []
    query = (
        select(operations, jobs.c.state.label("job_state"), jobs.c.spec.label("job_spec"))
        .select_from(operations.join(jobs, jobs.c.id == operations.c.job_id))
        .where(operations.c.id.in_(ids))
        .order_by(operations.c.id)
    )
    found = []
    for row in connection.execute(query).mappings():
        values = {name: row[name] for name in RemoteOperation.model_fields}
        op = RemoteOperation(**values)
        found.append(InHand(op, JobState(row["job_state"]), row["job_spec"]))
    return found


def renew(connection: Connection, op: RemoteOperation, *, hold_s: float) -> bool:
    """Keeps the claim; False: somebody else took it."""
    return _write(connection, op, next_check_at=now_s() + hold_s)


def note_files(connection: Connection, op: RemoteOperation, files: Mapping[str, str]) -> bool:
    """Notes remote files besides those known, so that they are found (and removed) again."""
    known = orjson.loads(op.files)
    return _write(connection, op, files=orjson.dumps({**known, **files}).decode())


def note_cost(connection: Connection, op: RemoteOperation, nano: int | None) -> bool:
    """Notes what it will cost, in 1e-9 USD; None: nobody knows."""
    return _write(connection, op, cost_nano=nano)


def sent(
    connection: Connection,
    op: RemoteOperation,
    *,
    remote_id: str,
    status: str,
    answer: Mapping[str, Any],
    next_s: float,
) -> bool:
    """sending -> running: the remote job is there."""
    return _write(
        connection,
        op,
        only_from=RemoteState.SENDING,
        state=RemoteState.RUNNING,
        remote_id=remote_id,
        remote_status=status,
        answer=orjson.dumps(answer).decode(),
        submitted_at=now_s(),
        check_failures=0,
        reason="",
        next_check_at=now_s() + next_s,
    )


def seen(
    connection: Connection,
    op: RemoteOperation,
    *,
    status: str,
    answer: Mapping[str, Any],
    next_s: float,
    is_over: bool = False,
    was_cancelled: bool = False,
    reason: str = "",
) -> bool:
    """Notes what the provider said (`answer`: kept as it is given); `is_over`: running -> fetching.

    If its job was cancelled while it was looked at (and not before: `was_cancelled`), the next
    look is at once, and cancels it over there.
    """
    cancelled = exists().where(jobs.c.id == op.job_id, jobs.c.state == JobState.CANCELLED)
    state = RemoteState.FETCHING if is_over else RemoteState.RUNNING
    return _write(
        connection,
        op,
        only_from=RemoteState.RUNNING,
        state=state,
        remote_status=status,
        answer=orjson.dumps(answer).decode(),
        checks=operations.c.checks + 1,
        check_failures=0,
        reason=reason[:MOST_REASON],
        next_check_at=now_s() + (next_s if was_cancelled else case((cancelled, 0.0), else_=next_s)),
    )


def starting(connection: Connection, op: RemoteOperation, *, ago_s: float = 0.0) -> bool:
    """Notes that a remote job is about to be started, or was `ago_s` ago; False: it is not ours to
    start any more."""
    return _write(connection, op, only_from=RemoteState.SENDING, starting_at=now_s() - ago_s)


def not_started(connection: Connection, op: RemoteOperation) -> bool:
    """It surely was not: the next try need not wait for a list to show it."""
    return _write(connection, op, only_from=RemoteState.SENDING, starting_at=None)


def since_starting_s(connection: Connection, op: RemoteOperation) -> float | None:
    """Seconds since somebody was about to start it; None: nobody was."""
    return None if op.starting_at is None else read_now(connection) - op.starting_at


def stirring(connection: Connection) -> tuple[bool, bool]:
    """Whether shards wait for remote work, and whether an operation is due."""
    due = exists().where(IS_OPEN, operations.c.next_check_at <= now_s())
    waiting = exists().where(shards.c.state == ShardState.WAITING)
    found = connection.execute(select(waiting.label("waiting"), due.label("due"))).one()
    return bool(found.waiting), bool(found.due)


def put_off(
    connection: Connection, op: RemoteOperation, *, next_s: float, reason: str = ""
) -> bool:
    """Not now; no failure."""
    return _write(connection, op, reason=reason[:MOST_REASON], next_check_at=now_s() + next_s)


def age_s(connection: Connection, op: RemoteOperation) -> float:
    """Seconds since it was sent, by the database's clock."""
    return max(0.0, read_now(connection) - (op.submitted_at or op.created_at))


def failed_look(connection: Connection, op: RemoteOperation, *, reason: str, next_s: float) -> bool:
    """The provider could not be asked: again later, and counted."""
    return _write(
        connection,
        op,
        checks=operations.c.checks + 1,
        check_failures=operations.c.check_failures + 1,
        reason=reason[:MOST_REASON],
        next_check_at=now_s() + next_s,
    )


def settle(connection: Connection, op: RemoteOperation, state: RemoteState, reason: str) -> bool:
    """Into a final state; what came of it is stored by the same transaction."""
    return _write(connection, op, state=state, reason=reason[:MOST_REASON], settled_at=now_s())


def hurry(connection: Connection, job_id: str) -> None:
    """The job's operations are looked at now, and their failures forgotten: it was cancelled or
    resumed.

    What is being sent keeps its time: two at once could start two remote jobs.
    """
    is_running = operations.c.state == RemoteState.RUNNING
    soon = case((is_running, now_s()), else_=operations.c.next_check_at)
    connection.execute(
        update(operations)
        .where(operations.c.job_id == job_id, IS_OPEN)
        .values(next_check_at=soon, check_failures=0)
    )


def _write(
    connection: Connection,
    op: RemoteOperation,
    *,
    only_from: RemoteState | None = None,
    **values: Any,
) -> bool:
    """The guarded write behind every move: nothing changes under an older claim."""
    sources = OPEN if only_from is None else (only_from,)
    written = connection.execute(
        update(operations).where(_ours(op), operations.c.state.in_(sources)).values(**values)
    )
    return bool(written.rowcount)


def _ours(op: RemoteOperation) -> ColumnElement[bool]:
    return and_(operations.c.id == op.id, operations.c.claims == op.claims)
