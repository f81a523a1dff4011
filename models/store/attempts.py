"""Attempts: what is due is claimed by one process, and what came of it is recorded once.

A claim is a number that rises and a time until which the claimer is believed: whoever dies with
one loses it, and an outcome under an older claim changes nothing. Locks: endpoints first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Float, String, bindparam, case, func, insert, select, update

from models.states import DeliveryState, EndpointState
from models.store.deliveries import attempts, deliveries, disable_endpoint, endpoints, is_due
from models.store.engine import now_s


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt to make: the stored bytes, and where to. Secrets are sealed."""

    id: int
    message_id: str
    endpoint_id: str
    tries: int
    claims: int
    body: str = field(repr=False)
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """The newest first; the old one as long as it signs too."""
    at: float = 0.0
    """When it was claimed, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of an attempt. `state` pending: due again after `after_s`; disabled: 410."""

    claimed: Claimed
    state: DeliveryState
    after_s: float
    status: int | None
    ms: int
    error: str
    excerpt: str = field(repr=False)


def claim_due(connection: Connection, room: Mapping[str, int], *, claim_s: float) -> list[Claimed]:
    """Claims for `claim_s` what is due longest, at most `room[endpoint]` for each active endpoint.

    What another process claims at this moment is left to it.
    """
    ids = [
        found
        for endpoint_id in sorted(room)
        for found in connection.scalars(
            select(deliveries.c.id)
            .where(deliveries.c.endpoint_id == endpoint_id, *is_due())
            .order_by(deliveries.c.next_at)
            .limit(room[endpoint_id])
            .with_for_update(skip_locked=True)
        )
    ]
    if not ids:
        return []
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(claims=deliveries.c.claims + 1, next_at=now_s() + claim_s)
    )
    return _claimed(connection, ids)


def release(connection: Connection, claimed: Sequence[Claimed]) -> None:
    """Gives claims back unused: others may try at once."""
    if claimed:
        held = _still_held(connection, claimed)
        ids = [found.id for found in claimed if found.id in held]
        connection.execute(
            update(deliveries).where(deliveries.c.id.in_(ids)).values(next_at=now_s())
        )


def record(connection: Connection, made: Sequence[Attempted], *, give_up_s: float) -> int:
    """Logs attempts and moves their deliveries; how many counted (the others' claims ran out).

    An endpoint that is gone (410), or fails after `give_up_s` without a success, is disabled.
    """
    if not made:
        return 0
    ids = {attempt.claimed.endpoint_id for attempt in made}
    locked = select(endpoints.c.id).where(endpoints.c.id.in_(ids)).order_by(endpoints.c.id)
    connection.execute(locked.with_for_update()).all()
    held = _still_held(connection, [attempt.claimed for attempt in made])
    valid = [attempt for attempt in made if attempt.claimed.id in held]
    if valid:
        connection.execute(insert(attempts).values(at=now_s()), [_log(a, held) for a in valid])
        connection.execute(_MOVE, [_moved(attempt) for attempt in valid])
    for endpoint_id in sorted({attempt.claimed.endpoint_id for attempt in valid}):
        of_it = [a for a in valid if a.claimed.endpoint_id == endpoint_id]
        _note(connection, endpoint_id, of_it, give_up_s)
    return len(valid)


def _claimed(connection: Connection, ids: Sequence[int]) -> list[Claimed]:
    old = case((endpoints.c.old_until > now_s(), endpoints.c.old_secret))
    query = (
        select(
            deliveries, endpoints.c.url, endpoints.c.secret, old.label("old"), now_s().label("now")
        )
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(deliveries.c.id.in_(ids), endpoints.c.state == EndpointState.ACTIVE)
        .order_by(deliveries.c.id)
    )
    return [
        Claimed(
            id=found.id,
            message_id=found.message_id,
            endpoint_id=found.endpoint_id,
            tries=found.tries,
            claims=found.claims,
            body=found.body,
            url=found.url,
            secrets=(found.secret, found.old) if found.old else (found.secret,),
            at=found.now,
        )
        for found in connection.execute(query)
    ]


def _still_held(connection: Connection, claimed: Sequence[Claimed]) -> dict[int, int]:
    """Of these deliveries those that are pending under their claim, with their attempts so far."""
    claims = {found.id: found.claims for found in claimed}
    query = (
        select(deliveries.c.id, deliveries.c.claims, deliveries.c.attempts)
        .where(deliveries.c.id.in_(claims), deliveries.c.state == DeliveryState.PENDING)
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    found = connection.execute(query).all()
    return {row.id: row.attempts for row in found if row.claims == claims[row.id]}


_MOVE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("its_id"))
    .values(
        state=bindparam("to"),
        tries=deliveries.c.tries + 1,
        attempts=deliveries.c.attempts + 1,
        claims=deliveries.c.claims + 1,  # whoever records it again changes nothing
        next_at=now_s() + bindparam("after_s", type_=Float()),
        last_status=bindparam("status"),
        last_ms=bindparam("ms"),
        last_error=bindparam("error"),
        settled_at=case((bindparam("to", type_=String()) != DeliveryState.PENDING, now_s())),
    )
)


def _moved(attempt: Attempted) -> dict[str, Any]:
    return {
        "its_id": attempt.claimed.id,
        "to": attempt.state,
        "after_s": attempt.after_s,
        "status": attempt.status,
        "ms": attempt.ms,
        "error": attempt.error,
    }


def _log(attempt: Attempted, held: Mapping[int, int]) -> dict[str, Any]:
    return {
        "delivery_id": attempt.claimed.id,
        "no": held[attempt.claimed.id] + 1,
        "status": attempt.status,
        "ms": attempt.ms,
        "error": attempt.error,
        "excerpt": attempt.excerpt,
    }


def _note(
    connection: Connection, endpoint_id: str, made: Sequence[Attempted], give_up_s: float
) -> None:
    """What the endpoint's attempts say of it; may be the end of it."""
    succeeded = any(attempt.state == DeliveryState.DELIVERED for attempt in made)
    changes: dict[str, Any] = {
        "last_at": now_s(),
        "last_status": made[-1].status,
        "last_error": made[-1].error,
        "failing_since": func.coalesce(endpoints.c.failing_since, now_s()),
    }
    if succeeded:
        changes.update(last_success_at=now_s(), failing_since=None)
    silent_s = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(changes)
        .returning(now_s() - endpoints.c.failing_since)
    ).scalar_one()
    if any(attempt.state == DeliveryState.DISABLED for attempt in made):
        disable_endpoint(connection, endpoint_id, "it answered 410 Gone")
    elif silent_s is not None and silent_s >= give_up_s:
        days = round(give_up_s / 86_400)
        disable_endpoint(connection, endpoint_id, f"no attempt succeeded for {days} days")
