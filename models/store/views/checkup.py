"""What `maestrale doctor` asks the database; changes nothing."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from models.states import SETTLED, DeliveryState, EndpointState, JobState
from models.store.engine import now_s
from models.tables import Delivery, Endpoint, Event, Job, table_of

jobs = table_of(Job)
events = table_of(Event)
endpoints = table_of(Endpoint)
deliveries = table_of(Delivery)

MOST_SPECS = 200


@dataclass(frozen=True, slots=True)
class Waiting:
    """Things that wait: how many, and the longest for how many seconds."""

    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class Paused:
    """A job that waits for somebody."""

    id: str
    state_reason: str
    has_budget: bool


@dataclass(frozen=True, slots=True)
class IllEndpoint:
    """An endpoint that is disabled (`failing_s` is None) or has failed for so many seconds."""

    id: str
    reason: str
    last_error: str
    failing_s: float | None


def open_specs(connection: Connection) -> list[str]:
    """The specs of jobs that are not finished, the newest first."""
    query = select(jobs.c.spec).where(jobs.c.state.not_in(SETTLED))
    return list(connection.scalars(query.order_by(jobs.c.created_at.desc()).limit(MOST_SPECS)))


def paused_jobs(connection: Connection) -> list[Paused]:
    """Paused jobs, the newest first."""
    query = (
        select(jobs.c.id, jobs.c.state_reason, jobs.c.budget_nano)
        .where(jobs.c.state == JobState.PAUSED)
        .order_by(jobs.c.created_at.desc())
    )
    return [
        Paused(found.id, found.state_reason, found.budget_nano is not None)
        for found in connection.execute(query)
    ]


def sealed_secrets(connection: Connection) -> list[tuple[str, str]]:
    """(endpoint, sealed secret) of every endpoint."""
    query = select(endpoints.c.id, endpoints.c.secret).order_by(endpoints.c.id)
    return [(found.id, found.secret) for found in connection.execute(query)]


def endpoints_ill(connection: Connection) -> tuple[int, list[IllEndpoint]]:
    """How many endpoints there are, and those that are disabled or fail."""
    total = connection.scalar(select(func.count()).select_from(endpoints)) or 0
    is_disabled = endpoints.c.state == EndpointState.DISABLED
    query = (
        select(endpoints, (now_s() - endpoints.c.failing_since).label("failing_s"))
        .where(or_(is_disabled, endpoints.c.failing_since.is_not(None)))
        .order_by(endpoints.c.id)
    )
    return total, [_ill(found) for found in connection.execute(query)]


def _ill(found: Any) -> IllEndpoint:
    is_disabled = found.state == EndpointState.DISABLED
    failing_s = None if is_disabled else float(found.failing_s)
    return IllEndpoint(found.id, found.reason, found.last_error, failing_s)


def late_deliveries(connection: Connection, late_s: float) -> Waiting:
    """Deliveries of active endpoints that have been due for longer than `late_s`."""
    active = select(endpoints.c.id).where(endpoints.c.state == EndpointState.ACTIVE)
    is_late = and_(
        deliveries.c.state == DeliveryState.PENDING,
        deliveries.c.next_at < now_s() - late_s,
        deliveries.c.endpoint_id.in_(active),
    )
    return _waiting(connection, deliveries.c.next_at, is_late)


def events_untold(connection: Connection, late_s: float) -> Waiting:
    """Events that stand in the outbox for longer than `late_s`."""
    waits = and_(events.c.relayed_at.is_(None), events.c.created_at < now_s() - late_s)
    return _waiting(connection, events.c.created_at, waits)


def _waiting(
    connection: Connection, since: ColumnElement[float], which: ColumnElement[bool]
) -> Waiting:
    query = select(func.count(), func.coalesce(now_s() - func.min(since), 0.0)).where(which)
    count, oldest_s = connection.execute(query).one()
    return Waiting(int(count), float(oldest_s))
