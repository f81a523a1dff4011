"""Who is alive and what was learnt: workers seen, limits seen, and the hands of the clock."""

from typing import Any

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from models.limits import Limit
from models.store.engine import now_s
from models.tables import ClockHand, LimitSeen, WorkerSeen

workers = WorkerSeen.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
limits = LimitSeen.__table__  # type: ignore[attr-defined]
hands = ClockHand.__table__  # type: ignore[attr-defined]

ALIVE_S = 20.0
"""A worker is taken for alive this long after its last sign."""
FORGOTTEN_S = 86_400.0
DEFAULT_SLOTS = 16
"""Slots assumed before any worker was seen."""


def sign_of_life(connection: Connection, worker: str, *, slots: int, rows_in_flight: int) -> None:
    """Notes that the worker is alive, and forgets those silent for a day."""
    values = {"slots": slots, "rows_in_flight": rows_in_flight, "seen_at": now_s()}
    _upsert(connection, workers, {"id": worker}, values)
    connection.execute(delete(workers).where(workers.c.seen_at < now_s() - FORGOTTEN_S))


def gone(connection: Connection, worker: str) -> None:
    """The worker said goodbye."""
    connection.execute(delete(workers).where(workers.c.id == worker))


def alive(connection: Connection) -> list[WorkerSeen]:
    """Workers that gave a sign within `ALIVE_S`."""
    query = select(workers).where(workers.c.seen_at > now_s() - ALIVE_S).order_by(workers.c.id)
    return [WorkerSeen(**found) for found in connection.execute(query).mappings()]


def slots(connection: Connection) -> int:
    """Shard slots of all living workers; `DEFAULT_SLOTS` when none is known."""
    query = select(func.sum(workers.c.slots)).where(workers.c.seen_at > now_s() - ALIVE_S)
    return int(connection.scalar(query) or DEFAULT_SLOTS)


def limit_learnt(connection: Connection, account: str, model: str, limit: Limit) -> None:
    """Stores what was learnt of a model's limit."""
    values: dict[str, Any] = {
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "source": limit.source,
        "seen_at": now_s(),
    }
    _upsert(connection, limits, {"account": account, "model": model}, values)


def limits_learnt(connection: Connection, account: str) -> dict[str, Limit]:
    """What was learnt of the account's limits, by model."""
    query = select(limits).where(limits.c.account == account)
    return {
        found.model: Limit(found.requests_per_minute, found.tokens_per_minute, found.source)
        for found in connection.execute(query)
    }


def overdue_s(connection: Connection, name: str) -> float:
    """For how long the duty `name` has been due; 0 if it is not, or was never done."""
    query = select(now_s() - hands.c.next_at).where(hands.c.name == name)
    return max(0.0, connection.scalar(query) or 0.0)


def claim_hand(connection: Connection, name: str, *, every_s: float) -> bool:
    """Whether the duty `name` is due and this caller is the one to do it now."""
    moved = connection.execute(
        update(hands)
        .where(hands.c.name == name, hands.c.next_at <= now_s())
        .values(next_at=now_s() + every_s)
    )
    if moved.rowcount:
        return True
    statement = _dialect_insert(connection)(hands).values(name=name, next_at=now_s() + every_s)
    first = connection.execute(
        statement.on_conflict_do_nothing(index_elements=["name"]),
        execution_options={"preserve_rowcount": True},  # PostgreSQL: else -1
    )
    return first.rowcount > 0


def _dialect_insert(connection: Connection) -> Any:
    return insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql


def _upsert(
    connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]
) -> None:
    statement = _dialect_insert(connection)(table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
