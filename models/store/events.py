"""The outbox: an event is written in the transaction that makes it true."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, update

from models.store.engine import now_s
from models.tables import Event, Job

events = Event.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
jobs = Job.__table__  # type: ignore[attr-defined]


def write(connection: Connection, job_id: str, kind: str, data: Mapping[str, Any]) -> int:
    """Appends the job's next event and answers its number (1, 2, ... per job)."""
    seq = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(event_seq=jobs.c.event_seq + 1)
        .returning(jobs.c.event_seq)
    ).scalar_one()
    connection.execute(
        insert(events).values(
            job_id=job_id, seq=seq, type=kind, data=orjson.dumps(data).decode(), created_at=now_s()
        )
    )
    return int(seq)


def of_job(connection: Connection, job_id: str, *, after: int = 0) -> list[Event]:
    """The job's events in order, those with a number above `after`."""
    query = (
        select(events).where(events.c.job_id == job_id, events.c.seq > after).order_by(events.c.seq)
    )
    return [Event(**found) for found in connection.execute(query).mappings()]
