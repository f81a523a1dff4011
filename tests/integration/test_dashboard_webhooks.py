"""The page Webhooks in a real Flower, looked at with a real Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import PHONE, overflow
from builders import a_stored_job
from dashboards import OWNER, Dashboard, a_dashboard, press, signed_in
from playwright.sync_api import Browser, expect
from sqlalchemy import delete

from models.states import DeliveryState, EndpointState
from models.store import attempts, deliveries, endpoints, events
from models.store.attempts import Attempted

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
URL = "https://hooks.example.org:8443/secret-path?token=canary"
SEALED = "sealed-canary"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower with a password."""
    with a_dashboard(tmp_path_factory.mktemp("hooks"), FLOWER_BASIC_AUTH=OWNER) as found:
        yield found


@pytest.fixture
def dashboard(running: Dashboard) -> Dashboard:
    """One endpoint, and nothing delivered."""
    with running.store.write() as connection:
        tables = (deliveries.attempts, deliveries.deliveries, endpoints.endpoints, events.events)
        for table in tables:
            connection.execute(delete(table))
        endpoints.create(connection, "ep_first", url=URL, secret=SEALED)
    return running


def attempted(dashboard: Dashboard, **came: Any) -> int:
    """A test event to the endpoint, attempted once; the delivery's id."""
    values = {"state": DeliveryState.PENDING, "after_s": 300.0, "status": 500, "ms": 48}
    values |= {"error": "", "excerpt": "", **came}
    with dashboard.store.write() as connection:
        number = deliveries.enqueue_test(connection, "ep_first")
        (claimed,) = attempts.claim_due(connection, {"ep_first": 1}, claim_s=60)
        attempts.record(connection, [Attempted(claimed=claimed, **values)], give_up_s=1e9)
    return number


def the_delivery(dashboard: Dashboard, number: int) -> dict[str, Any]:
    with dashboard.store.read() as connection:
        (found,) = (one for one in deliveries.newest(connection) if one["id"] == number)
    return found


def test_endpoints_are_told_without_what_may_be_secret(browser: Browser, dashboard: Dashboard):
    """Origin, events, job, state, last status: no path, no query, no secret, on no page."""
    job_id = a_stored_job(dashboard.store)
    number = attempted(dashboard, status=200, state=DeliveryState.DELIVERED)
    with dashboard.store.write() as connection:
        endpoints.create(
            connection, "ep_job", url=URL, secret=SEALED, patterns=["job.*"], job_id=job_id
        )
    html = ""
    with signed_in(browser, dashboard, "/webhooks") as page:
        first, second = page.locator("#endpoints tbody tr").all()
        assert "https://hooks.example.org:8443" in first.inner_text()
        assert "200" in first.inner_text()
        assert "job.*" in second.inner_text()
        assert job_id in second.inner_text()
        html += page.content()
        page.goto(dashboard.url(f"/webhooks/delivery/{number}"))
        html += page.content()
    assert "canary" not in html
    assert "secret-path" not in html


def test_deliveries_are_filtered(browser: Browser, dashboard: Dashboard):
    """Those that failed, those of one endpoint; both by links, without the script."""
    good = attempted(dashboard, status=200, state=DeliveryState.DELIVERED)
    bad = attempted(
        dashboard, status=None, error="timed out after 20 s", state=DeliveryState.EXHAUSTED
    )
    with signed_in(browser, dashboard, "/webhooks", java_script_enabled=False) as page:
        rows = page.locator("#log tbody tr")
        assert [row.get_attribute("id") for row in rows.all()] == [
            f"delivery-{bad}",
            f"delivery-{good}",
        ]
        page.get_by_role("link", name="Failed").click()
        expect(rows).to_have_count(1)
        assert "no answer" in rows.inner_text()
        page.goto(dashboard.url("/webhooks?endpoint=ep_other"))
        assert "No delivery fits." in page.locator("#log").inner_text()


def test_a_delivery_has_its_log_and_its_body(browser: Browser, dashboard: Dashboard):
    """Status, milliseconds, error and excerpt of every attempt; what a server answered is text."""
    number = attempted(dashboard, status=500, error=HOSTILE, excerpt=HOSTILE, ms=812)
    with signed_in(browser, dashboard, "/webhooks") as page:
        page.locator("#log").get_by_role("link", name="webhook.test").click()
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        assert page.url.endswith(f"/webhooks/delivery/{number}")
        row = page.locator("#attempts tbody tr").inner_text()
        assert row.count(SHOWN) == 2
        assert "812 ms" in row
        assert '"type": "webhook.test"' in page.locator("#body").inner_text()
        assert page.locator("main script").count() == 0
        assert not {"\x1b", "\u202e"} & set(page.content())


def test_it_fits_a_phone(browser: Browser, dashboard: Dashboard):
    """Neither a long origin, nor what a server answered, is wider than the screen."""
    number = attempted(dashboard, error="e" * 300, excerpt="x" * 1000)
    with dashboard.store.write() as connection:
        url = f"https://{'a.' * 100}example.org"
        endpoints.create(connection, "ep_long", url=url, secret=SEALED)
    for path in ("/webhooks", "/webhooks?failed=1", f"/webhooks/delivery/{number}"):
        with signed_in(browser, dashboard, path, viewport=PHONE) as page:
            assert overflow(page) == 0


def test_replay_sends_again_with_the_same_id(browser: Browser, dashboard: Dashboard):
    """It is due at once and begins the retry table anew; the log stays."""
    number = attempted(dashboard, state=DeliveryState.EXHAUSTED)
    before = the_delivery(dashboard, number)
    with signed_in(browser, dashboard, f"/webhooks/delivery/{number}") as page:
        assert "sent again" in press(page, "Replay")
        assert page.locator("#state").inner_text() == "pending"
        assert page.locator("#attempts tbody tr").count() == 1
    after = the_delivery(dashboard, number)
    assert (after["state"], after["tries"], after["message_id"]) == (
        DeliveryState.PENDING,
        0,
        before["message_id"],
    )


def test_an_endpoint_is_disabled_and_enabled(browser: Browser, dashboard: Dashboard):
    """By its own buttons; without its endpoint a delivery cannot be replayed."""
    number = attempted(dashboard)
    with signed_in(browser, dashboard, "/webhooks") as page:
        assert "It is disabled" in press(page, "Disable")
        told = page.locator("#endpoints tbody tr").inner_text()
        assert "disabled on the dashboard" in told
        page.goto(dashboard.url(f"/webhooks/delivery/{number}"))
        assert page.get_by_role("button", name="Replay").count() == 0
        page.goto(dashboard.url("/webhooks"))
        assert "It is enabled" in press(page, "Enable")
    with dashboard.store.read() as connection:
        assert endpoints.get(connection, "ep_first").state == EndpointState.ACTIVE
    assert the_delivery(dashboard, number)["state"] == DeliveryState.DISABLED


def test_a_lost_race_says_so(browser: Browser, dashboard: Dashboard):
    """The endpoint was disabled meanwhile: neither button changes anything."""
    number = attempted(dashboard, state=DeliveryState.EXHAUSTED)
    with signed_in(
        browser, dashboard, f"/webhooks/delivery/{number}", java_script_enabled=False
    ) as page:
        with dashboard.store.write() as connection:
            deliveries.disable_endpoint(connection, "ep_first", "meanwhile")
        assert "Nothing was changed" in press(page, "Replay")
    assert the_delivery(dashboard, number)["state"] == DeliveryState.EXHAUSTED


@pytest.mark.parametrize("path", ["/webhooks/delivery/999999", "/webhooks/delivery/999999999999"])
def test_an_unknown_delivery_is_a_page_too(browser: Browser, dashboard: Dashboard, path: str):
    """404 in the same look, also for numbers that no database has."""
    with signed_in(browser, dashboard, path) as page:
        page.complaints.clear()  # the browser notes the 404
        assert "no such delivery" in page.locator("main").inner_text()


def test_nothing_yet_says_how_to_begin(browser: Browser, dashboard: Dashboard):
    """The command that adds the first one."""
    with dashboard.store.write() as connection:
        connection.execute(delete(endpoints.endpoints))
    with signed_in(browser, dashboard, "/webhooks") as page:
        assert "maestrale webhooks add URL" in page.locator("main").inner_text()
