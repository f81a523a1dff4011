"""Calls that go by batch: parked with their shard, and cut into operations.

Everything is derived from the tables: a shard waits while a request of it is outstanding, and a
job's requests are put into operations when none of its shards has more to add.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, delete, exists, func, or_, select, tuple_, update

from models.states import WORKABLE, FailureCode, JobState, RequestState, ShardState
from models.store import inserts, money, remote
from models.store import jobs as job_moves
from models.store import shards as shard_moves
from models.store.engine import one_at_a_time
from models.tables import BatchRequest, Call, Job, RemoteOperation, Shard, table_of

requests = table_of(BatchRequest)
operations = table_of(RemoteOperation)
jobs = table_of(Job)
shards = table_of(Shard)
paid = table_of(Call)

MOST_REQUESTS = 100_000
MOST_BYTES = 500_000_000
"""A batch file may have 512 MB."""
HOLD_S = 30 * 86_400.0
"""How long money is held back for an operation whose end nobody hears of."""
LOOKUP = 500
MARGIN = 1.25
"""Over what calls of the job cost before."""
IN_DOUBT = "an earlier attempt may have been paid"
OUTSTANDING = (RequestState.WAITING, RequestState.SENT, RequestState.FOLLOWS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call to be made by batch. `body`: JSON; `cost_nano`: at most, None: unknown."""

    key: str
    endpoint: str
    model: str
    body: str
    cost_nano: int | None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a request that was parked before."""

    state: RequestState
    code: str
    detail: str


def known(connection: Connection, job_id: str, shard_no: int) -> dict[str, Known]:
    """The shard's requests by key, as they stand."""
    mine = (requests.c.job_id == job_id) & (requests.c.shard_no == shard_no)
    columns = (requests.c.key, requests.c.state, requests.c.code, requests.c.detail)
    found = connection.execute(select(*columns).where(mine))
    return {row.key: Known(RequestState(row.state), row.code, row.detail) for row in found}


def park(connection: Connection, held: shard_moves.Held, wanted: Collection[Wanted]) -> bool:
    """leased -> waiting, with the requests its rows wait for; False: the lease was lost."""
    job_id, no, _token = held
    job_moves.lock(connection, [job_id])
    if not shard_moves.wait(connection, held):
        return False
    asked = _outstanding_of([one.key for one in wanted], connection)
    values = [
        {
            "job_id": job_id,
            "shard_no": no,
            "key": one.key,
            "state": RequestState.FOLLOWS if one.key in asked else RequestState.WAITING,
            "endpoint": one.endpoint,
            "model": one.model,
            "body": one.body,
            "bytes": len(one.body.encode()) + len(one.key) + 32,
            "cost_nano": one.cost_nano,
            "tries": 0,
            "code": "",
            "detail": "",
        }
        for one in sorted(wanted, key=lambda one: one.key)
    ]
    if values:
        connection.execute(inserts.once(connection, requests, _PRIMARY), values)
    return True


_PRIMARY = ("job_id", "shard_no", "key")


def _outstanding_of(keys: Sequence[str], connection: Connection) -> set[str]:
    found: set[str] = set()
    for at in range(0, len(keys), LOOKUP):
        some = requests.c.key.in_(keys[at : at + LOOKUP])
        query = select(requests.c.key).where(some, requests.c.state.in_(OUTSTANDING))
        found.update(connection.scalars(query))
    return found


# -- the clock's turn ------------------------------------------------------------------------------


def open_ready(connection: Connection) -> list[str]:
    """waiting -> open for shards nothing of which is out any more; answers their jobs."""
    outstanding = exists().where(
        requests.c.job_id == shards.c.job_id,
        requests.c.shard_no == shards.c.no,
        requests.c.state.in_(OUTSTANDING),
    )
    operating = exists().where(
        operations.c.job_id == shards.c.job_id,
        operations.c.shard_no == shards.c.no,
        remote.IS_OPEN,
    )
    given_up = exists().where(jobs.c.id == shards.c.job_id, jobs.c.state == JobState.CANCELLED)
    ready = (
        select(shards.c.job_id, shards.c.no)
        .where(shards.c.state == ShardState.WAITING, or_(~outstanding, given_up), ~operating)
        .with_for_update(skip_locked=True)
    )
    opened = connection.execute(
        update(shards)
        .where(tuple_(shards.c.job_id, shards.c.no).in_(ready))
        .values(state=ShardState.OPEN, published_at=None)
        .returning(shards.c.job_id)
    )
    return sorted(set(opened.scalars()))


def jobs_at_rest(connection: Connection) -> list[str]:
    """Workable jobs of which some shards wait and none is open or leased."""
    waiting = select(shards.c.job_id).where(shards.c.state == ShardState.WAITING).distinct()
    busy = exists().where(
        shards.c.job_id == jobs.c.id,
        shards.c.state.in_((ShardState.OPEN, ShardState.LEASED)),
    )
    query = select(jobs.c.id).where(jobs.c.id.in_(waiting), jobs.c.state.in_(WORKABLE), ~busy)
    return sorted(connection.scalars(query))


def cut(connection: Connection, job_id: str) -> list[str]:
    """Puts the waiting requests of a job at rest into operations: the intents. Answers their ids.

    One operation per model and endpoint and call of this function; what does not fit into it
    (requests, bytes, money) goes into the next, or waits for a larger budget.
    """
    one_at_a_time(connection, "batches")  # two jobs that want one call must not both send it
    job_moves.lock(connection, [job_id])
    if connection.scalar(select(jobs.c.state).where(jobs.c.id == job_id)) not in WORKABLE:
        return []  # stopped since it was found
    job_moves.wait(connection, job_id)
    _forget_answered(connection, job_id)
    _promote(connection, job_id)
    _hold_doubtful(connection, job_id)
    waiting = (requests.c.job_id == job_id) & (requests.c.state == RequestState.WAITING)
    kinds = select(requests.c.endpoint, requests.c.model).where(waiting).distinct()
    made = []
    for endpoint, model in connection.execute(kinds.order_by("endpoint", "model")).all():
        group = waiting & (requests.c.endpoint == endpoint) & (requests.c.model == model)
        op_id = _cut_one(connection, job_id, endpoint, model, group)
        if op_id is None:
            break  # the budget is at its end, and the job paused
        made.append(op_id)
    return made


@dataclass(slots=True)
class _Cut:
    """The requests of a group, in order, up to `last`. `needed_nano`: at their dearest."""

    number: int = 0
    size: int = 0
    needed_nano: int | None = 0
    last: tuple[int, str] = (0, "")


def _cut_one(
    connection: Connection, job_id: str, endpoint: str, model: str, group: Any
) -> str | None:
    left_nano = money.left_nano(connection, job_id)
    is_unknown = select(exists().where(group, requests.c.cost_nano.is_(None)))
    if left_nano is not None and connection.scalar(is_unknown):
        reason = f"price: {model} is not in the workers' price table"
        job_moves.pause(connection, job_id, reason)
        return None
    factor = _sobriety(connection, job_id, model)
    cut, dearest_nano = _fitting(connection, group, left_nano, factor)
    if not cut.number:
        money.reach(connection, job_id, "", int(dearest_nano * factor))
        return None
    cost_nano = None if cut.needed_nano is None else math.ceil(cut.needed_nano * factor)
    op_id = remote.create(
        connection,
        job_id=job_id,
        kind="batch",
        endpoint=endpoint,
        model=model,
        requests_total=cut.number,
        cost_nano=cost_nano,
    )
    needed = cost_nano or 0
    money.hold(connection, job_id, op_id, 0, needed, HOLD_S, needed_nano=needed)
    connection.execute(
        update(requests)
        .where(group, tuple_(requests.c.shard_no, requests.c.key) <= cut.last)
        .values(state=RequestState.SENT, op_id=op_id, tries=requests.c.tries + 1)
    )
    return op_id


def _sobriety(connection: Connection, job_id: str, model: str) -> float:
    """What the job's batches of this model cost, by what they could have cost; 1.0 at first.

    Calls are reckoned at their dearest (an answer of unknown length is a long one), so that the
    first batch of a job with a budget is small; the next know better, with a margin.
    """
    of_model = (operations.c.job_id == job_id) & (operations.c.model == model)
    reckoned, spent = connection.execute(
        select(
            func.sum(operations.c.reckoned_nano),
            func.sum(operations.c.spent_nano),
        ).where(of_model, ~remote.IS_OPEN, operations.c.requests_done > 0)
    ).one()
    return min(1.0, MARGIN * float(spent) / float(reckoned)) if reckoned and spent else 1.0


def _fitting(
    connection: Connection, group: Any, left_nano: int | None, factor: float
) -> tuple[_Cut, int]:
    """As many as one file and the money that is left take, and what the next would cost."""
    columns = (requests.c.shard_no, requests.c.key, requests.c.bytes, requests.c.cost_nano)
    query = select(*columns).where(group).order_by(requests.c.shard_no, requests.c.key)
    cut = _Cut()
    found = connection.execute(query.limit(MOST_REQUESTS).execution_options(yield_per=LOOKUP))
    for row in found:
        cut.size += row.bytes
        needed_nano = (cut.needed_nano or 0) + (row.cost_nano or 0)
        too_dear = left_nano is not None and needed_nano * factor > left_nano
        if cut.size > MOST_BYTES or too_dear:
            found.close()
            return cut, row.cost_nano or 0
        cut.number += 1
        cut.needed_nano = None if None in (row.cost_nano, cut.needed_nano) else needed_nano
        cut.last = (row.shard_no, row.key)
    return cut, 0


def _forget_answered(connection: Connection, job_id: str) -> None:
    """Others paid for these meanwhile."""
    answered = select(paid.c.key).where(paid.c.key == requests.c.key).exists()
    connection.execute(
        delete(requests).where(
            requests.c.job_id == job_id,
            requests.c.state.in_((RequestState.WAITING, RequestState.FOLLOWS)),
            answered,
        )
    )


def _promote(connection: Connection, job_id: str) -> None:
    """Of those who want one call one leads: who has sent it, else the first that is worked on."""
    other = requests.alias()
    same = other.c.key == requests.c.key
    is_sent = exists().where(same, other.c.state == RequestState.SENT)
    is_worked_on = exists().where(jobs.c.id == other.c.job_id, jobs.c.state.in_(WORKABLE))
    leads = exists().where(same, other.c.state == RequestState.WAITING, is_worked_on)
    earlier = exists().where(
        same,
        other.c.state == RequestState.FOLLOWS,
        tuple_(other.c.job_id, other.c.shard_no) < tuple_(requests.c.job_id, requests.c.shard_no),
        is_worked_on,
    )
    mine = requests.c.job_id == job_id
    waits = mine & (requests.c.state == RequestState.WAITING)
    connection.execute(update(requests).where(waits, is_sent).values(state=RequestState.FOLLOWS))
    follows = mine & (requests.c.state == RequestState.FOLLOWS)
    connection.execute(
        update(requests)
        .where(follows, ~is_sent, ~leads, ~earlier)
        .values(state=RequestState.WAITING)
    )


def _hold_doubtful(connection: Connection, job_id: str) -> None:
    """With `on_uncertain: hold`, what may be paid by now is sent no more: its rows fail."""
    spec = orjson.loads(connection.scalar(select(jobs.c.spec).where(jobs.c.id == job_id)) or "{}")
    if spec.get("options", {}).get("on_uncertain") != "hold":
        return
    waits = (requests.c.job_id == job_id) & (requests.c.state == RequestState.WAITING)
    connection.execute(
        update(requests)
        .where(waits, exists().where(money.doubts.c.key == requests.c.key))
        .values(state=RequestState.FAILED, code=FailureCode.UNCERTAIN, detail=IN_DOUBT)
    )


def forget(connection: Connection, job_id: str, shard_no: int) -> None:
    """The shard is settled: its failed and realtime requests have served."""
    mine = (requests.c.job_id == job_id) & (requests.c.shard_no == shard_no)
    connection.execute(delete(requests).where(mine))
