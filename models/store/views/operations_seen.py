"""A job's remote operations as people are shown them. Reads only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, case, func, select

from models.states import RemoteState
from models.tables import RemoteOperation, table_of

operations = table_of(RemoteOperation)

OUT = (RemoteState.SENDING, RemoteState.RUNNING, RemoteState.FETCHING)
"""The states of what is not settled yet."""


@dataclass(frozen=True, slots=True)
class OperationSeen:
    """One operation, without what the provider answered about it in full."""

    id: str
    kind: str
    """`batch` or `training`."""
    endpoint: str
    model: str
    state: str
    reason: str
    remote_id: str | None
    remote_status: str
    """The provider's word; empty before the first look."""
    requests_total: int
    requests_done: int
    requests_failed: int
    check_failures: int
    """Looks that failed in a row."""
    next_check_at: float
    created_at: float
    submitted_at: float | None
    settled_at: float | None
    requests_over_there: int | None = None
    """Done or failed at the provider, as it last said, while the operation is out."""

    @property
    def is_out(self) -> bool:
        """Whether somebody will look at it again."""
        return self.state in OUT

    @property
    def since(self) -> float:
        """When it came into the state that a reader asks about: settled, sent, or wished for."""
        return self.settled_at or self.submitted_at or self.created_at


_SEEN = [operations.c[name] for name in OperationSeen.__slots__ if name in operations.c]
_ANSWER = case((operations.c.state.in_(OUT), operations.c.answer), else_="{}").label("answer")
"""Up to 64 KiB each, and nobody asks what was said of those that are settled."""


def of_job(connection: Connection, job_id: str, limit: int = 50) -> list[OperationSeen]:
    """The job's operations: those still out first, and then the newest first."""
    is_settled = case((operations.c.state.in_(OUT), 0), else_=1)
    query = (
        select(*_SEEN, _ANSWER)
        .where(operations.c.job_id == job_id)
        .order_by(is_settled, operations.c.created_at.desc(), operations.c.id)
        .limit(limit)
    )
    return [_seen(dict(found)) for found in connection.execute(query).mappings()]


def out_by_job(connection: Connection, job_ids: Sequence[str]) -> dict[str, int]:
    """How many operations are still out, by job; jobs without any are left out."""
    query = (
        select(operations.c.job_id, func.count())
        .where(operations.c.job_id.in_(job_ids), operations.c.state.in_(OUT))
        .group_by(operations.c.job_id)
    )
    return {job_id: int(count) for job_id, count in connection.execute(query)}


def _seen(found: dict[str, Any]) -> OperationSeen:
    answer = found.pop("answer")
    over_there = _completed(answer) if found["state"] in OUT else None
    return OperationSeen(**found, requests_over_there=over_there)


def _completed(answer: str) -> int | None:
    """`completed_requests` of a batch; None if the provider did not say, or in no way we know."""
    try:
        told = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    number = told.get("completed_requests") if isinstance(told, dict) else None
    is_count = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    return number if is_count else None
