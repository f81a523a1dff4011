"""The outbox: an event is written in the transaction that makes it true."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, update

from models.events import EVENT_TYPES, REASON_LENGTH, BudgetReached, EndpointEvent
from models.nano import NANO
from models.store import reading
from models.store.engine import now_s
from models.tables import Endpoint, Event, Job, table_of

events = table_of(Event)
endpoints = table_of(Endpoint)
jobs = table_of(Job)

_OF_A_JOB = (
    "kind",
    "name",
    "input_name",
    "state",
    "rows_total",
    "rows_done",
    "rows_failed",
    "calls_made",
    "calls_from_ledger",
)


def write(connection: Connection, job_id: str, kind: str, **more: Any) -> int:
    """Appends the job's next event, with the job as it stands; answers its number.

    `more`: what this type of event carries besides.
    """
    job = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(event_seq=jobs.c.event_seq + 1)
        .returning(jobs)
    ).one()
    values: dict[str, Any] = {name: getattr(job, name) for name in _OF_A_JOB}
    values.update(
        seq=job.event_seq,
        job_id=job_id,
        reason=job.state_reason[:REASON_LENGTH],
        cost_usd=None if job.calls_unpriced else job.cost_nano / NANO,
    )
    carried = EVENT_TYPES[kind].data
    if carried is BudgetReached:
        values["budget_usd"] = (job.budget_nano or 0) / NANO
    _append(connection, job_id, kind, carried(**values, **more).model_dump())
    return int(job.event_seq)


def write_of_endpoint(
    connection: Connection, endpoint_id: str, kind: str, *, origin: str, reason: str = ""
) -> int:
    """Appends the endpoint's next event; answers its number."""
    seq = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id)
        .values(event_seq=endpoints.c.event_seq + 1)
        .returning(endpoints.c.event_seq)
    ).scalar_one()
    data = EndpointEvent(seq=seq, endpoint_id=endpoint_id, origin=origin, reason=reason)
    _append(connection, endpoint_id, kind, data.model_dump())
    return int(seq)


def of_subject(connection: Connection, subject_id: str, *, after: int = 0) -> list[Event]:
    """The events of a job (or an endpoint) in order, those with a number above `after`."""
    query = (
        select(events)
        .where(events.c.subject_id == subject_id, events.c.seq > after)
        .order_by(events.c.seq)
    )
    return reading.all_of(connection, query, Event)


def later(connection: Connection, after_id: int) -> list[Event]:
    """Events of all subjects in the order they were written, those with an id above `after_id`.

    On PostgreSQL an event may become visible after one with a higher id: look back some ids.
    """
    query = select(events).where(events.c.id > after_id).order_by(events.c.id)
    return reading.all_of(connection, query, Event)


def last_id(connection: Connection) -> int:
    """The highest id of any event; 0 if there is none."""
    return int(connection.scalar(select(func.max(events.c.id))) or 0)


def _append(connection: Connection, subject_id: str, kind: str, data: Mapping[str, Any]) -> None:
    connection.execute(
        insert(events).values(
            subject_id=subject_id,
            seq=data["seq"],
            type=kind,
            data=orjson.dumps(data).decode(),
            created_at=now_s(),
        )
    )
