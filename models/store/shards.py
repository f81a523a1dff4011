"""Shards: claim by lease and token, heartbeat, hand back, settle, and what the sweeper finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    case,
    func,
    insert,
    literal_column,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from models.payloads import ON_DEVICE, SCORED, ShardMessage, is_on_device
from models.shares import Wanting
from models.states import WORKABLE, JobKind, RowState, ShardState
from models.store import jobs as job_moves
from models.store.engine import now_s
from models.tables import Job, Row, Shard, table_of

jobs = table_of(Job)
rows = table_of(Row)
shards = table_of(Shard)

SOON_S = 0.5
"""A message that new is on its way to a free slot: nobody need yield one."""
MOST_WANTING = 500
"""No process looks at more jobs that wait, the most urgent first."""
_IS_OPEN = shards.c.state == literal_column(f"'{ShardState.OPEN}'")
"""With the value in the statement, so that databases see that the index `shards_rung` will do."""
Held = tuple[str, int, int]
"""(job_id, shard number, token): what a process says it holds."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A won lease. Writes of the shard's rows carry `token`; an older one changes nothing."""

    job_id: str
    no: int
    token: int
    deaths: int
    kind: str
    spec: str
    priority: int
    has_budget: bool


def create(connection: Connection, job_id: str, bounds: Sequence[tuple[int, int]]) -> None:
    """Inserts shards 0..n-1 with their first and last row number."""
    if bounds:
        connection.execute(
            insert(shards),
            [
                {"job_id": job_id, "no": no, "first_seq": first, "last_seq": last}
                for no, (first, last) in enumerate(bounds)
            ],
        )


def claim(
    connection: Connection, job_id: str, no: int, *, owner: str, lease_s: float
) -> Claim | None:
    """open -> leased under the next token; None if another has it, it is done, or the job stopped.

    The first claim of a job starts it.
    """
    job = connection.execute(
        select(jobs.c.state, jobs.c.kind, jobs.c.spec, jobs.c.priority, jobs.c.budget_nano)
        .where(jobs.c.id == job_id)
        .with_for_update()  # a pause that was answered holds, and locks have one order
    ).first()
    if job is None or job.state not in WORKABLE:
        return None
    won = connection.execute(
        update(shards)
        .where(shards.c.job_id == job_id, shards.c.no == no, shards.c.state == ShardState.OPEN)
        .values(
            state=ShardState.LEASED,
            token=shards.c.token + 1,
            owner=owner,
            lease_until=now_s() + lease_s,
        )
        .returning(shards.c.token, shards.c.deaths)
    ).first()
    if won is None:
        return None
    job_moves.start(connection, job_id)
    has_budget = job.budget_nano is not None
    return Claim(job_id, no, won.token, won.deaths, job.kind, job.spec, job.priority, has_budget)


def heartbeat(connection: Connection, held: Iterable[Held], *, lease_s: float) -> set[Held]:
    """Prolongs the leases still ours; answers those that are not ours any more."""
    lost = set()
    for job_id, no, token in sorted(held):  # in the order in which writers lock them
        kept = connection.execute(
            update(shards).where(_ours(job_id, no, token)).values(lease_until=now_s() + lease_s)
        )
        if not kept.rowcount:
            lost.add((job_id, no, token))
    return lost


def hand_back(connection: Connection, held: Held) -> bool:
    """leased -> open without a death: the worker drains or the job was stopped."""
    return _release(connection, held, ShardState.OPEN)


def wait(connection: Connection, held: Held) -> bool:
    """leased -> waiting: its open rows wait for remote work."""
    return _release(connection, held, ShardState.WAITING)


def settle(connection: Connection, held: Held) -> bool:
    """leased -> done, if no row of it is open; the last shard settles the job."""
    job_id, no, token = held
    job_moves.lock(connection, [job_id])
    still_open = (
        select(rows.c.seq)
        .where(rows.c.job_id == job_id, rows.c.shard_no == no, rows.c.state == RowState.OPEN)
        .exists()
    )
    moved = connection.execute(
        update(shards)
        .where(_ours(job_id, no, token), ~still_open)
        .values(state=ShardState.DONE, lease_until=None, owner="")
    )
    if not moved.rowcount:
        return False
    connection.execute(
        update(jobs).where(jobs.c.id == job_id).values(shards_done=jobs.c.shards_done + 1)
    )
    job_moves.start(connection, job_id)  # it was paused and resumed with this shard in flight
    job_moves.settle_if_done(connection, job_id)
    return True


def tokens_in_force(
    connection: Connection, held: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """The tokens under which these shards are leased now, locked until the transaction ends."""
    wanted = or_(*(and_(shards.c.job_id == job_id, shards.c.no == no) for job_id, no in held))
    query = (
        select(shards.c.job_id, shards.c.no, shards.c.token)
        .where(wanted, shards.c.state == ShardState.LEASED)
        .order_by(shards.c.job_id, shards.c.no)
        .with_for_update(read=True)  # PostgreSQL: no rescue between check and write; SQLite: no-op
    )
    return {(found.job_id, found.no): found.token for found in connection.execute(query)}


def take_window(connection: Connection, job_id: str, *, slots: int) -> list[ShardMessage]:
    """Marks as published as many shards as fit the job's window, and answers their messages.

    The window is the number of shards that are leased or have a message on its way: enough for
    every slot of every worker and a few to follow, so a million rows do not sit in Redis.
    """
    job = connection.execute(
        select(
            jobs.c.kind,
            jobs.c.priority,
            jobs.c.shards_total,
            jobs.c.state,
            case((jobs.c.kind.in_(ON_DEVICE), jobs.c.spec), else_="").label("spec"),
        )
        .where(jobs.c.id == job_id)
        .with_for_update()
    ).first()
    if job is None or job.state not in WORKABLE:
        return []
    out = or_(
        shards.c.state == ShardState.LEASED,
        and_(shards.c.state == ShardState.OPEN, shards.c.published_at.is_not(None)),
    )
    busy = (
        connection.scalar(
            select(func.count()).select_from(shards).where(shards.c.job_id == job_id, out)
        )
        or 0
    )
    taken = _publish_next(connection, job_id, slots + 4 - busy)
    return [
        ShardMessage(
            job_id=job_id,
            no=no,
            kind=job.kind,
            priority=job.priority,
            on_device=is_on_device(job.kind, job.spec),
            label=f"{job.kind} {job_id} shard {no + 1}/{job.shards_total} rows {first}-{last}",
        )
        for no, first, last in taken
    ]


def unpublish(connection: Connection, sent: Iterable[tuple[str, int]]) -> None:
    """These messages (job id, shard number) lead nowhere: whoever rings next sends new ones."""
    for job_id, no in sent:
        connection.execute(
            update(shards)
            .where(
                shards.c.job_id == job_id,
                shards.c.no == no,
                shards.c.state == ShardState.OPEN,
            )
            .values(published_at=None)
        )


def _publish_next(connection: Connection, job_id: str, free: int) -> list[tuple[int, int, int]]:
    if free <= 0:
        return []
    unpublished = and_(
        shards.c.job_id == job_id,
        shards.c.state == ShardState.OPEN,
        shards.c.published_at.is_(None),
    )
    numbers = select(shards.c.no).where(unpublished).order_by(shards.c.no).limit(free)
    taken = connection.execute(
        update(shards)
        .where(unpublished, shards.c.no.in_(numbers))
        .values(published_at=now_s())
        .returning(shards.c.no, shards.c.first_seq, shards.c.last_seq)
    )
    return sorted((found.no, found.first_seq, found.last_seq) for found in taken)


def reopen_expired(connection: Connection) -> list[tuple[str, int]]:
    """leased -> open with a death counted, where the lease ran out: the owner is gone."""
    ran_out = and_(shards.c.state == ShardState.LEASED, shards.c.lease_until < now_s())
    expired = connection.execute(
        update(shards)
        .where(_at_rest(ran_out))
        .values(
            state=ShardState.OPEN,
            lease_until=None,
            owner="",
            published_at=None,
            deaths=shards.c.deaths + 1,
        )
        .returning(shards.c.job_id, shards.c.no)
    )
    return [(found.job_id, found.no) for found in expired]


def waiting_since(connection: Connection, older_than_s: float) -> int:
    """How many shards of workable jobs have waited that long after their message was sent."""
    query = (
        select(func.count())
        .select_from(shards.join(jobs, jobs.c.id == shards.c.job_id))
        .where(_message_out(older_than_s), jobs.c.state.in_(WORKABLE))
    )
    return connection.scalar(query) or 0


def wanting(connection: Connection) -> list[Wanting]:
    """Workable jobs with shards that are held, or wait for a slot although they were rung for.

    But for those that train or read on devices: they have slots of their own, and give up none
    for an hour's sake.
    """
    of_job = shards.join(jobs, jobs.c.id == shards.c.job_id)
    reads = and_(jobs.c.kind == JobKind.EVALUATE, jobs.c.spec.contains(f'"kind":"{SCORED}"'))
    workable = and_(jobs.c.state.in_(WORKABLE), jobs.c.kind != JobKind.TRAIN, not_(reads))
    held = connection.execute(
        select(shards.c.job_id, jobs.c.priority, shards.c.owner, func.count().label("count"))
        .select_from(of_job)
        .where(shards.c.state == ShardState.LEASED, workable)
        .group_by(shards.c.job_id, jobs.c.priority, shards.c.owner)
    )
    waiting = connection.execute(
        select(shards.c.job_id, jobs.c.priority, func.count().label("count"))
        .select_from(of_job)
        .where(_IS_OPEN, shards.c.published_at < now_s() - SOON_S, workable)
        .group_by(shards.c.job_id, jobs.c.priority)
        .order_by(jobs.c.priority, func.min(shards.c.published_at))
        .limit(MOST_WANTING)
    )
    return _wanting(held.all(), waiting.all())


def _wanting(held: Iterable[Any], waiting: Iterable[Any]) -> list[Wanting]:
    found: dict[str, Wanting] = {}
    for some in waiting:
        found[some.job_id] = Wanting(some.job_id, some.priority, some.count)
    for some in held:
        known = found.get(some.job_id) or Wanting(some.job_id, some.priority, 0)
        found[some.job_id] = replace(known, held={**known.held, some.owner: some.count})
    return list(found.values())


def forget_messages(connection: Connection, older_than_s: float) -> int:
    """Takes messages sent that long ago for lost, so that the window rings for them again."""
    moved = connection.execute(
        update(shards).where(_at_rest(_message_out(older_than_s))).values(published_at=None)
    )
    return moved.rowcount


def _at_rest(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """The shards that fit `condition`, but for those another transaction has in hand just now.

    Who locks many shards must not wait for one: on PostgreSQL that could close a ring.
    """
    found = select(shards.c.job_id, shards.c.no).where(condition).with_for_update(skip_locked=True)
    return tuple_(shards.c.job_id, shards.c.no).in_(found)


def _message_out(older_than_s: float) -> ColumnElement[bool]:
    return and_(shards.c.state == ShardState.OPEN, shards.c.published_at < now_s() - older_than_s)


def _release(connection: Connection, held: Held, to: ShardState) -> bool:
    moved = connection.execute(
        update(shards)
        .where(_ours(*held))
        .values(state=to, lease_until=None, owner="", published_at=None)
    )
    return bool(moved.rowcount)


def _ours(job_id: str, no: int, token: int) -> ColumnElement[bool]:
    return and_(
        shards.c.job_id == job_id,
        shards.c.no == no,
        shards.c.token == token,
        shards.c.state == ShardState.LEASED,
    )
