"""The page of a pipeline's run in a real Flower, looked at with a real Chromium."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import DESK, PHONE, looking_at, overflow
from builders import a_job, a_stored_job
from dashboards import Dashboard, a_dashboard
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from models.nano import NANO
from models.states import JobKind, JobState, StageState
from models.store import jobs, stages

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOTS = os.environ.get("MAESTRALE_TEST_SHOTS", "")
"""A folder for screenshots that people look at; empty: none are taken."""
PLANNED: tuple[tuple[str, str, list[str]], ...] = (
    ("pairs", "generate", []),
    ("data", "dataset", ["pairs"]),
    ("model", "train", ["data"]),
    ("exam", "evaluate", ["model", "pairs"]),
    ("vectors", "embed", []),
    ("lookups", "evaluate", ["vectors"]),
    ("review", "review", ["exam"]),
)
SIZES = [(DESK, "light"), (PHONE, "light"), (DESK, "dark"), (PHONE, "dark")]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower as it comes."""
    with a_dashboard(tmp_path_factory.mktemp("stages")) as running:
        yield running


def a_run(dashboard: Dashboard) -> tuple[str, dict[str, str]]:
    """A run with a stage in every state, half over; its id, and the jobs of its stages by name."""
    store = dashboard.store
    run = a_job(kind=JobKind.PIPELINE, name="amira", rows_total=len(PLANNED), max_failed_share=0.0)
    planned = [dict(zip(("name", "kind", "needs"), one, strict=True)) for one in PLANNED]
    with store.write() as connection:
        stages.create(connection, run, planned)
        jobs.start(connection, run.id)
    earlier = a_stored_job(store, state="succeeded")
    made = {
        "pairs": a_child(dashboard, run.id, "pairs", JobState.SUCCEEDED, rows_done=4),
        "model": earlier,
        "exam": a_child(dashboard, run.id, "exam", JobState.RUNNING, rows_done=1),
        "vectors": a_child(dashboard, run.id, "vectors", JobState.FAILED, rows_failed=4),
    }
    now = store.now()
    times = {"started_at": now - 90, "finished_at": now - 30}
    stands(dashboard, run.id, "pairs", StageState.DONE, job_id=made["pairs"], **times)
    stands(dashboard, run.id, "data", StageState.DONE, **times)
    reason = "as in job_earlier"
    stands(dashboard, run.id, "model", StageState.REUSED, job_id=earlier, reason=reason)
    running = {"job_id": made["exam"], "started_at": now - 20}
    stands(dashboard, run.id, "exam", StageState.RUNNING, **running)
    failed = {"job_id": made["vectors"], "reason": f"4 rows failed: {HOSTILE}", **times}
    stands(dashboard, run.id, "vectors", StageState.FAILED, **failed)
    reason = "it needs vectors, which was not done"
    stands(dashboard, run.id, "lookups", StageState.SKIPPED, reason=reason)
    with store.write() as connection:
        stages.recount(connection, run.id)
    return run.id, made


def a_child(dashboard: Dashboard, run: str, stage: str, state: str, **counters: int) -> str:
    """A job that a stage of the run began."""
    told = {"parent_id": run, "idempotency_key": f"{run}/{stage}/abc/0"}
    child = a_stored_job(dashboard.store, state=state, **told)
    counted = {"calls_made": 40, "cost_nano": NANO // 4, **counters}
    with dashboard.store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == child).values(**counted))
    return child


def stands(dashboard: Dashboard, run: str, name: str, state: StageState, **told: Any) -> None:
    """Puts a stage as no move would: tests alone may."""
    mine = update(stages.stages).where(stages.stages.c.run_id == run, stages.stages.c.name == name)
    with dashboard.store.write() as connection:
        connection.execute(mine.values(state=state, **told))


def shot(page: Page, name: str) -> None:
    """A picture for people, where one was asked for."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)


def test_it_tells_how_each_stage_stands(browser: Browser, dashboard: Dashboard):
    """State, reason, rows, cost and what it needs, in the order of the file; what a stranger wrote
    is text."""
    run, _ = a_run(dashboard)
    with looking_at(browser, dashboard.url(f"/job/{run}")) as page:
        lines = page.locator("#stages tbody tr")
        told = [" ".join(line.inner_text().split()) for line in lines.all()]
        assert page.locator("#figure-cost dd").first.inner_text() == "$0.7500"
        assert page.locator("#figure-speed, #charts").count() == 0, "its jobs' pages have them"
        assert "Nothing was paid" not in page.locator("#spending").inner_text()
        assert f"0 of {len(PLANNED)} stages done" in page.locator("#event-1").inner_text()
    assert [line.split()[0] for line in told] == [name for name, _, _ in PLANNED]
    wanted = {
        0: ("done", "succeeded", "4 of 4", "$0.2500", "1 min 00 s"),
        1: ("dataset", "done"),
        2: ("reused", "as in job_earlier"),
        3: ("running", "model, pairs", "1 of 4", "$0.2500"),
        4: ("failed", f"4 rows failed: {SHOWN}", "4 of 4, 4 failed"),
        5: ("skipped", "it needs vectors"),
        6: ("waiting",),
    }
    missing = [(no, word) for no, words in wanted.items() for word in words if word not in told[no]]
    assert missing == [], told
    assert "$" not in told[2], "an earlier run paid for it"


def test_each_stage_leads_to_its_job_and_the_job_to_its_run(browser: Browser, dashboard: Dashboard):
    """By links that are answered; a stage without a job has none."""
    run, made = a_run(dashboard)
    with looking_at(browser, dashboard.url(f"/job/{run}")) as page:
        links = page.locator("#stages tbody a")
        assert [link.inner_text() for link in links.all()] == list(made.values())
        for name, job in made.items():
            page.locator(f"#stage-{name} a").click()
            page.wait_for_url(f"**/job/{job}")
            assert job in page.locator("main").inner_text()
            page.go_back()
            page.wait_for_url(f"**/job/{run}")


@pytest.mark.parametrize(("size", "scheme"), SIZES)
def test_it_fits_a_desk_and_a_phone(
    browser: Browser, dashboard: Dashboard, size: dict[str, int], scheme: Any
):
    """Nothing stands out to the right, by day and by night."""
    run, _ = a_run(dashboard)
    address = dashboard.url(f"/job/{run}")
    with looking_at(browser, address, viewport=size, color_scheme=scheme) as page:
        shot(page, f"stages-{size['width']}-{scheme}")
        assert overflow(page) == 0
        for line in page.locator("#stages tbody tr").all():
            assert line.bounding_box()["width"] <= size["width"]  # type: ignore[index]


def test_it_tells_the_same_without_scripts(browser: Browser, dashboard: Dashboard):
    """The stages are there when the page is."""
    run, made = a_run(dashboard)
    address = dashboard.url(f"/job/{run}")
    with looking_at(browser, address, java_script_enabled=False) as page:
        assert page.locator("#stages tbody tr").count() == len(PLANNED)
        assert page.locator("#stage-exam a").inner_text() == made["exam"]
