"""Calls that several jobs want by batch: one leads, and no job waits for one that stands still."""

from collections.abc import Callable

import pytest
from builders import a_stored_job, claimed
from sqlalchemy import Connection, select

from models.states import FailureCode, RequestState
from models.store import batch_lines, batches, jobs, remote
from models.store.batch_lines import LineFault
from models.store.batches import Wanted
from models.store.engine import Store
from models.tables import RemoteOperation

Stop = Callable[[Connection, str], bool]
WANTED = Wanted("k", "chat", "m", "{}", 1)


def parked(store: Store) -> str:
    """A job of one shard that waits for the call `k`."""
    job_id = a_stored_job(store, rows_count=2)
    held = claimed(store, job_id)
    with store.write() as connection:
        assert batches.park(connection, held, [WANTED])
    return job_id


def standing(store: Store, job_id: str) -> str | None:
    """How the job's request stands."""
    requests = batches.requests
    with store.read() as connection:
        query = select(requests.c.state).where(requests.c.job_id == job_id)
        return connection.scalar(query)


def cut(store: Store, job_id: str) -> int:
    """How many operations the clock's turn for the job made."""
    with store.write() as connection:
        return len(batches.cut(connection, job_id))


def test_a_follower_waits_for_its_leader(store: Store) -> None:
    """Two jobs want one call: the second adds nothing while the first is on its way."""
    first, second = parked(store), parked(store)
    assert cut(store, second) == 0
    assert cut(store, first) == 1
    assert cut(store, second) == 0
    assert standing(store, second) == RequestState.FOLLOWS


def paused(connection: Connection, job_id: str) -> bool:
    """By hand."""
    return jobs.pause(connection, job_id, "by hand")


@pytest.mark.parametrize("stop", [jobs.cancel, paused])
def test_nobody_waits_for_a_job_that_stands_still(store: Store, stop: Stop) -> None:
    """The first was cancelled or paused before its batch was cut: the second leads."""
    first, second, third = parked(store), parked(store), parked(store)
    with store.write() as connection:
        assert stop(connection, first)
    assert cut(store, second) + cut(store, third) == 1
    assert {standing(store, second), standing(store, third)} == {"sent", "follows"}


def test_a_job_that_goes_on_follows_who_leads_now(store: Store) -> None:
    """Resumed, the first finds the call sent by the second, and sends it no second time."""
    first, second = parked(store), parked(store)
    with store.write() as connection:
        jobs.pause(connection, first, "by hand")
    assert cut(store, second) == 1
    with store.write() as connection:
        jobs.resume(connection, first)
    assert cut(store, first) == 0
    assert standing(store, first) == RequestState.FOLLOWS


def test_what_is_refused_for_good_fails_whoever_follows(store: Store) -> None:
    """The provider will never take the call: the other job's rows learn it by name."""
    first, second = parked(store), parked(store)
    assert (cut(store, first), cut(store, second)) == (1, 0)
    refused = LineFault("k", True, FailureCode.REQUEST_REJECTED, "status 422: no such model")
    with store.write() as connection:
        op = connection.execute(select(remote.operations)).mappings().one()
        batch_lines.settle_lines(connection, RemoteOperation(**op), [], [refused])
    requests = batches.requests
    with store.read() as connection:
        query = select(requests.c.state, requests.c.code, requests.c.detail)
        found = {tuple(row) for row in connection.execute(query)}
    assert found == {("failed", "request_rejected", "status 422: no such model")}
    assert standing(store, second) == RequestState.FAILED
