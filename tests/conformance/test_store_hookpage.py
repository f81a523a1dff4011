"""The page Webhooks: endpoints as anybody may see them, deliveries with their log."""

import pytest
from builders import a_stored_job

from models.states import DeliveryState, EndpointState
from models.store import attempts, deliveries, endpoints
from models.store.attempts import Attempted
from models.store.engine import Store
from models.store.views import hookpage

URL = "https://hooks.example.org/path-canary?token=query-canary"


@pytest.fixture
def hooked(store: Store) -> Store:
    """An endpoint of all jobs and one of one job."""
    job_id = a_stored_job(store)
    with store.write() as connection:
        endpoints.create(connection, "ep_all", url=URL, secret="secret-canary")
        endpoints.create(
            connection, "ep_job", url=URL, secret="secret-canary", job_id=job_id, patterns=["job.*"]
        )
    return store


def test_no_path_query_or_secret_leaves_the_store(hooked: Store):
    """What a page gets to show cannot tell what it may not."""
    with hooked.write() as connection:
        number = deliveries.enqueue_test(connection, "ep_all")
    with hooked.read() as connection:
        page = hookpage.read(connection)
        one = hookpage.read_delivery(connection, number)
    assert [(e.id, e.origin, list(e.events)) for e in page.endpoints] == [
        ("ep_all", "https://hooks.example.org", []),
        ("ep_job", "https://hooks.example.org", ["job.*"]),
    ]
    assert "canary" not in repr((page, one))


def test_deliveries_can_be_asked_for_by_endpoint_and_failure(hooked: Store):
    """And are counted by state, all of them."""
    with hooked.write() as connection:
        first = deliveries.enqueue_test(connection, "ep_all")
        deliveries.enqueue_test(connection, "ep_job")
        deliveries.disable_endpoint(connection, "ep_all", "a test")
    with hooked.read() as connection:
        failed = hookpage.read(connection, failed=True)
        of_job = hookpage.read(connection, endpoint_id="ep_job")
    assert [one["id"] for one in failed.deliveries] == [first]
    assert [one["endpoint_id"] for one in of_job.deliveries] == ["ep_job"]
    assert (failed.counts[DeliveryState.DISABLED], failed.counts[DeliveryState.PENDING]) == (1, 1)
    assert failed.endpoints[0].state == EndpointState.DISABLED


def test_of_very_many_endpoints_the_first_are_shown_and_all_are_counted(
    hooked: Store, monkeypatch: pytest.MonkeyPatch
):
    """One of all jobs is never crowded out by those of one job each."""
    monkeypatch.setattr(hookpage, "ENDPOINTS", 1)
    with hooked.read() as connection:
        page = hookpage.read(connection)
    assert [one.id for one in page.endpoints] == ["ep_all"]
    assert page.endpoints_total == 2


def test_a_delivery_is_told_with_its_attempts(hooked: Store):
    """Also when its number is nobody's: None."""
    with hooked.write() as connection:
        number = deliveries.enqueue_test(connection, "ep_all")
        (claimed,) = attempts.claim_due(connection, {"ep_all": 1}, claim_s=60)
        made = Attempted(claimed, DeliveryState.PENDING, 5.0, 500, 48, "", "sorry")
        attempts.record(connection, [made], give_up_s=1e9)
    with hooked.read() as connection:
        page = hookpage.read_delivery(connection, number)
        assert hookpage.read_delivery(connection, number + 1000) is None
    assert page is not None
    assert page.endpoint is not None
    assert [(one["status"], one["excerpt"]) for one in page.attempts] == [(500, "sorry")]
