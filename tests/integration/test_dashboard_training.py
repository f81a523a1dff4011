"""The page of a training job in a real Flower, looked at with a real Chromium."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import PHONE, looking_at, overflow
from builders import a_stored_job
from dashboards import OWNER, SIGNED_IN, Dashboard, a_dashboard
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from models.nano import NANO
from models.payloads import JobSpec
from models.states import JobKind
from models.store import jobs, registry, trainings
from models.tables import TunedModel
from models.training import DatasetRef, TrainingSpec

HOSTILE = "<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
SHOWN = r"<script>alert(1)</script>{{7*7}}\x1b[31mred\u202ereversed"
NARROW = {"width": 400, "height": 800}
SHOTS = os.environ.get("MAESTRALE_TEST_SHOTS", "")
"""A folder for screenshots that people look at; empty: none are taken."""


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A Flower with a password."""
    with a_dashboard(tmp_path_factory.mktemp("training"), FLOWER_BASIC_AUTH=OWNER) as running:
        yield running


def a_spec(**changes: Any) -> TrainingSpec:
    """A hundred steps on a dataset called `news`."""
    dataset = {"name": "news", "hash": "d" * 64, "folder": "/data/news", "train_rows": 900}
    values = {"trainer": "local", "base": "SmolLM2-135M", "name": "news-smol", "steps": 100}
    reference = DatasetRef(**{**dataset, **changes.pop("dataset", {})})
    return TrainingSpec(**{**values, "dataset": reference, **changes})


def a_training(dashboard: Dashboard, *, rate: float = 1e-4, steps: int = 80, **changes: Any) -> str:
    """A running job that told of its steps so far, with a validation every twenty."""
    spec = JobSpec(training=changes.pop("training", None) or a_spec(learning_rate=rate))
    usual = {"kind": JobKind.TRAIN, "name": "news-smol", "spec": spec.model_dump_json()}
    usual["state"] = "running"
    store = dashboard.store
    job_id = a_stored_job(store, rows_count=1, shard_size=1, **{**usual, **changes})
    with store.write() as connection:
        started = {"started_at": store.now() - 300}
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**started))
        for step in range(steps and steps + 1):
            tell(connection, job_id, step, rate)
    return job_id


def tell(connection: Any, job_id: str, step: int, rate: float = 1e-4) -> None:
    """A loss that falls, faster at a higher rate; a checkpoint at each validation."""
    fallen = 2.0 * (1 - 0.97**step) * min(1.5, rate * 1e4)
    if step:
        values = {"loss": 4.1 - fallen, "learning_rate": rate * min(1, step / 5, (101 - step) / 50)}
        trainings.tell(connection, job_id, step, {**values, "tokens": step * 4096})
    if step % 20 == 0:
        checkpoint = f"checkpoint-{step}" if step else ""
        valid = {"valid_loss": 4.3 - 0.8 * fallen, "checkpoint": checkpoint}
        trainings.tell(connection, job_id, step, valid)


def a_model(dashboard: Dashboard, job_id: str, **changes: Any) -> None:
    """What the job's training became."""
    values = {"name": "news-smol", "base": "SmolLM2-135M", "trainer": "local", "created_at": 0.0}
    model = TunedModel(**{**values, "place": f"runs/{job_id}/adapter", "job_id": job_id, **changes})
    metrics = {"valid_loss_before": 4.3, "valid_loss_after": 2.5, "seconds": 90.0, "best_step": 80}
    with dashboard.store.write() as connection:
        registry.register(connection, model, metrics)


def a_sweep(dashboard: Dashboard) -> tuple[str, list[str]]:
    """A parent and three runs, of which the last told nothing yet."""
    parent = a_training(dashboard, steps=0, name="news")
    runs = [
        a_training(dashboard, rate=rate, steps=steps, name=f"news-{number:02d}", parent_id=parent)
        for number, (rate, steps) in enumerate([(5e-5, 60), (1e-4, 80), (3e-4, 0)], 1)
    ]
    return parent, runs


def a_wide_sweep(dashboard: Dashboard) -> str:
    """Fourteen runs: seven rates by two numbers of steps."""
    parent = a_training(dashboard, steps=0, name="wide")
    for number in range(14):
        rate, steps = (1 + number // 2) * 2e-5, (60, 100)[number % 2]
        a_training(
            dashboard,
            rate=rate,
            steps=steps,
            training=a_spec(learning_rate=rate, steps=steps),
            name=f"wide-{number + 1:02d}",
            parent_id=parent,
        )
    return parent


def a_hosted_run(dashboard: Dashboard, state: str = "succeeded", **changes: Any) -> str:
    """What a provider told of one: its checkpoints, from the first on."""
    spec = a_spec(trainer="mistral", base="mistral-small-latest")
    job_id = a_training(dashboard, steps=0, training=spec, state=state, **changes)
    with dashboard.store.write() as connection:
        for step in (50, 100):
            told = {"loss": 3.0 - step / 100, "valid_loss": 3.2 - step / 100}
            trainings.tell(connection, job_id, step, told)
    return job_id


def paid(dashboard: Dashboard, job_id: str, **counters: int) -> None:
    """Counts what its training cost, without the model it was spent on."""
    with dashboard.store.write() as connection:
        found = update(jobs.jobs).where(jobs.jobs.c.id == job_id)
        connection.execute(found.values(calls_made=1, **counters))


def signed_in(browser: Browser, dashboard: Dashboard, path: str, **context: Any):
    return looking_at(browser, dashboard.url(path), http_credentials=SIGNED_IN, **context)


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=Path(SHOTS, f"{name}.png"), full_page=True)


def test_it_shows_how_a_run_learns(browser: Browser, dashboard: Dashboard):
    """Curves, progress in steps, newest losses, checkpoints, what is trained on what."""
    job_id = a_training(dashboard)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        shot(page, "run-desk")
        text = page.locator("main").inner_text()
        charts = page.locator("svg.chart")
        assert charts.count() == 3
        assert all(chart.get_attribute("role") == "img" for chart in charts.all())
        assert page.locator("#checkpoints tbody tr").count() == 4
        assert "80 of 100 steps taken (80%)" in page.locator("#standing").inner_text()
        assert page.locator("#figure-loss dd").first.inner_text() == "2.275"
        assert page.locator("#figure-validation").inner_text().endswith("best 2.840 at step 80")
        assert page.locator("#figure-speed").count() == 0
    for told in ("checkpoint-80", "news", "d" * 16, "SmolLM2-135M", "rank 16", "at step 80"):
        assert told in text


def test_it_shows_the_model_it_became(browser: Browser, dashboard: Dashboard):
    """Name, place, losses before and after."""
    job_id = a_training(dashboard, steps=100)
    a_model(dashboard, job_id)
    with signed_in(browser, dashboard, f"/job/{job_id}", color_scheme="dark") as page:
        shot(page, "run-dark")
        text = page.locator("#training").inner_text()
    for told in ("The model it became", "news-smol", f"runs/{job_id}/adapter", "4.300 before, 2.5"):
        assert told in text


def test_a_sweep_ranks_its_runs(browser: Browser, dashboard: Dashboard):
    """The best first, each with a link to its page; the score against the learning rate."""
    parent, runs = a_sweep(dashboard)
    with signed_in(browser, dashboard, f"/job/{parent}") as page:
        shot(page, "sweep-desk")
        names = [one.inner_text() for one in page.locator("#runs tbody a").all()]
        assert names == ["news-02", "news-01", "news-03"]
        assert page.locator("svg.chart").count() == 3
        assert page.locator("#figure-best dd").all_inner_texts() == ["2.840", "news-02 at 1e-4"]
        assert "2 scored" in page.locator("#training-charts").inner_text()
        page.locator("#runs tbody a").first.click()
        page.wait_for_url(f"**/job/{runs[1]}")
        assert page.locator("#checkpoints").count() == 1


def test_the_runs_of_a_sweep_learn_in_one_chart(browser: Browser, dashboard: Dashboard):
    """Loss and perplexity over steps, a line for each run with what it differs in."""
    parent, _runs = a_sweep(dashboard)
    with signed_in(browser, dashboard, f"/job/{parent}") as page:
        loss, perplexity, score = page.locator("#training-charts figure").all()
        for chart in (loss, perplexity):
            assert chart.locator("path[class^=chart-line-run]").count() == 2
            assert chart.locator(".legend span").all_inner_texts() == ["lr 5e-5", "lr 1e-4"]
        assert "lowest is 2.84 at step 80: lr 1e-4" in loss.inner_text()
        assert "2 of 3 runs; the lowest is 17.1 at step 80" in perplexity.inner_text()
        assert score.locator("path[class^=chart-line-run]").count() == 1


def test_a_sweep_counts_runs_and_knows_no_best_one_at_first(browser: Browser, dashboard: Dashboard):
    """Its rows are its runs, and none is the best before one was validated."""
    parent = a_training(dashboard, steps=0, name="fresh", state="failed")
    a_training(dashboard, steps=0, name="fresh-01", parent_id=parent)
    with dashboard.store.write() as connection:
        lost = {"rows_total": 2, "rows_failed": 1}
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == parent).values(**lost))
    with signed_in(browser, dashboard, f"/job/{parent}") as page:
        assert "0 of 2 runs done (0%), 1 failed" in page.locator("#standing").inner_text()
        assert page.get_by_role("button", name="Retry 1 failed run").is_visible()
        assert page.locator("#figure-best dd").all_inner_texts() == ["–", "not validated"]


def test_a_wide_sweep_shows_its_best_runs(browser: Browser, dashboard: Dashboard):
    """Twelve lines at most, each with a look of its own; scores have a line for each length."""
    parent = a_wide_sweep(dashboard)
    for scheme in ("light", "dark"):
        with signed_in(browser, dashboard, f"/job/{parent}", color_scheme=scheme) as page:
            shot(page, f"sweep-wide-{scheme}")
            loss, _perplexity, score = page.locator("#training-charts figure").all()
            lines = loss.locator("path[class^=chart-line-run]")
            assert lines.count() == 12
            looks = lines.evaluate_all(
                "all => all.map(e => getComputedStyle(e)).map(s => s.stroke + s.strokeDasharray)"
            )
            assert len(set(looks)) == 12
            assert "lr 1.4e-4, 100 steps" in loss.locator(".legend").inner_text()
            assert score.locator(".legend span").all_inner_texts() == ["60 steps", "100 steps"]
    with signed_in(browser, dashboard, f"/job/{parent}", viewport=NARROW) as page:
        shot(page, "sweep-wide-phone")
        assert overflow(page) == 0


def test_a_hosted_run_tells_what_is_known_of_it(browser: Browser, dashboard: Dashboard):
    """The rate that was asked for, no checkpoint here, and the same cost in both places."""
    job_id = a_hosted_run(dashboard)
    paid(dashboard, job_id, calls_unpriced=1)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        shot(page, "hosted-desk")
        assert page.locator("#figure-rate dd").all_inner_texts() == ["1e-4", "asked for"]
        assert page.locator("#training-charts svg.chart").count() == 2
        assert "The provider keeps them" in page.locator("#checkpoints").inner_text()
        assert page.locator("#figure-cost dd").first.inner_text() == "unknown"
        spending = page.locator("#spending").inner_text()
        assert "unknown" in spending
        assert "Nothing was paid" not in spending


def test_a_sweep_costs_what_its_runs_cost(browser: Browser, dashboard: Dashboard):
    """Their sum; unknown as soon as that of one is. Hosted runs have no loss before."""
    parent = a_training(dashboard, steps=0, name="hosted")
    runs = [a_hosted_run(dashboard, name=f"hosted-{no}", parent_id=parent) for no in (1, 2)]
    paid(dashboard, runs[0], cost_nano=3 * NANO)
    with signed_in(browser, dashboard, f"/job/{parent}") as page:
        before = page.locator("#runs td[data-label='Loss before']").all_inner_texts()
        assert before == ["–", "–"]
        assert page.locator("#figure-cost dd").first.inner_text() == "$3.00"
        assert "$3.00" in page.locator("#spending").inner_text()
        paid(dashboard, runs[1], calls_unpriced=1)
        page.reload()
        shot(page, "sweep-hosted")
        assert page.locator("#figure-cost dd").first.inner_text() == "unknown"
        assert "≥ $3.00" in page.locator("#spending").inner_text()


def test_nothing_is_awaited_of_a_training_that_failed(browser: Browser, dashboard: Dashboard):
    """It told nothing, wrote nothing, and was not paid for; none of it comes yet."""
    job_id = a_training(dashboard, steps=0, state="failed", finished_at=1.0)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        shot(page, "run-failed")
        text = page.locator("main").inner_text()
    for told in ("Nothing was told", "None was written", "Nothing was paid", "not validated"):
        assert told in text
    assert " yet" not in text


def test_checkpoints_are_told_as_written(browser: Browser, dashboard: Dashboard):
    """Most are gone from the disk by the end, and the page says so."""
    with signed_in(browser, dashboard, f"/job/{a_training(dashboard)}") as page:
        assert page.locator("#checkpoints h2").inner_text() == "Checkpoints written"
        assert "the newest two and the best one" in page.locator("#checkpoints").inner_text()


def test_both_fit_a_phone_and_need_no_script(browser: Browser, dashboard: Dashboard):
    """Nothing is wider than the screen; curves and tables are all there."""
    parent, runs = a_sweep(dashboard)
    a_model(dashboard, runs[1], place="x" * 150, name="news-on-the-phone")
    for name, job_id in (("sweep", parent), ("run", runs[1])):
        context = {"viewport": PHONE, "java_script_enabled": False}
        with signed_in(browser, dashboard, f"/job/{job_id}", **context) as page:
            shot(page, f"{name}-phone")
            assert page.locator("svg.chart").first.is_visible()
        with signed_in(browser, dashboard, f"/job/{job_id}", viewport=PHONE) as page:
            assert overflow(page) == 0


def test_a_job_that_generates_has_nothing_of_it(browser: Browser, dashboard: Dashboard):
    """Its figures and charts are its own."""
    with signed_in(browser, dashboard, f"/job/{a_stored_job(dashboard.store)}") as page:
        assert page.locator("#figures .figure").count() == 6
        assert page.locator("#charts svg.chart").count() == 3
        for part in ("#training", "#training-charts", "#runs", "#checkpoints", "#figure-steps"):
            assert page.locator(part).count() == 0
        assert "0 of 4 rows done (0%)" in page.locator("#standing").inner_text()


def test_it_lives(browser: Browser, dashboard: Dashboard):
    """A step that is told later shows without a reload."""
    job_id = a_training(dashboard, steps=0)
    with signed_in(browser, dashboard, f"/job/{job_id}") as page:
        assert "Nothing was told yet" in page.locator("#training-charts").inner_text()
        with dashboard.store.write() as connection:
            for step in (1, 2, 3, 20):
                tell(connection, job_id, step)
        page.get_by_text("checkpoint-20").wait_for()
        assert page.locator("path.chart-line-train").count() == 1


def test_hostile_text_is_text(browser: Browser, dashboard: Dashboard):
    """Names of datasets, bases, models, checkpoints, runs: nothing runs, nothing hides."""
    training = a_spec(base=HOSTILE, dataset={"name": HOSTILE})
    parent = a_training(dashboard, steps=0, training=training, name=HOSTILE)
    job_id = a_training(dashboard, training=training, name=HOSTILE, parent_id=parent)
    with dashboard.store.write() as connection:
        trainings.tell(connection, job_id, 80, {"checkpoint": HOSTILE})
    a_model(dashboard, job_id, name=HOSTILE, place=HOSTILE)
    for path in (f"/job/{job_id}", f"/job/{parent}"):
        with signed_in(browser, dashboard, path) as page:
            page.on("dialog", lambda dialog, page=page: page.complaints.append(dialog.message))
            assert page.locator("main").inner_text().count(SHOWN) >= 4
            assert page.locator("main script").count() == 0
            assert not {"\x1b", "\u202e"} & set(page.content())
