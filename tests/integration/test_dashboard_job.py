"""The page of one job in a real Flower, looked at with a real Chromium."""

import base64
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

import pytest
from browsing import DESK, PHONE, looking_at, overflow
from builders import a_stored_job, a_stored_operation, claimed, done, eventually, settled, the_job
from dashboards import OWNER, Dashboard, a_dashboard, press, signed_in
from playwright.sync_api import Browser
from sqlalchemy import func, select, update

from models.nano import NANO
from models.payloads import Failed, JobSpec, Options, RowSettled
from models.recipes import load_recipe
from models.states import FailureCode, JobState
from models.store import deliveries, endpoints, jobs, pulses, shards
from models.store.pulses import Beat

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
"""What a reader sees of it: markup and templates are text, control and bidi characters escaped."""

SCROLLS_DOWN = """all => all.filter(
    e => getComputedStyle(e).overflowY !== "hidden" && e.scrollHeight > e.clientHeight
).length"""
CUT_OFF = "all => all.map(e => e.scrollHeight - e.clientHeight)"
"""Pixels that do not show; one is the rounding of a height."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower with a password, and a second one as it comes, without."""
    folder = tmp_path_factory.mktemp("job")
    with a_dashboard(folder, FLOWER_BASIC_AUTH=OWNER) as running:
        running.open = running.deployment.start_flower("open")
        yield running


def a_job_with_history(dashboard: Dashboard, **changes: Any) -> str:
    """Half done, one row failed, with a minute and a half of pulses and a gap in them."""
    store = dashboard.store
    job_id = a_stored_job(store, rows_count=8, shard_size=4, **changes)
    held = claimed(store, job_id)
    bad = RowSettled(*held, 3, Failed(FailureCode.TRUNCATED, f"cut: {HOSTILE}"))
    settled(store, held, [*(done(held, seq) for seq in range(3)), bad])
    begin = int(store.now() - 120) // 10 * 10
    bins = (0, 20, 20, *[0] * 10)
    beats = [Beat(job_id, begin + 10 * no, 40, no % 2, 0, 900, bins) for no in (0, 1, 2, 5, 6, 7)]
    with store.write() as connection:
        pulses.add(connection, beats)
        connection.execute(
            update(jobs.jobs)
            .where(jobs.jobs.c.id == job_id)
            .values(started_at=begin, calls_made=240, cost_nano=NANO // 4)
        )
    return job_id


def post(port: int, path: str, password: str = OWNER, **headers: str) -> int:
    """The status of a POST without the page's token."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=urlencode({"a": "b"}).encode(), headers=headers
    )
    if password:
        basic = base64.b64encode(password.encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


# -- looking ---------------------------------------------------------------------------------------


def test_it_tells_how_the_job_stands(browser: Browser, dashboard: Dashboard):
    """State, rows, cost and budget, failures by reason with their rows, events, recipe."""
    spec = JobSpec(recipe=load_recipe("amira").model_dump(mode="json"))
    job_id = a_job_with_history(
        dashboard, name="amira", spec=spec.model_dump_json(), budget_nano=NANO
    )
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        text = page.locator("main").inner_text()
        charts = page.locator("svg.chart")
        assert charts.count() == 3
        assert all(chart.get_attribute("role") == "img" for chart in charts.all())
    for told in (
        "running",
        "3 of 8 rows done (37%), 1 failed",
        "$0.2500",
        "25% of $1.00",
        "truncated",
        "raise max_tokens",
        "r3",
        "job.running",
        "Step questions",
        "calls/s at last",
    ):
        assert told in text
    assert "Read the following" not in text
    assert load_recipe("amira").steps[0].prompt[:40] not in text


def test_a_damaged_spec_is_said_and_not_logged(browser: Browser, dashboard: Dashboard):
    """The page is whole, and nothing of the spec is on it or in Flower's log."""
    for spec in ('{"recipe": {"name": "canary-prompt', '{"recipe": "canary-prompt"}'):
        job_id = a_job_with_history(dashboard, spec=spec)
        with signed_in(browser, dashboard, f"/job/{job_id}") as page:
            text = page.locator("main").inner_text()
        assert "cannot read the job's spec" in text
        assert "canary-prompt" not in text + dashboard.deployment.log("flower")


def test_hostile_text_is_text(browser: Browser, dashboard: Dashboard):
    """Recipe name, input name, row id, failure detail, reason: nothing runs, nothing hides."""
    job_id = a_job_with_history(
        dashboard, name=HOSTILE, input_name=HOSTILE, state_reason=HOSTILE, kind="generate"
    )
    with dashboard.store.write() as connection:
        rows = jobs.rows
        connection.execute(update(rows).where(rows.c.job_id == job_id).values(row_id=HOSTILE))
        connection.execute(
            update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(state_reason=HOSTILE)
        )
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        assert page.locator("main").inner_text().count(SHOWN) >= 5
        assert page.locator("main script").count() == 0
        html = page.content()
    assert not {"\x1b", "\u202e"} & set(html)
    assert "{{7*7}}" in html


def a_job_by_batch(dashboard: Dashboard) -> str:
    """It waits for a batch that runs, and has one behind it that failed in hostile words."""
    options = Options(via="batch", batch_hours=6)
    spec = JobSpec(options=options).model_dump_json()
    job_id = a_stored_job(dashboard.store, state="waiting", spec=spec)
    now = dashboard.store.now()
    sent: dict[str, Any] = {"requests_total": 5000, "submitted_at": now - 200}
    a_stored_operation(
        dashboard.store,
        job_id,
        **sent,
        remote_id="b-1",
        remote_status="RUNNING",
        answer='{"completed_requests": 1234}',
        next_check_at=now + 3600,
    )
    a_stored_operation(
        dashboard.store,
        job_id,
        **sent,
        state="failed",
        remote_id=HOSTILE,
        remote_status=HOSTILE,
        model=HOSTILE,
        reason=HOSTILE * 4,
        requests_done=4990,
        requests_failed=10,
        settled_at=now - 100,
    )
    return job_id


def test_it_shows_what_it_waits_for(browser: Browser, dashboard: Dashboard):
    """Model, state, the provider's word, requests, remote id, since when, and the next look."""
    job_id = a_job_by_batch(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        assert page.get_by_role("heading", name="Batches").is_visible()
        out, failed = (row.inner_text() for row in page.locator("#operations tbody tr").all())
        lineage = page.locator("#lineage").inner_text()
        assert page.locator("#operations script").count() == 0
    for told in ("running", "RUNNING", "0 of 5,000", "1,234 over there", "b-1", "3 min ago", "in "):
        assert told in out
    for told in ("failed", "4,990 of 5,000", "10", "1 min ago"):
        assert told in failed
    assert failed.count(SHOWN.partition("<")[0] + "<script>") >= 4
    assert "by batch, up to 6 h each; what is left then goes into another batch" in lineage


def test_a_job_by_batch_has_no_charts_of_calls_it_never_made(
    browser: Browser, dashboard: Dashboard
):
    """Its batches tell how far it is; what later goes in real time is drawn as ever."""
    job_id = a_job_by_batch(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert page.locator("svg.chart").count() == 0
        assert "Nothing has run yet" not in page.locator("main").inner_text()
        assert "calls go by batch" in page.locator("#figure-speed").inner_text()
        begin = int(dashboard.store.now() - 60) // 10 * 10
        with dashboard.store.write() as connection:
            pulses.add(connection, [Beat(job_id, begin, 40, 0, 0, 900, (0, 20, 20, *[0] * 10))])
        page.reload()
        assert page.locator("svg.chart").count() == 3


def test_no_table_has_a_scrollbar_it_does_not_need(browser: Browser, dashboard: Dashboard):
    """A table scrolls sideways where it is too wide, and never up and down."""
    job_id = a_job_by_batch(dashboard)
    for path in (f"/job/{job_id}", "/jobs"):
        for size in (DESK, PHONE):
            with signed_in(browser, dashboard, path, viewport=size) as page:
                tables = page.locator(".card-table")
                assert tables.count()
                assert tables.evaluate_all(SCROLLS_DOWN) == 0
                assert max(tables.evaluate_all(CUT_OFF)) <= 1


def test_what_it_waits_for_fits_a_phone(browser: Browser, dashboard: Dashboard):
    """Each batch is a card; and a job without any has no such block."""
    job_id = a_job_by_batch(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}", viewport=PHONE) as page:
        assert overflow(page) == 0
        assert page.locator("#operations tbody tr").first.is_visible()
    with signed_in(browser, dashboard, f"/job/{a_stored_job(dashboard.store)}") as page:
        assert page.locator("#operations").count() == 0


def test_it_can_be_read_without_the_script(browser: Browser, dashboard: Dashboard):
    """Tables, charts and buttons are all there."""
    job_id = a_job_with_history(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}", java_script_enabled=False) as page:
        assert page.locator("svg.chart").count() == 3
        assert page.locator("#failures tbody tr").count() == 1
        assert page.locator("#events tbody tr").count() == 2
        assert "paused" in press(page, "Pause")
    assert the_job(dashboard.store, job_id).state == JobState.PAUSED


def test_it_fits_a_phone(browser: Browser, dashboard: Dashboard):
    """Nothing is wider than the screen, whatever a row's text; labels are large enough."""
    long = "x" * 300
    job_id = a_job_with_history(dashboard, name=long, input_name=long)
    with signed_in(browser, dashboard, f"/job/{job_id}", viewport=PHONE) as page:
        assert overflow(page) == 0
        page.get_by_text("Cancel …").click()
        page.get_by_role("button", name="Cancel the job").wait_for()
        assert overflow(page) == 0
        for label in page.locator(".chart-label").all():
            assert label.bounding_box()["height"] >= 8


def test_charts_are_drawn_in_both_themes(browser: Browser, dashboard: Dashboard):
    """A colour for each, unlike its background."""
    job_id = a_job_with_history(dashboard)
    strokes = set()
    for theme in ("light", "dark"):
        with signed_in(browser, dashboard, f"/job/{job_id}", color_scheme=theme) as page:
            line = page.locator(".chart-line-calls").first
            colour = line.evaluate("e => getComputedStyle(e).stroke")
            behind = page.locator(".panel").first.evaluate(
                "e => getComputedStyle(e).backgroundColor"
            )
            assert colour not in (behind, "none")
            strokes.add(colour)
    assert len(strokes) == 2


def test_it_lives(browser: Browser, dashboard: Dashboard):
    """What changes is shown without a reload, and what was opened stays open."""
    job_id = a_job_with_history(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.get_by_text("Cancel …").click()
        held = claimed(dashboard.store, job_id, 1)
        settled(dashboard.store, held, [done(held, seq) for seq in range(4, 8)])
        page.get_by_text("7 of 8 rows done (87%)").wait_for()
        assert page.locator("#state").inner_text() == "failed"
        page.get_by_role("button", name="Retry 1 failed row").wait_for()


def test_a_details_element_stays_open(browser: Browser, dashboard: Dashboard):
    """The question whether to cancel does not vanish while one reads it."""
    job_id = a_job_with_history(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.get_by_text("Cancel …").click()
        with dashboard.store.write() as connection:
            jobs.count(connection, job_id, {"calls_made": 11})
        page.get_by_text("251", exact=True).wait_for()
        assert page.get_by_role("button", name="Cancel the job").is_visible()


@pytest.mark.parametrize("path", ["nope", "%3Cscript%3E", "a%00b", "x" * 200, "job_x/nothing"])
def test_an_unknown_job_is_a_page_too(browser: Browser, dashboard: Dashboard, path: str):
    """404 in the same look, whatever was asked for."""
    with signed_in(browser, dashboard, f"/job/{path}") as page:
        page.complaints.clear()  # the browser notes the 404
        assert page.get_by_role("navigation", name="Primary navigation").is_visible()
        assert "<script>" not in page.locator("main").inner_html()


# -- acting ----------------------------------------------------------------------------------------


def test_pause_and_resume(browser: Browser, dashboard: Dashboard):
    """Through their buttons; resuming rings for the open shards."""
    job_id = a_stored_job(dashboard.store, rows_count=8, shard_size=4)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert "It is paused" in press(page, "Pause")
        paused = the_job(dashboard.store, job_id)
        assert (paused.state, paused.state_reason) == (JobState.PAUSED, "paused on the dashboard")
        assert page.locator("#reason").inner_text() == "paused on the dashboard"
        assert page.get_by_role("button", name="Pause", exact=True).count() == 0
        assert "It goes on" in press(page, "Resume")
    assert the_job(dashboard.store, job_id).state == JobState.QUEUED
    eventually(lambda: published(dashboard, job_id) == 2, "both shards were rung for")


def published(dashboard: Dashboard, job_id: str) -> int:
    """Shards with a message on its way."""
    query = select(func.count(shards.shards.c.published_at))
    with dashboard.store.read() as connection:
        return connection.scalar(query.where(shards.shards.c.job_id == job_id))


def test_cancel_asks_first(browser: Browser, dashboard: Dashboard):
    """The real button shows after the first, without a script."""
    job_id = a_stored_job(dashboard.store)
    for script in (False, True):
        with signed_in(browser, dashboard, f"/job/{job_id}", java_script_enabled=script) as page:
            assert not page.get_by_role("button", name="Cancel the job").is_visible()
            page.get_by_text("Cancel …").click()
            assert page.get_by_role("button", name="Cancel the job").is_visible()
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.get_by_text("Cancel …").click()
        assert "cancelled for good" in press(page, "Cancel the job")
        assert page.locator("#moves button").count() == 0
    assert the_job(dashboard.store, job_id).state == JobState.CANCELLED


def test_retry_failed_rows(browser: Browser, dashboard: Dashboard):
    """Those, and only those, are open again."""
    job_id = a_job_with_history(dashboard)
    held = claimed(dashboard.store, job_id, 1)
    settled(dashboard.store, held, [done(held, seq) for seq in range(4, 8)])
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert "open again" in press(page, "Retry 1 failed row")
    job = the_job(dashboard.store, job_id)
    assert (job.state, job.rows_failed, job.rows_done) == (JobState.QUEUED, 0, 7)
    eventually(lambda: published(dashboard, job_id) == 1, "its shard was rung for")


def test_what_nobody_would_read_is_not_retried(browser: Browser, dashboard: Dashboard):
    """Below what was given up: the page says why, and nothing is changed."""
    above = a_stored_job(dashboard.store, state="cancelled")
    job_id = a_job_with_history(dashboard)
    held = claimed(dashboard.store, job_id, 1)
    settled(dashboard.store, held, [done(held, seq) for seq in range(4, 8)])
    with dashboard.store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == job_id)
        connection.execute(mine.values(parent_id=above))
    before = the_job(dashboard.store, job_id)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        said = press(page, "Retry 1 failed row")
    assert f"Nothing was changed: {job_id} belongs to {above}" in said
    assert the_job(dashboard.store, job_id) == before


def test_a_lost_race_says_so(browser: Browser, dashboard: Dashboard):
    """The button was there, the job was cancelled meanwhile: nothing is changed but the page."""
    job_id = a_stored_job(dashboard.store)
    with signed_in(browser, dashboard, f"/job/{job_id}", java_script_enabled=False) as page:
        with dashboard.store.write() as connection:
            jobs.cancel(connection, job_id)
        said = press(page, "Pause")
    assert "Nothing was changed: it is cancelled" in said
    assert the_job(dashboard.store, job_id).state == JobState.CANCELLED


@pytest.mark.parametrize(
    ("written", "budget", "state"),
    [
        ("20 USD", 20 * NANO, JobState.QUEUED),
        ("", 5 * NANO, JobState.QUEUED),
        ("<b>much</b>", 5 * NANO, JobState.PAUSED),
    ],
)
def test_a_job_is_resumed_with_another_budget(
    browser: Browser, dashboard: Dashboard, written: str, budget: int, state: JobState
):
    """As `resume --budget` takes it; what cannot be read changes nothing and is told."""
    job_id = a_stored_job(dashboard.store, state="paused", budget_nano=5 * NANO)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.get_by_label("New budget").fill(written)
        said = press(page, "Resume")
    job = the_job(dashboard.store, job_id)
    assert (job.budget_nano, job.state) == (budget, state)
    assert ("cannot be read" in said) == (state == JobState.PAUSED)


# -- who may act -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def actions(dashboard: Dashboard) -> list[str]:
    """The address of every action, each of which would do something."""
    store = dashboard.store
    ids = [a_stored_job(store), a_stored_job(store, state="paused"), a_stored_job(store)]
    with store.write() as connection:
        for name in ("ep_on", "ep_off"):
            endpoints.create(connection, name, url="https://example.org/x", secret="sealed")
        number = deliveries.enqueue_test(connection, "ep_on")
        deliveries.disable_endpoint(connection, "ep_off", "a test")
    moves = [f"/job/{job_id}/{move}" for job_id, move in zip(ids, MOVES, strict=True)]
    hooks = [f"/webhooks/delivery/{number}/replay"]
    hooks += ["/webhooks/endpoint/ep_on/disable", "/webhooks/endpoint/ep_off/enable"]
    return [*moves, *hooks]


MOVES = ("pause", "resume", "cancel")


def everything(dashboard: Dashboard) -> list[Any]:
    """What the actions would change."""
    tables = (jobs.jobs, endpoints.endpoints, deliveries.deliveries)
    with dashboard.store.read() as connection:
        return [
            connection.execute(select(table).order_by(table.c.id)).all()  # type: ignore[attr-defined]
            for table in tables
        ]


def test_no_form_but_ours_acts(dashboard: Dashboard, actions: list[str]):
    """Without the page's token, from another site, without a password, or on an open Flower: no."""
    before = everything(dashboard)
    here = f"http://127.0.0.1:{dashboard.flower}"
    for path in actions:
        for port, password, headers, refused in (
            (dashboard.flower, OWNER, {}, 403),
            (dashboard.flower, OWNER, {"Origin": here, "Sec-Fetch-Site": "same-origin"}, 403),
            (dashboard.flower, OWNER, {"Cookie": "_xsrf=guessed"}, 403),
            (dashboard.flower, OWNER, {"Origin": "https://evil.example"}, 403),
            (dashboard.flower, OWNER, {"Sec-Fetch-Site": "cross-site"}, 403),
            (dashboard.flower, "", {}, 401),
            (dashboard.flower, "owner:guessed", {}, 401),
            (dashboard.open, "", {}, 403),
        ):
            assert post(port, path, password, **headers) == refused, (path, headers)
    assert everything(dashboard) == before


def test_another_sites_form_with_a_true_token_does_not_act(
    browser: Browser, dashboard: Dashboard, actions: list[str]
):
    """The token alone is not enough: where the form comes from is asked as well."""
    job_id = a_stored_job(dashboard.store)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        token = page.locator("#move-pause input[name=_xsrf]").input_value()
        (cookie,) = (one for one in page.context.cookies() if one["name"] == "_xsrf")
    held = {"Cookie": f"_xsrf={cookie['value']}", "X-Xsrftoken": token}
    before = everything(dashboard)
    for path in [*actions, f"/job/{job_id}/pause"]:
        for site in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert post(dashboard.flower, path, **held, **site) == 403
    assert everything(dashboard) == before
    assert post(dashboard.flower, f"/job/{job_id}/pause", **held) == 200  # led back to the page
    assert the_job(dashboard.store, job_id).state == JobState.PAUSED


def test_an_open_flower_shows_no_buttons(browser: Browser, dashboard: Dashboard):
    """It says instead how to get them."""
    job_id = a_stored_job(dashboard.store)
    with looking_at(browser, f"http://127.0.0.1:{dashboard.open}/job/{job_id}") as page:
        assert page.locator("main button, main form").count() == 0
        assert "FLOWER_BASIC_AUTH" in page.locator("main").inner_text()
