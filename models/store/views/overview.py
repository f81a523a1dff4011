"""The whole of it in numbers, for `/metrics` of the dashboard: one snapshot, sums only."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from models.states import WORKABLE, DeliveryState, JobState, ShardState
from models.store import deliveries, fleet
from models.store.engine import read_now
from models.store.views import board
from models.tables import Delivery, Endpoint, Event, Job, Shard, Spending, table_of

jobs = table_of(Job)
shards = table_of(Shard)
events = table_of(Event)
endpoints = table_of(Endpoint)
sent = table_of(Delivery)
spending = table_of(Spending)

UNFINISHED = (*sorted(WORKABLE), JobState.PAUSED)
MOST_JOBS = 100
"""Unfinished jobs told one by one, the newest; the sums are of all."""


@dataclass(frozen=True, slots=True)
class JobNumbers:
    """An unfinished job."""

    id: str
    kind: str
    name: str
    rows_total: int
    rows_done: int
    rows_failed: int
    calls_made: int
    calls_refused: int
    calls_unpriced: int
    cost_nano: int
    budget_nano: int | None


@dataclass(frozen=True, slots=True)
class Spent:
    """On a model, by all jobs on record."""

    calls: int
    unpriced: int
    cost_nano: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Ages in seconds, 0 where there is nothing to be late."""

    now: float
    jobs: dict[str, int]
    unfinished: list[JobNumbers]
    rows: dict[str, int]
    shards: dict[str, int]
    lease_overdue_s: float
    unrelayed: int
    unrelayed_oldest_s: float
    deliveries: dict[str, int]
    deliveries_late_s: float
    endpoints: dict[str, int]
    spent: dict[str, Spent]
    workers: int
    spool_bytes: int
    backlog: int
    models: list[board.Standing]


def overview(connection: Connection) -> Overview:
    """How everything stands."""
    now = read_now(connection)
    alive = fleet.alive(connection)
    unrelayed, oldest = _unrelayed(connection)
    return Overview(
        now=now,
        jobs=board.by_state(connection),
        unfinished=_unfinished(connection),
        rows=_rows(connection),
        shards=_shards(connection),
        lease_overdue_s=_age(now, _first_lease(connection)),
        unrelayed=unrelayed,
        unrelayed_oldest_s=_age(now, oldest),
        deliveries=deliveries.counts(connection),
        deliveries_late_s=_age(now, _first_due(connection)),
        endpoints=_endpoints(connection),
        spent=_spent(connection),
        workers=len(alive),
        spool_bytes=sum(worker.spool_bytes for worker in alive),
        backlog=sum(worker.backlog for worker in alive),
        models=board.standings(connection),
    )


def _age(now: float, since: float | None) -> float:
    return max(0.0, now - since) if since is not None else 0.0


def _unfinished(connection: Connection) -> list[JobNumbers]:
    query = (
        select(*(jobs.c[name] for name in JobNumbers.__slots__))
        .where(jobs.c.state.in_(UNFINISHED))
        .order_by(jobs.c.created_at.desc(), jobs.c.id)
        .limit(MOST_JOBS)
    )
    return [JobNumbers(*found) for found in connection.execute(query)]


def _rows(connection: Connection) -> dict[str, int]:
    sums = (func.sum(jobs.c[name]) for name in ("rows_total", "rows_done", "rows_failed"))
    found = connection.execute(select(*sums).where(jobs.c.state.in_(UNFINISHED))).one()
    total, done, failed = (int(number or 0) for number in found)
    return {"done": done, "failed": failed, "open": total - done - failed}


def _shards(connection: Connection) -> dict[str, int]:
    states = (ShardState.OPEN, ShardState.LEASED)
    query = (
        select(shards.c.state, func.count())
        .join(jobs, jobs.c.id == shards.c.job_id)
        .where(shards.c.state.in_(states), jobs.c.state.in_(UNFINISHED))
        .group_by(shards.c.state)
    )
    found = {str(state): int(number) for state, number in connection.execute(query)}
    return {state.value: found.get(state, 0) for state in states}


def _first_lease(connection: Connection) -> float | None:
    query = select(func.min(shards.c.lease_until)).where(shards.c.state == ShardState.LEASED)
    first: float | None = connection.scalar(query)
    return first


def _unrelayed(connection: Connection) -> tuple[int, float | None]:
    query = select(func.count(), func.min(events.c.created_at)).where(events.c.relayed_at.is_(None))
    number, oldest = connection.execute(query).one()
    return int(number), oldest


def _first_due(connection: Connection) -> float | None:
    query = select(func.min(sent.c.next_at)).where(sent.c.state == DeliveryState.PENDING)
    first: float | None = connection.scalar(query)
    return first


def _endpoints(connection: Connection) -> dict[str, int]:
    query = select(endpoints.c.state, func.count()).group_by(endpoints.c.state)
    return {str(state): int(number) for state, number in connection.execute(query)}


def _spent(connection: Connection) -> dict[str, Spent]:
    names = ("calls", "calls_unpriced", "cost_nano")
    query = select(spending.c.model, *(func.sum(spending.c[name]) for name in names))
    found = connection.execute(query.group_by(spending.c.model))
    return {str(model): Spent(*map(int, sums)) for model, *sums in found}
