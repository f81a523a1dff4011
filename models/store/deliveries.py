"""Deliveries: events on their way from the outbox to endpoints, and the log of it.

Any number of processes relay at once. Locks are taken in one order: endpoints, events, deliveries.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from models.addresses import origin_of
from models.errors import BadInputError, NotFoundError
from models.events import matches, message_body, message_id
from models.states import DeliveryState, EndpointState
from models.store import events as outbox
from models.store import inserts
from models.store.engine import now_s
from models.tables import Attempt, Delivery, Endpoint, Event, table_of

attempts = table_of(Attempt)
deliveries = table_of(Delivery)
endpoints = table_of(Endpoint)
events = table_of(Event)

RELAY_BATCH = 200
BATCH = 500
_PENDING: ColumnElement[str] = literal_column(f"'{DeliveryState.PENDING}'")
"""Spelled out: a parameter would keep both databases from the index of what is pending."""
EVENTS_WAIT = ""
"""Stands among the endpoints of `look` for events that were not relayed."""


def look(connection: Connection) -> list[str]:
    """Endpoints with something due, and `EVENTS_WAIT` if the relay has work. Cheap: asked often."""
    return list(connection.scalars(looking()))


def relay(connection: Connection, limit: int = RELAY_BATCH) -> int:
    """Makes the deliveries of the oldest `limit` events that have none yet; how many events.

    An event is relayed once, however many relays there are.
    """
    waiting = select(events).where(events.c.relayed_at.is_(None)).order_by(events.c.id)
    oldest = connection.execute(waiting.limit(limit)).all()
    if not oldest:
        return 0
    hearing = _active(connection, jobs={event.subject_id for event in oldest})
    still = waiting.where(events.c.id.in_([event.id for event in oldest]))
    found = connection.execute(still.with_for_update(skip_locked=True)).all()
    _insert(connection, [_delivery(e, at.id) for e in found for at in hearing if _hears(at, e)])
    connection.execute(
        update(events)
        .where(events.c.id.in_([event.id for event in found]))
        .values(relayed_at=now_s())
    )
    return len(found)


def enqueue_test(connection: Connection, endpoint_id: str) -> int:
    """A `webhook.test` event for this endpoint alone; the id of its delivery, due at once."""
    found = _endpoint(connection, endpoint_id)
    if found.state != EndpointState.ACTIVE:
        raise BadInputError(f"{endpoint_id} is disabled: `maestrale webhooks enable` it first")
    seq = outbox.write_of_endpoint(
        connection, endpoint_id, "webhook.test", origin=origin_of(found.url)
    )
    event = connection.execute(
        update(events)
        .where(events.c.subject_id == endpoint_id, events.c.seq == seq)
        .values(relayed_at=now_s())
        .returning(events)
    ).one()
    _insert(connection, [_delivery(event, endpoint_id)])
    return int(
        connection.execute(
            select(deliveries.c.id).where(
                deliveries.c.endpoint_id == endpoint_id,
                deliveries.c.message_id == message_id(endpoint_id, seq),
            )
        ).scalar_one()
    )


def disable_endpoint(connection: Connection, endpoint_id: str, reason: str) -> bool:
    """active -> disabled with all that waits for it, and `endpoint.disabled`; whether it moved."""
    won = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.state == EndpointState.ACTIVE)
        .values(state=EndpointState.DISABLED, reason=reason)
        .returning(endpoints.c.url)
    ).first()
    if won is None:
        return False
    waiting = (
        deliveries.c.endpoint_id == endpoint_id,
        deliveries.c.state == DeliveryState.PENDING,
    )
    ids = select(deliveries.c.id).where(*waiting).order_by(deliveries.c.id).with_for_update()
    connection.execute(ids).all()
    connection.execute(
        update(deliveries).where(*waiting).values(state=DeliveryState.DISABLED, settled_at=now_s())
    )
    outbox.write_of_endpoint(
        connection, endpoint_id, "endpoint.disabled", origin=origin_of(won.url), reason=reason
    )
    return True


def replay(
    connection: Connection,
    *,
    ids: Collection[int] | None = None,
    since: float | None = None,
    endpoint_id: str | None = None,
    failed_only: bool = False,
) -> int:
    """Sends again, from the start of the retry table and with the same id; how many.

    Filters add up; with none it is everything. `since`: made at or after, seconds since the epoch.
    Deliveries of a disabled endpoint stay as they are.
    """
    active = select(endpoints.c.id).where(endpoints.c.state == EndpointState.ACTIVE)
    if endpoint_id is not None:
        active = active.where(endpoints.c.id == endpoint_id)
    connection.execute(active.order_by(endpoints.c.id).with_for_update(read=True)).all()
    query = select(deliveries.c.id).where(deliveries.c.endpoint_id.in_(active))
    query = _filtered(query, endpoint_id=endpoint_id, failed=failed_only)
    if ids is not None:
        query = query.where(deliveries.c.id.in_(ids))
    if since is not None:
        query = query.where(deliveries.c.created_at >= since)
    found = list(connection.scalars(query.order_by(deliveries.c.id).with_for_update()))
    for at in range(0, len(found), BATCH):
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id.in_(found[at : at + BATCH]))
            .values(state=DeliveryState.PENDING, tries=0, next_at=now_s(), settled_at=None)
        )
    return len(found)


# -- the log ----------------------------------------------------------------------------------


def newest(
    connection: Connection,
    *,
    endpoint_id: str | None = None,
    failed: bool = False,
    subject_id: str | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The newest deliveries, newest first: their columns but the body, and the URL's `origin`.

    `failed`: those whose last attempt failed, and those that were disabled.
    """
    columns = [column for column in deliveries.c if column.name != "body"]
    query: Select[Any] = (
        select(*columns, endpoints.c.url)
        .select_from(deliveries)
        .outerjoin(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
    )
    query = _filtered(query, endpoint_id=endpoint_id, failed=failed)
    if subject_id is not None:
        query = query.where(deliveries.c.subject_id == subject_id)
    query = query.order_by(deliveries.c.id.desc()).limit(limit)
    found = map(dict, connection.execute(query).mappings())
    return [{"origin": origin_of(values.pop("url") or ""), **values} for values in found]


def attempts_of(connection: Connection, delivery_id: int) -> list[dict[str, Any]]:
    """The log of one delivery, first attempt first."""
    query = select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.no)
    return [dict(found) for found in connection.execute(query).mappings()]


def counts(connection: Connection) -> dict[str, int]:
    """How many deliveries are in each state; every state is there."""
    query = select(deliveries.c.state, func.count().label("n")).group_by(deliveries.c.state)
    found = {row.state: row.n for row in connection.execute(query)}
    return {state.value: found.get(state, 0) for state in DeliveryState}


def is_due() -> tuple[ColumnElement[bool], ...]:
    """What a delivery that is due fulfils, for a `where`."""
    now = select(now_s()).scalar_subquery()  # asked once: else PostgreSQL could not use the index
    return deliveries.c.state == _PENDING, deliveries.c.next_at <= now


def looking() -> CompoundSelect[Any]:
    """The query of `look`: one seek for the events, a few for each endpoint with something pending.

    It walks the index of what is pending from endpoint to endpoint: those that nothing waits for,
    as the endpoints of finished jobs, cost nothing however many they are.
    """
    waiting = select(events.c.id).where(events.c.relayed_at.is_(None)).exists()
    walk = _pending_endpoints()
    active = select(endpoints.c.id).where(
        endpoints.c.id == walk.c.id, endpoints.c.state == EndpointState.ACTIVE
    )
    due = select(deliveries.c.id).where(deliveries.c.endpoint_id == walk.c.id, *is_due())
    return union_all(
        select(literal(EVENTS_WAIT).label("id")).where(waiting),
        select(walk.c.id).where(active.exists(), due.exists()),
    )


def _pending_endpoints() -> CTE:
    """Ids of endpoints with something pending, each after a seek from the one before; then NULL."""
    first = select(_next_pending().scalar_subquery().label("id")).cte("walk", recursive=True)
    after = _next_pending(deliveries.c.endpoint_id > first.c.id).correlate(first).scalar_subquery()
    return first.union_all(select(after).where(first.c.id.is_not(None)))


def _next_pending(*beyond: ColumnElement[bool]) -> Select[Any]:
    query = select(deliveries.c.endpoint_id).where(deliveries.c.state == _PENDING, *beyond)
    return query.order_by(deliveries.c.endpoint_id).limit(1)


def _filtered(query: Select[Any], *, endpoint_id: str | None, failed: bool) -> Select[Any]:
    if endpoint_id is not None:
        query = query.where(deliveries.c.endpoint_id == endpoint_id)
    if failed:
        lost = deliveries.c.state.in_([DeliveryState.EXHAUSTED, DeliveryState.DISABLED])
        again = and_(deliveries.c.state == DeliveryState.PENDING, deliveries.c.tries > 0)
        query = query.where(or_(lost, again))
    return query


def _hears(endpoint: Any, event: Any) -> bool:
    return (
        endpoint.job_id in (None, event.subject_id)
        and endpoint.id != event.subject_id  # nobody is told of his own end
        and matches(orjson.loads(endpoint.events), event.type)
    )


def _delivery(event: Any, endpoint_id: str) -> dict[str, Any]:
    body = message_body(event.type, event.created_at, orjson.loads(event.data))
    return {
        "message_id": message_id(event.subject_id, event.seq),
        "event_type": event.type,
        "subject_id": event.subject_id,
        "endpoint_id": endpoint_id,
        "body": body.decode(),
    }


def _insert(connection: Connection, made: Sequence[Mapping[str, Any]]) -> None:
    if not made:
        return
    statement = inserts.once(connection, deliveries, ["endpoint_id", "message_id"])
    connection.execute(statement.values(created_at=now_s(), next_at=now_s()), made)


def _active(connection: Connection, *, jobs: Collection[str]) -> list[Any]:
    """Active endpoints of all jobs and of these, kept active until the transaction ends."""
    concerned = or_(endpoints.c.job_id.is_(None), endpoints.c.job_id.in_(jobs))
    query = select(endpoints).where(endpoints.c.state == EndpointState.ACTIVE, concerned)
    return list(connection.execute(query.order_by(endpoints.c.id).with_for_update(read=True)))


def _endpoint(connection: Connection, endpoint_id: str) -> Any:
    query = select(endpoints).where(endpoints.c.id == endpoint_id).with_for_update()
    found = connection.execute(query).first()
    if found is None:
        raise NotFoundError(f"there is no endpoint {endpoint_id}: `maestrale webhooks list`")
    return found
