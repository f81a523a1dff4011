"""The page of an evaluation in a real Flower, and its report, looked at with a real Chromium."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import orjson
import pytest
from browsing import PHONE, looking_at, overflow
from builders import a_stored_job, claimed, settled
from dashboards import OWNER, SIGNED_IN, Dashboard, a_dashboard
from playwright.sync_api import Browser, Page
from report_builders import BASE, LARGE, TUNED, a_report
from running import ask
from sqlalchemy import update

from models.payloads import JobSpec, RowSettled, Succeeded
from models.states import JobKind
from models.store import jobs, reports
from models.suites import Contestant, Evaluation, load_suite
from producers.evaluating.rendering.charts import draw_all
from producers.evaluating.rendering.page import html

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOTS = os.environ.get("MAESTRALE_TEST_SHOTS", "")
"""A folder for screenshots that people look at; empty: none are taken."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower with a password."""
    with a_dashboard(tmp_path_factory.mktemp("evaluation"), FLOWER_BASIC_AUTH=OWNER) as running:
        yield running


def an_evaluation(*models: str) -> JobSpec:
    """The suite `tak` put to these models."""
    suite, _data = load_suite("tak")
    contestants = [Contestant(model=name) for name in models or ("small", "large")]
    told = Evaluation(suite=suite, contestants=contestants, attempts=2)
    return JobSpec(evaluation=told.model_dump(mode="json"))


def a_job(dashboard: Dashboard, *models: str, state: str = "succeeded", **changes: Any) -> str:
    """An evaluation, by default one that is over since a minute."""
    spec = an_evaluation(*models).model_dump_json()
    usual = {"kind": JobKind.EVALUATE, "name": "tak", "spec": spec, "state": state}
    job_id = a_stored_job(dashboard.store, rows_count=4, **{**usual, **changes})
    if state == "succeeded":
        with dashboard.store.write() as connection:
            over = {"finished_at": dashboard.store.now() - 60, "rows_done": 4}
            connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**over))
    return job_id


def keeps(dashboard: Dashboard, job_id: str, page: str = "", **changes: Any) -> None:
    """Its report was made just now."""
    report = a_report(job_id=job_id, **changes)
    told = {"maestrale": "0", "made_at": "", "name": "tak", **asdict(report)}
    page = page or html(report, draw_all(report))
    with dashboard.store.write() as connection:
        reports.put(connection, job_id, orjson.dumps(told).decode(), page)


def answers(model: str, problem: str = "") -> dict[str, Any]:
    """An outcome as workers write it."""
    return {"what": "answer", "model": model, "attempt": 1, "problem": problem}


def signed_in(browser: Browser, dashboard: Dashboard, path: str, **context: Any):
    return looking_at(browser, dashboard.url(path), http_credentials=SIGNED_IN, **context)


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}.png"), full_page=True)


def words_of(page: Page, selector: str) -> str:
    """Its text in one line."""
    return " ".join(page.locator(selector).inner_text().split())


def test_it_shows_what_was_found(browser: Browser, dashboard: Dashboard):
    """Models, figures with their intervals, verdicts, warnings, charts, and the way to the rest."""
    job_id = a_job(dashboard)
    keeps(dashboard, job_id)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        shot(page, "evaluation-desk")
        table = words_of(page, "#measured")
        for told in (BASE, TUNED, LARGE, "87.0% [81.6, 91.0] n=200", "12.4 s [11.0, 14.2] n=200"):
            assert told in table
        assert "is right more often" in words_of(page, "#verdicts li:first-child")
        assert "3 of 203 rows failed" in words_of(page, "#cautions")
        assert page.locator("#measured-charts svg.chart[role=img]").count() == 3
        assert page.locator("#measured-charts .chart-whisker").count() > 20
        assert "tak, classification" in words_of(page, "#evaluation .pairs")
        assert page.get_by_text("more is known by now").count() == 0
        page.get_by_role("link", name="The whole report").click()
        page.wait_for_url(f"**/job/{job_id}/report")
        shot(page, "report-in-flower")
        assert "tak: three models on 200 queries" in page.locator("h1").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Browser, dashboard: Dashboard, scheme: str):
    """The job's page and the report, by day and by night."""
    job_id = a_job(dashboard)
    keeps(dashboard, job_id)
    for path in (f"/job/{job_id}", f"/job/{job_id}/report"):
        context = {"viewport": PHONE, "color_scheme": scheme}
        with signed_in(browser, dashboard, path, **context) as page:
            shot(page, f"evaluation-phone-{scheme}-{path.count('/')}")
            assert overflow(page) == 0


def test_answers_are_counted_before_there_is_a_report(browser: Browser, dashboard: Dashboard):
    """By model, those of no use apart; it lives: what comes later shows without a reload."""
    job_id = a_job(dashboard, state="running")
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert "No row is done yet" in words_of(page, "#answered")
        held = claimed(dashboard.store, job_id)
        records = [answers("small"), answers("large", "invalid_answer")]
        settled(dashboard.store, held, [RowSettled(*held, 0, Succeeded(records))])
        page.locator("#answered").get_by_text("large").wait_for()
        assert "small 1 0 large 1 1" in words_of(page, "#answered")
        shot(page, "evaluation-running")
        keeps(dashboard, job_id)
        page.locator("#measured").wait_for()
        assert "more is known by now" in words_of(page, "#report-line")


def test_there_is_no_report_yet(browser: Browser, dashboard: Dashboard):
    """404 in our look, which says what makes one; the same for an id that is none."""
    job_id = a_job(dashboard)
    for path in (job_id, "no%27such"):
        with signed_in(browser, dashboard, f"/job/{path}/report") as page:
            page.complaints.clear()  # the 404 itself
            assert page.locator(".page-eyebrow").inner_text() == "404"


def test_nobody_sees_it_unknown(dashboard: Dashboard):
    """The report is under the same password as the job."""
    job_id = a_job(dashboard)
    keeps(dashboard, job_id)
    with pytest.raises(HTTPError, match="401"):
        ask(dashboard.flower, f"/job/{job_id}/report")
    assert "tak: three models" in ask(dashboard.flower, f"/job/{job_id}/report", OWNER)


def test_scripts_in_a_report_never_run(browser: Browser, dashboard: Dashboard):
    """Whatever stands in the database: the page is sandboxed, and asks nobody for anything."""
    job_id = a_job(dashboard)
    evil = (
        "<!doctype html><title>evil</title><h1>evil</h1><script>document.title = 'ran'</script>"
        "<img src=/jobs onerror=\"document.title = 'ran'\"><form action=/jobs method=post>"
        "<button>go</button></form>"
    )
    keeps(dashboard, job_id, page=evil)
    with signed_in(browser, dashboard, f"/job/{job_id}/report") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_role("button", name="go").click()
        assert page.title() == "evil"
        assert asked == []
        assert page.complaints
        page.complaints.clear()


def test_hostile_text_is_text(browser: Browser, dashboard: Dashboard):
    """Names of models, titles, warnings, reasons, verdicts: nothing runs, nothing hides."""
    job_id = a_job(dashboard, HOSTILE, "other")
    report = orjson.loads(orjson.dumps(asdict(a_report(warnings=[HOSTILE]))))
    report["summary"]["rows"][0][0] = HOSTILE
    report["summary"]["columns"][1] = HOSTILE
    report["comparisons"][0]["verdict"] = HOSTILE
    chart = report["sections"][0]["charts"][0]
    chart["title"] = chart["series"][0]["name"] = HOSTILE
    with dashboard.store.write() as connection:
        reports.put(connection, job_id, orjson.dumps(report).decode(), "")
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        page.on("dialog", lambda dialog, page=page: page.complaints.append(dialog.message))
        assert page.locator("#evaluation").inner_text().count(SHOWN) >= 6
        assert page.locator("main script").count() == 0
        assert not {"\x1b", "\u202e"} & set(page.content())


def test_a_report_of_another_version_can_be_opened(browser: Browser, dashboard: Dashboard):
    """What cannot be read is said to be so, and the page stands."""
    job_id = a_job(dashboard)
    with dashboard.store.write() as connection:
        reports.put(connection, job_id, '{"summary": 7}', "<h1>of tomorrow</h1>")
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert "cannot read the report" in words_of(page, "#evaluation")
        page.get_by_role("link", name="The whole report").click()
        page.get_by_text("of tomorrow").wait_for()
