"""Endpoints: who hears of events, and the sealed secrets that sign what is sent there."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, func, insert, select, update

from models.states import EndpointState
from models.store import reading
from models.store.engine import now_s
from models.tables import Endpoint, table_of

endpoints = table_of(Endpoint)

OVERLAP_S = 24 * 3600.0
"""How long the old secret signs beside the new one: time to change it at the receiver."""


def create(
    connection: Connection,
    endpoint_id: str,
    *,
    url: str,
    secret: str,
    patterns: Sequence[str] = (),
    job_id: str | None = None,
) -> None:
    """Inserts an active endpoint. `secret` is sealed already; no patterns: all events."""
    values = {
        "id": endpoint_id,
        "url": url,
        "events": orjson.dumps(list(patterns)).decode(),
        "job_id": job_id,
        "secret": secret,
        "state": EndpointState.ACTIVE,
        "reason": "",
        "event_seq": 0,
        "last_error": "",
    }
    connection.execute(insert(endpoints).values(**values, created_at=now_s()))


def get(connection: Connection, endpoint_id: str) -> Endpoint | None:
    """The endpoint of this id, or the only one whose id begins so; else None."""
    beginning = endpoints.c.id.startswith(endpoint_id, autoescape=True)
    query = select(endpoints).where(beginning).order_by(endpoints.c.id).limit(2)
    found = [Endpoint(**values) for values in connection.execute(query).mappings()]
    exact = found and found[0].id == endpoint_id  # the shortest of several that begin so
    return found[0] if exact or len(found) == 1 else None


def all_(
    connection: Connection, *, job_id: str | None = None, limit: int | None = None
) -> list[Endpoint]:
    """Endpoints of all jobs first, then those of one job each, the newest first."""
    newest_first = (endpoints.c.job_id.is_not(None), endpoints.c.created_at.desc(), endpoints.c.id)
    query = select(endpoints).order_by(*newest_first).limit(limit)
    if job_id is not None:
        query = query.where(endpoints.c.job_id == job_id)
    return [Endpoint(**values) for values in connection.execute(query).mappings()]


def rotate(connection: Connection, endpoint_id: str, secret: str) -> int:
    """Gives the sealed `secret` to the endpoint and to all that share its old one.

    The old one signs beside it for `OVERLAP_S`. Answers how many endpoints were changed.
    """
    shared = select(endpoints.c.secret).where(endpoints.c.id == endpoint_id).scalar_subquery()
    ids = sorted(connection.scalars(select(endpoints.c.id).where(endpoints.c.secret == shared)))
    return connection.execute(
        update(endpoints)
        .where(endpoints.c.id.in_(ids))
        .values(secret=secret, old_secret=endpoints.c.secret, old_until=now_s() + OVERLAP_S)
    ).rowcount


def enable(connection: Connection, endpoint_id: str) -> bool:
    """disabled -> active, with its five days anew. Answers whether this call made the move."""
    moved = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.state == EndpointState.DISABLED)
        .values(state=EndpointState.ACTIVE, reason="", failing_since=None)
    )
    return bool(moved.rowcount)


def for_url(connection: Connection, url: str) -> Endpoint | None:
    """The endpoint that speaks for a URL: one of all jobs before one of a job, active first."""
    query = (
        select(endpoints)
        .where(endpoints.c.url == url)
        .order_by(
            endpoints.c.job_id.is_not(None),
            endpoints.c.state != EndpointState.ACTIVE,
            endpoints.c.created_at.desc(),
            endpoints.c.id,
        )
        .limit(1)
    )
    return reading.one(connection, query, Endpoint)


def same(
    connection: Connection, *, url: str, patterns: Sequence[str], job_id: str | None
) -> str | None:
    """The id of an endpoint, enabled or not, of this very URL, these patterns and this job."""
    query = select(endpoints.c.id).where(
        endpoints.c.url == url,
        endpoints.c.events == orjson.dumps(list(patterns)).decode(),
        endpoints.c.job_id.is_(None) if job_id is None else endpoints.c.job_id == job_id,
    )
    return connection.scalars(query.limit(1)).first()


def hears_all(connection: Connection, url: str) -> bool:
    """Whether an active endpoint of the URL hears every event of every job already."""
    query = select(func.count()).where(
        endpoints.c.url == url,
        endpoints.c.job_id.is_(None),
        endpoints.c.events == "[]",
        endpoints.c.state == EndpointState.ACTIVE,
    )
    return bool(connection.scalar(query))


def copy_for_job(
    connection: Connection,
    known_id: str,
    endpoint_id: str,
    job_id: str,
    patterns: Sequence[str] = (),
) -> None:
    """An endpoint of one job with the URL and the secrets of a known one.

    It hears the events of `patterns`; of none: all.
    """
    known = connection.execute(select(endpoints).where(endpoints.c.id == known_id)).one()
    told = {"url": known.url, "secret": known.secret, "patterns": patterns, "job_id": job_id}
    create(connection, endpoint_id, **told)
    connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(old_secret=known.old_secret, old_until=known.old_until)
    )
