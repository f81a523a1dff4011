"""Remote operations as people see them, on SQLite and PostgreSQL."""

import pytest
from builders import a_stored_job, a_stored_operation

from models.store.engine import Store
from models.store.views import jobpage, operations_seen


def test_what_is_out_comes_first_and_then_the_newest(store: Store):
    """Of this job only, and no more than asked for."""
    job_id, other = a_stored_job(store), a_stored_job(store)
    for name, state, at in (("a", "succeeded", 9.0), ("b", "fetching", 1.0), ("c", "sending", 2.0)):
        a_stored_operation(store, job_id, id=name, state=state, created_at=at)
    a_stored_operation(store, other)
    with store.read() as connection:
        found = operations_seen.of_job(connection, job_id)
        assert [one.id for one in found] == ["c", "b", "a"]
        assert [one.is_out for one in found] == [True, True, False]
        assert len(operations_seen.of_job(connection, job_id, limit=2)) == 2


def test_how_many_are_out_is_told_by_job(store: Store):
    """Settled ones do not count, jobs without any are left out."""
    busy, idle = a_stored_job(store), a_stored_job(store)
    for state in ("running", "sending", "failed"):
        a_stored_operation(store, busy, state=state)
    a_stored_operation(store, idle, state="cancelled")
    with store.read() as connection:
        assert operations_seen.out_by_job(connection, [busy, idle]) == {busy: 2}
        assert operations_seen.out_by_job(connection, []) == {}


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ('{"completed_requests": 7}', 7),
        ('{"completed_requests": "7"}', None),
        ('{"completed_requests": -1}', None),
        ('{"completed_requests": true}', None),
        ("[]", None),
        ("not json", None),
        ("{}", None),
    ],
)
def test_what_the_provider_has_done_is_told_if_it_can_be_read(
    store: Store, answer: str, number: int | None
):
    """While it is out: afterwards our own count is the truth."""
    job_id = a_stored_job(store)
    a_stored_operation(store, job_id, answer=answer)
    a_stored_operation(store, job_id, answer=answer, state="succeeded")
    with store.read() as connection:
        out, settled = operations_seen.of_job(connection, job_id)
    assert (out.requests_over_there, settled.requests_over_there) == (number, None)


def test_since_is_the_last_thing_that_happened_to_it(store: Store):
    """Wished for, sent, settled."""
    job_id = a_stored_job(store)
    a_stored_operation(store, job_id, created_at=3.0)
    a_stored_operation(store, job_id, created_at=2.0, submitted_at=5.0)
    a_stored_operation(
        store, job_id, created_at=1.0, submitted_at=5.0, settled_at=7.0, state="failed"
    )
    with store.read() as connection:
        found = operations_seen.of_job(connection, job_id)
        page = jobpage.read(connection, job_id)
    assert [one.since for one in found] == [3.0, 5.0, 7.0]
    assert page is not None
    assert page.operations == found
