"""Money: what was spent on what and when, and who may spend how much of a job's budget.

A process that works on a job with a budget holds a part of it (`hold`): what it has in flight or
paid without a commit yet, and what it may spend without asking again. Committed costs, doubts and
all holds together never pass the budget. A hold that is not renewed runs out: its process is gone,
and what it had in flight is counted as paid or doubtful by whoever adopts its spool.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, Integer, delete, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from models.errors import BadInputError
from models.nano import NANO
from models.payloads import CallRecord
from models.store import families, inserts, portions
from models.store import jobs as job_moves
from models.store.engine import now_s
from models.tables import BudgetHold, Doubt, Job, Spending, table_of
from models.words import money

spending = table_of(Spending)
holds = table_of(BudgetHold)
doubts = table_of(Doubt)
jobs = table_of(Job)

DAY_S = 86_400
SHARE = 4
"""At most one part in so many of what is left is granted at once: several processes share it."""
By = Literal["job", "model", "day"]
_EPOCH = date(1970, 1, 1)
_SUMS = (
    "calls",
    "calls_unpriced",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cost_nano",
)


class today(FunctionElement[int]):  # noqa: N801 # reads as an SQL function where it is used
    """Days since the epoch, UTC, by the database's clock."""

    type = Integer()
    inherit_cache = True


@compiles(today, "sqlite")
def _today_sqlite(_element: today, _compiler: Any, **_kw: Any) -> str:
    return "CAST(julianday('now') - 2440587.5 AS INTEGER)"


@compiles(today, "postgresql")
def _today_postgresql(_element: today, _compiler: Any, **_kw: Any) -> str:
    return f"CAST(floor(extract(epoch from clock_timestamp()) / {DAY_S}) AS INTEGER)"


# -- what was spent --------------------------------------------------------------------------------


def spend(connection: Connection, records: Iterable[CallRecord]) -> None:
    """Adds paid calls to what their jobs spent today; one statement, a row per job and model."""
    sums: dict[tuple[str, str], list[int]] = {}
    for record in records:
        total = sums.setdefault((record.job_id, record.model), [0] * len(_SUMS))
        for place, amount in enumerate(_amounts(record)):
            total[place] += amount
    if not sums:
        return
    statement = inserts.adding(connection, spending, ["job_id", "model", "day"], _SUMS)
    values = [
        {"job_id": job_id, "model": model, **dict(zip(_SUMS, total, strict=True))}
        for (job_id, model), total in sorted(sums.items())
    ]
    connection.execute(statement.values(day=today()), values)


def _amounts(record: CallRecord) -> tuple[int, ...]:
    used = record.usage
    return (
        1,
        record.cost_nano is None,
        used.prompt_tokens,
        used.completion_tokens,
        used.cached_tokens,
        record.cost_nano or 0,
    )


@dataclass(slots=True)
class Cost:
    """What one job, model or day cost. `unpriced` calls are in no sum: it is "at least" then."""

    key: str
    calls: int = 0
    calls_unpriced: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_nano: int = 0
    doubts: int = 0
    """Perhaps paid; their estimated cost is not part of `cost_nano`."""
    doubts_unpriced: int = 0
    doubts_nano: int = 0


def costs(
    connection: Connection, by: By = "job", job_id: str | None = None, since: date | None = None
) -> list[Cost]:
    """What was spent, the dearest first (days: the newest); `since` counts from 0:00 UTC on.

    Of a pipeline's run: what the jobs below it spent.
    """
    ids = None if job_id is None else [job_id, *families.jobs_of_run(connection, job_id)]
    first = None if since is None else (since - _EPOCH).days
    found: dict[Any, Cost] = {}
    for key, *sums in connection.execute(_spent(by, ids, first)):
        values = {name: int(amount) for name, amount in zip(_SUMS, sums, strict=True)}
        found[key] = Cost(_name(by, key), **values)
    is_sqlite = connection.dialect.name == "sqlite"
    doubted = _doubted(by, ids, first, is_sqlite=is_sqlite)
    for key, count, unpriced, nano in connection.execute(doubted):
        cost = found.setdefault(key, Cost(_name(by, key)))
        cost.doubts, cost.doubts_unpriced, cost.doubts_nano = count, unpriced, int(nano)
    if by == "day":
        return [found[day] for day in sorted(found, reverse=True)]
    return sorted(found.values(), key=lambda cost: (-cost.cost_nano, -cost.calls, cost.key))


def _spent(by: By, ids: list[str] | None, first: int | None) -> Any:
    key = {"job": spending.c.job_id, "model": spending.c.model, "day": spending.c.day}[by]
    query = select(key, *(func.sum(spending.c[name]) for name in _SUMS)).group_by(key)
    query = query if ids is None else query.where(spending.c.job_id.in_(ids))
    return query if first is None else query.where(spending.c.day >= first)


def _doubted(by: By, ids: list[str] | None, first: int | None, *, is_sqlite: bool) -> Any:
    days = doubts.c.created_at / DAY_S
    # SQLite cuts where PostgreSQL rounds, and has no floor() everywhere
    day = (days if is_sqlite else func.floor(days)).cast(Integer)
    key = {"job": doubts.c.job_id, "model": doubts.c.model, "day": day}[by]
    unpriced = func.count() - func.count(doubts.c.cost_nano)
    nano = func.coalesce(func.sum(doubts.c.cost_nano), 0)
    query = select(key, func.count(), unpriced, nano).group_by(key)
    query = query if ids is None else query.where(doubts.c.job_id.in_(ids))
    return query if first is None else query.where(doubts.c.created_at >= first * DAY_S)


def _name(by: By, key: Any) -> str:
    return (_EPOCH + timedelta(days=key)).isoformat() if by == "day" else str(key)


def day_of(at: float) -> date:
    """The UTC day of a time in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).date()


# -- who may spend ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """An answer to `hold`. `others_nano`: what other processes hold just now."""

    nano: int
    others_nano: int = 0


@dataclass(frozen=True, slots=True)
class _Standing:
    budget_nano: int | None
    spent_nano: int
    others_nano: int

    def left(self, in_flight_nano: int) -> int:
        assert self.budget_nano is not None
        return self.budget_nano - self.spent_nano - self.others_nano - in_flight_nano


def hold(
    connection: Connection,
    job_id: str,
    owner: str,
    in_flight_nano: int,
    wanted_nano: int,
    ttl_s: float,
    *,
    needed_nano: int = 0,
) -> Grant:
    """Renews what `owner` holds, and grants more of what is left: `needed_nano` at least, or 0.

    `in_flight_nano`: what it may spend already (unfinished, uncommitted, or granted before).
    """
    stands = _standing(connection, job_id, owner)
    if stands.budget_nano is None:  # taken off meanwhile
        granted = wanted_nano
    else:
        left = stands.left(in_flight_nano)
        share = max(left // SHARE, needed_nano)
        granted = min(wanted_nano, share) if left > 0 and left >= needed_nano else 0
    _keep(connection, job_id, owner, in_flight_nano + granted, ttl_s)
    return Grant(granted, stands.others_nano)


def left_nano(connection: Connection, job_id: str) -> int | None:
    """What of the job's budget is neither spent nor held by anybody; None: it has no budget."""
    stands = _standing(connection, job_id, "")
    return None if stands.budget_nano is None else max(0, stands.left(0))


def reach(
    connection: Connection,
    job_id: str,
    owner: str,
    needed_nano: int,
    *,
    what: str = "the next call",
    is_all: bool = False,
) -> bool:
    """Pauses the job if it cannot pay for `needed_nano` and nobody else has money of it.

    Only for an owner with nothing in flight. Answers whether this call paused it. `what` needs it;
    `is_all`: the job needs no more than that, so that a budget can be named that is enough for it.
    """
    stands = _standing(connection, job_id, owner)
    if stands.budget_nano is None or stands.others_nano or stands.left(0) >= needed_nano:
        return False
    sums = f"{money(stands.spent_nano)} of {money(stands.budget_nano)} is spent"
    if needed_nano:
        left = money(max(0, stands.left(0)))
        sums += f", {left} is left and {what} needs about {money(needed_nano)}"
    advice = _go_on(connection, job_id, needed_nano if is_all else None)
    return job_moves.reach_budget(connection, job_id, f"{families.SPENT} {sums}; {advice}")


def check_more(connection: Connection, job_id: str, budget_nano: int) -> None:
    """Another budget of a job that has begun, which is locked with all below it, must be more than
    what is spent. Raises `BadInputError`."""
    job_moves.lock(connection, families.family(connection, job_id))
    # what a run or a sweep counts itself is late, or nothing
    spent = max(spent_nano(connection, job_id), families.spent_below_nano(connection, job_id))
    if budget_nano <= spent:
        raise BadInputError(
            f"{job_id} has spent {money(spent)} already (doubtful calls included): "
            f"a budget of {money(budget_nano)} lets nothing start, give more"
        )


def resume(connection: Connection, job_id: str, *, budget_nano: int | None = None) -> bool:
    """paused -> queued as a user asks for it. Raises `BadInputError` for a budget that is spent."""
    if budget_nano is not None:
        check_more(connection, job_id, budget_nano)
    return job_moves.resume(connection, job_id, budget_nano=budget_nano)


def _go_on(connection: Connection, job_id: str, needed_nano: int | None) -> str:
    """By the job whose budget it is: the run or the sweep that it is below of, else itself."""
    line = [job_id, *families.all_above(connection, job_id)]
    advice = f"go on with `maestrale resume {line[-1]} --budget MORE`"
    if needed_nano is None:
        return advice
    spent = families.spent_nano(connection, [job_id])
    if len(line) > 1:
        mine = line[-2]
        spent = families.spent_nano(connection, [mine, *families.all_below(connection, mine)])
        spent += portions.committed_nano(connection, line[-1], but=[mine])
    step = 100_000 if spent + needed_nano < NANO else 10_000_000  # as sums are told: never less
    return f"{advice} (at least {money(-(-(spent + needed_nano) // step) * step)} in all)"


def spent_nano(connection: Connection, job_id: str) -> int:
    """What counts against the job's budget: paid calls, and doubts by their estimate."""
    return families.spent_nano(connection, [job_id])


def _standing(connection: Connection, job_id: str, owner: str) -> _Standing:
    """Reads behind the job's lock: no cost is committed and no money granted meanwhile."""
    job_moves.lock(connection, [job_id])
    budget = connection.scalar(select(jobs.c.budget_nano).where(jobs.c.id == job_id))
    others = connection.scalar(
        select(func.coalesce(func.sum(holds.c.nano), 0)).where(
            holds.c.job_id == job_id, holds.c.owner != owner, holds.c.until > now_s()
        )
    )
    return _Standing(budget, spent_nano(connection, job_id), int(others or 0))


def _keep(connection: Connection, job_id: str, owner: str, nano: int, ttl_s: float) -> None:
    if not nano:
        connection.execute(
            delete(holds).where(
                holds.c.job_id == job_id, (holds.c.owner == owner) | (holds.c.until <= now_s())
            )
        )
        return
    values = {"nano": nano, "until": now_s() + ttl_s}
    inserts.replace(connection, holds, {"job_id": job_id, "owner": owner}, values)
