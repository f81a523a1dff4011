"""A budget, a priority or a webhook that a run is given after it was begun."""

from pathlib import Path

import pytest
from builders import a_stored_job
from sqlalchemy import update

from models.errors import BadInputError
from models.nano import NANO
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.states import JobState, StageState
from models.store import jobs, stages
from producers import Maestrale
from producers.pipelines import Runs
from producers.pipelines.planning import plan
from proving.pipelines_stage import edit, write_recipe

URL = "https://hooks.example.com/in"
NO_PRICE = "stage exam: a budget needs prices, and ft:open-mistral-nemo "


@pytest.fixture
def unpriced(tmp_path: Path) -> RunSpec:
    """A pipeline whose exam asks a model without a price."""
    return RunSpec(pipeline=load_pipeline(str(write_recipe(tmp_path / "small"))))


@pytest.fixture
def told(tmp_path: Path) -> RunSpec:
    """One whose models all have one."""
    folder = write_recipe(tmp_path / "priced")
    edit(folder, "pipeline.toml", "open-mistral-nemo", "ministral-3b-latest")
    return RunSpec(pipeline=load_pipeline(str(folder)))


def has_failed(maestrale: Maestrale, run_id: str, *, spent_usd: float) -> None:
    """Its first stage was done for so much, its second failed."""
    ends = {"pairs": "done", "data": "failed", "tuned": "skipped", "exam": "skipped"}
    child = a_stored_job(maestrale.store, rows_count=1, state="succeeded", parent_id=run_id)
    with maestrale.store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == child)
        connection.execute(mine.values(cost_nano=round(spent_usd * NANO), finished_at=1.0))
        jobs.start(connection, run_id)
        for name, state in ends.items():
            stage = update(stages.stages).where(stages.stages.c.run_id == run_id)
            stage = stage.where(stages.stages.c.name == name)
            connection.execute(stage.values(state=StageState(state), job_id=None))
        assert stages.settle(connection, run_id) == JobState.FAILED


def test_a_run_that_failed_is_not_given_less_than_it_spent(
    maestrale: Maestrale, told: RunSpec
) -> None:
    """Nothing would start; it stays as it is."""
    runs = Runs(maestrale)
    run, _ = runs.start(told, budget="1")
    has_failed(maestrale, run.id, spent_usd=0.8)
    with pytest.raises(BadInputError, match=rf"{run.id} has spent \$0.8000 already"):
        runs.go_on(told, budget="0.5")
    left = maestrale.get(run.id)
    assert (left.state, left.budget_nano) == (JobState.FAILED, NANO)
    again = runs.go_on(told, budget="0.9")
    assert (again.state, again.budget_nano) == (JobState.QUEUED, 900_000_000)


def test_neither_is_one_that_is_under_way_or_stands(maestrale: Maestrale, told: RunSpec) -> None:
    """By the same words."""
    runs = Runs(maestrale)
    run, _ = runs.start(told, budget="1")
    a_job_below = a_stored_job(maestrale.store, rows_count=1, state="running", parent_id=run.id)
    with maestrale.store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == a_job_below)
        connection.execute(mine.values(cost_nano=NANO // 2))
    with pytest.raises(BadInputError, match="has spent"):
        runs.go_on(told, budget="0.5")
    maestrale.pause(run.id)
    with pytest.raises(BadInputError, match="has spent"):
        runs.go_on(told, budget="0.5")
    assert maestrale.get(run.id).budget_nano == NANO
    assert runs.go_on(told, budget="2").budget_nano == 2 * NANO


def test_a_budget_given_later_needs_prices_of_what_is_left(
    maestrale: Maestrale, unpriced: RunSpec
) -> None:
    """As one from the beginning; whatever is done needs none any more."""
    runs = Runs(maestrale)
    run, _ = runs.start(unpriced)
    with pytest.raises(BadInputError, match=NO_PRICE):
        runs.go_on(unpriced, budget="5")
    assert maestrale.get(run.id).budget_nano is None
    with maestrale.store.write() as connection:
        mine = update(stages.stages).where(stages.stages.c.name == "exam")
        connection.execute(mine.values(state=StageState.DONE))
    assert runs.go_on(unpriced, budget="5").budget_nano == 5 * NANO


def test_a_plan_under_a_budget_needs_prices_too(maestrale: Maestrale, unpriced: RunSpec) -> None:
    """It would not be begun; and a budget that is none is told."""
    assert plan(maestrale, unpriced)
    with pytest.raises(BadInputError, match=NO_PRICE):
        plan(maestrale, unpriced, budget="5")
    with pytest.raises(BadInputError, match="much"):
        plan(maestrale, unpriced, budget="much")


@pytest.mark.parametrize(
    ("begun", "words"), [("5", r"with a budget of \$5"), (None, "without a budget")]
)
def test_the_same_run_under_way_is_not_given_another_budget(
    maestrale: Maestrale, told: RunSpec, begun: str | None, words: str
) -> None:
    """Which would be forgotten in silence; the same one, or none, goes on with it."""
    runs = Runs(maestrale)
    run, _ = runs.start(told, budget=begun)
    with pytest.raises(BadInputError, match=f"{run.id} {words}.*: leave --budget out.*--resume"):
        runs.start(told, budget="0.01")
    for budget in (begun, None):
        known, is_new = runs.start(told, budget=budget)
        assert (known.id, is_new) == (run.id, False)
    assert runs.start(told.model_copy(update={"again": True}), budget="0.01")[1]


def test_neither_another_priority_nor_another_webhook(maestrale: Maestrale, told: RunSpec) -> None:
    """What it was begun with may be said again."""
    runs = Runs(maestrale)
    hooks = maestrale.webhooks.prepare([URL])
    run, _ = runs.start(told, priority=2, webhooks=hooks)
    assert runs.start(told)[0].id == run.id
    again = maestrale.webhooks.prepare([URL])
    assert runs.start(told, priority=2, webhooks=again)[0].id == run.id
    with pytest.raises(BadInputError, match=f"maestrale priority {run.id} 1"):
        runs.start(told, priority=1)
    other = maestrale.webhooks.prepare([f"{URL}/other"])
    with pytest.raises(BadInputError, match=f"{URL}/other does not hear of it"):
        runs.start(told, webhooks=other)
    maestrale.webhooks.add(f"{URL}/other")
    assert runs.start(told, webhooks=other)[0].id == run.id
