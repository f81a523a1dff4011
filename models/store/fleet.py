"""Who is alive and what was learnt: workers seen, limits seen, and the hands of the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from models.limits import Limit
from models.store import inserts, reading
from models.store.engine import now_s, read_now
from models.tables import ClockHand, LimiterSeen, LimitSeen, WorkerSeen, table_of

workers = table_of(WorkerSeen)
limits = table_of(LimitSeen)
limiters = table_of(LimiterSeen)
hands = table_of(ClockHand)

ALIVE_S = 20.0
"""A worker is taken for alive this long after its last sign."""
FORGOTTEN_S = 86_400.0
LIMITER_FORGOTTEN_S = 3_600.0
DEFAULT_SLOTS = 16
"""Slots assumed before any worker was seen."""


@dataclass(frozen=True, slots=True)
class LimiterSign:
    """How a process stands with one model; as `LimiterSeen`, but `hold_s` seconds from now."""

    model: str
    account: str
    limit: Limit | None
    rate_per_s: float | None
    calls_per_s: float
    hold_s: float
    in_flight: int
    waiting: int
    refusals: int
    redis_away: bool


def sign_of_life(
    connection: Connection,
    worker: str,
    *,
    slots: int,
    rows_in_flight: int,
    spool_bytes: int = 0,
    backlog: int = 0,
    limiter: Sequence[LimiterSign] = (),
) -> float:
    """Notes that the worker is alive and how it stands, and forgets the silent; answers the time.

    Workers silent for a day are forgotten, and their limiters after `LIMITER_FORGOTTEN_S`.
    """
    now = read_now(connection)
    values = {
        "slots": slots,
        "rows_in_flight": rows_in_flight,
        "spool_bytes": spool_bytes,
        "backlog": backlog,
        "seen_at": now,
    }
    inserts.replace(connection, workers, {"id": worker}, values)
    connection.execute(delete(workers).where(workers.c.seen_at < now - FORGOTTEN_S))
    connection.execute(delete(limiters).where(limiters.c.seen_at < now - LIMITER_FORGOTTEN_S))
    for sign in sorted(limiter, key=lambda sign: sign.model):
        key = {"worker": worker, "model": sign.model}
        inserts.replace(connection, limiters, key, _limiter_values(sign, now))
    return now


def _limiter_values(sign: LimiterSign, now: float) -> dict[str, Any]:
    limit = sign.limit
    return {
        "account": sign.account,
        "requests_per_minute": limit.requests_per_minute if limit else None,
        "tokens_per_minute": limit.tokens_per_minute if limit else None,
        "source": limit.source if limit else "",
        "rate_per_s": sign.rate_per_s,
        "calls_per_s": sign.calls_per_s,
        "hold_until": now + sign.hold_s if sign.hold_s > 0 else None,
        "in_flight": sign.in_flight,
        "waiting": sign.waiting,
        "refusals": sign.refusals,
        "redis_away": sign.redis_away,
        "seen_at": now,
    }


def gone(connection: Connection, worker: str) -> None:
    """The worker said goodbye."""
    connection.execute(delete(workers).where(workers.c.id == worker))
    connection.execute(delete(limiters).where(limiters.c.worker == worker))


def limiters_seen(connection: Connection) -> list[LimiterSeen]:
    """How the living processes stand with each model, by account and model."""
    query = select(limiters).where(limiters.c.seen_at > now_s() - ALIVE_S)
    query = query.order_by(limiters.c.account, limiters.c.model, limiters.c.worker)
    return reading.all_of(connection, query, LimiterSeen)


def alive(connection: Connection) -> list[WorkerSeen]:
    """Workers that gave a sign within `ALIVE_S`."""
    query = select(workers).where(workers.c.seen_at > now_s() - ALIVE_S).order_by(workers.c.id)
    return reading.all_of(connection, query, WorkerSeen)


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
    inserts.replace(connection, limits, {"account": account, "model": model}, values)


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
    first = inserts.once(connection, hands, ["name"])
    made = connection.execute(first.values(name=name, next_at=now_s() + every_s))
    return bool(made.rowcount > 0)
