"""What the dashboard's lists show: jobs by the page, and how models stand with their limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, cast, func, or_, select

from models.store.fleet import limiters_seen
from models.tables import Job, LimiterSeen, LimitSeen, Spending, table_of

jobs = table_of(Job)
spending = table_of(Spending)
limits = table_of(LimitSeen)

PAGE = 50
SETTLED_ROWS = jobs.c.rows_done + jobs.c.rows_failed
SORTS: Mapping[str, ColumnElement[Any]] = {
    "created": jobs.c.created_at,
    "state": jobs.c.state,
    "job": jobs.c.name,
    "progress": cast(SETTLED_ROWS, Float) / func.nullif(jobs.c.rows_total, 0),
    "rows": jobs.c.rows_total,
    "failed": jobs.c.rows_failed,
    "refusals": jobs.c.calls_refused,
    "cost": jobs.c.cost_nano,
}
"""What a list can be sorted by."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs, in which order. An empty text filters nothing."""

    state: str = ""
    kind: str = ""
    text: str = ""
    """Part of an id, a name or an input's name, whatever its case."""
    sort: str = "created"
    """One of `SORTS`."""
    descending: bool = True
    page: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """A job as lists show it: without its spec, which may be long."""

    id: str
    kind: str
    name: str
    state: str
    state_reason: str
    input_name: str
    priority: int
    rows_total: int
    rows_done: int
    rows_failed: int
    calls_made: int
    calls_unpriced: int
    calls_refused: int
    cost_nano: int
    budget_nano: int | None
    created_at: float
    started_at: float | None
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands with one model, all living processes together.

    `processes` 0: nobody uses it just now; the limit is what was last learnt, at `seen_at`.
    """

    account: str
    model: str
    requests_per_minute: float | None
    tokens_per_minute: float | None
    source: str
    seen_at: float
    processes: int = 0
    rate_per_s: float | None = None
    """Calls per second that the processes share now; None: unpaced."""
    calls_per_s: float = 0.0
    hold_until: float | None = None
    in_flight: int = 0
    waiting: int = 0
    refusals: int = 0
    redis_away: int = 0
    """Processes that pace themselves because Redis does not answer."""


_LISTED = [jobs.c[name] for name in Listed.__slots__]


def count(connection: Connection, wanted: Wanted) -> int:
    """How many jobs are wanted, on all pages."""
    query = select(func.count()).select_from(jobs).where(*_conditions(wanted))
    return connection.scalar(query) or 0


def listed(connection: Connection, wanted: Wanted) -> list[Listed]:
    """The wanted page. Equal ones stand in the order in which they were created, newest first."""
    page = (
        select(jobs.c.id)
        .where(*_conditions(wanted))
        .order_by(*_order(wanted))
        .limit(PAGE)
        .offset((wanted.page - 1) * PAGE)
    )
    # first the ids, which an index knows: SQLite reads past a job's long spec to its counters
    query = select(*_LISTED).where(jobs.c.id.in_(page)).order_by(*_order(wanted))
    return [Listed(*found) for found in connection.execute(query)]


def by_state(connection: Connection) -> dict[str, int]:
    """How many jobs there are, by state."""
    query = select(jobs.c.state, func.count()).group_by(jobs.c.state)
    return {str(state): int(number) for state, number in connection.execute(query)}


def models_asked(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Job -> model -> calls paid for, of the jobs given. A job that paid nothing is left out."""
    query = (
        select(spending.c.job_id, spending.c.model, func.sum(spending.c.calls))
        .where(spending.c.job_id.in_(ids))
        .group_by(spending.c.job_id, spending.c.model)
    )
    found: dict[str, dict[str, int]] = {}
    for job_id, model, calls in connection.execute(query):
        found.setdefault(job_id, {})[model] = int(calls)
    return found


def standings(connection: Connection) -> list[Standing]:
    """Every account and model that is used now or whose limit was learnt, in that order."""
    by_model = groupby(limiters_seen(connection), key=lambda seen: (seen.account, seen.model))
    now_used = {key: _together(list(seen)) for key, seen in by_model}
    learnt = [
        Standing(**found)
        for found in connection.execute(select(limits)).mappings()
        if (found["account"], found["model"]) not in now_used
    ]
    learnt.sort(key=lambda standing: (standing.model, standing.account))
    return [*now_used.values(), *learnt]


def _together(seen: Sequence[LimiterSeen]) -> Standing:
    newest = max(seen, key=lambda one: one.seen_at)
    return Standing(
        account=newest.account,
        model=newest.model,
        requests_per_minute=newest.requests_per_minute,
        tokens_per_minute=newest.tokens_per_minute,
        source=newest.source,
        seen_at=newest.seen_at,
        processes=len(seen),
        rate_per_s=newest.rate_per_s,
        calls_per_s=sum(one.calls_per_s for one in seen),
        hold_until=max((one.hold_until for one in seen if one.hold_until), default=None),
        in_flight=sum(one.in_flight for one in seen),
        waiting=sum(one.waiting for one in seen),
        refusals=sum(one.refusals for one in seen),
        redis_away=sum(one.redis_away for one in seen),
    )


def _order(wanted: Wanted) -> list[ColumnElement[Any]]:
    """By created and id as the index `jobs_listed` has them, forwards or backwards."""
    column, age = SORTS[wanted.sort], [jobs.c.created_at, jobs.c.id]
    if wanted.sort == "created":
        return [one.desc() if wanted.descending else one.asc() for one in age]
    first = column.desc() if wanted.descending else column.asc()
    return [first.nulls_last(), *(one.desc() for one in age)]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.state:
        conditions.append(jobs.c.state == wanted.state)
    if wanted.kind:
        conditions.append(jobs.c.kind == wanted.kind)
    if wanted.text:
        text = wanted.text.lower()
        places = (jobs.c.id, jobs.c.name, jobs.c.input_name)
        conditions.append(
            or_(*(func.lower(place).contains(text, autoescape=True) for place in places))
        )
    return conditions
