"""What the page Webhooks shows: endpoints without what may be secret in them, and deliveries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from models.addresses import origin_of
from models.states import EndpointState
from models.store import deliveries as log
from models.store import endpoints as doors
from models.store.engine import read_now
from models.tables import Delivery, Endpoint, table_of

deliveries = table_of(Delivery)
endpoints = table_of(Endpoint)

ENDPOINTS = 100
DELIVERIES = 50


@dataclass(frozen=True, slots=True)
class EndpointShown:
    """An endpoint as anybody may see it: no path, no query, no secret."""

    id: str
    origin: str
    events: Sequence[str]
    """Empty: all."""
    job_id: str | None
    state: EndpointState
    reason: str
    last_status: int | None
    last_error: str
    last_at: float | None
    last_success_at: float | None
    failing_since: float | None


@dataclass(frozen=True, slots=True)
class HookPage:
    """Endpoints and deliveries, from one snapshot."""

    now: float
    endpoints: Sequence[EndpointShown]
    endpoints_total: int
    counts: Mapping[str, int]
    """Deliveries by state, of all endpoints."""
    deliveries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """One delivery with its body and its log."""

    now: float
    delivery: Delivery
    endpoint: EndpointShown | None
    """None: it was removed."""
    attempts: Sequence[Mapping[str, Any]]


def read(
    connection: Connection, *, endpoint_id: str | None = None, failed: bool = False
) -> HookPage:
    """The endpoints (of all jobs first), and the newest deliveries that are asked for."""
    return HookPage(
        now=read_now(connection),
        endpoints=[_shown(one) for one in doors.all_(connection, limit=ENDPOINTS)],
        endpoints_total=connection.scalar(select(func.count()).select_from(endpoints)) or 0,
        counts=log.counts(connection),
        deliveries=log.newest(connection, endpoint_id=endpoint_id, failed=failed, limit=DELIVERIES),
    )


def read_delivery(connection: Connection, delivery_id: int) -> DeliveryPage | None:
    """The delivery with all that is known of it; None: there is no such delivery."""
    query = select(deliveries).where(deliveries.c.id == delivery_id)
    found = connection.execute(query).mappings().first()
    if found is None:
        return None
    delivery = Delivery(**found)
    return DeliveryPage(
        now=read_now(connection),
        delivery=delivery,
        endpoint=_endpoint(connection, delivery.endpoint_id),
        attempts=log.attempts_of(connection, delivery_id),
    )


def _endpoint(connection: Connection, endpoint_id: str) -> EndpointShown | None:
    query = select(endpoints).where(endpoints.c.id == endpoint_id)
    found = connection.execute(query).mappings().first()
    return _shown(Endpoint(**found)) if found else None


def _shown(endpoint: Endpoint) -> EndpointShown:
    return EndpointShown(
        id=endpoint.id,
        origin=origin_of(endpoint.url),
        events=orjson.loads(endpoint.events),
        job_id=endpoint.job_id,
        state=EndpointState(endpoint.state),
        reason=endpoint.reason,
        last_status=endpoint.last_status,
        last_error=endpoint.last_error,
        last_at=endpoint.last_at,
        last_success_at=endpoint.last_success_at,
        failing_since=endpoint.failing_since,
    )
