"""A run's budget among its stages, on both databases: shares, what ranks a sweep, what returns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from builders import a_job, a_stored_job
from sqlalchemy import update

from models.budgets import parse_budget
from models.errors import BadInputError
from models.nano import NANO
from models.pipelines import load_pipeline
from models.pipelines.schema import RunSpec
from models.prices import load_prices
from models.states import JobKind, JobState
from models.store import jobs, stages
from models.store.engine import Store
from models.store.stages import StageInHand
from producers import spending
from producers.pipelines import doing, ranking, sharing
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Later, Lost, Made
from proving.pipelines_stage import edit, write_recipe

BUDGET = 1_000_000


def a_told(folder: Path) -> RunSpec:
    """A pipeline whose training is a sweep, ranked by a suite."""
    write_recipe(folder)
    sweep = 'sweep = { lr = [1e-4, 5e-5] }\nrank_by = "suite.toml:accuracy"'
    edit(folder, "pipeline.toml", 'trainer = "mistral"', f'trainer = "mistral"\n{sweep}')
    return RunSpec(pipeline=load_pipeline(str(folder)))


def a_run(store: Store, told: RunSpec) -> str:
    """The id of a committed run of it, with a budget."""
    spec = {"pipeline": told.model_dump(mode="json")}
    run = a_job(kind=JobKind.PIPELINE, budget_nano=BUDGET, rows_total=4)
    run.spec = orjson.dumps(spec).decode()
    planned = [one.model_dump(include={"name", "kind", "needs"}) for one in told.pipeline.stages]
    with store.write() as connection:
        stages.create(connection, run, planned)
    return run.id


def claim(store: Store, run: str, name: str) -> StageInHand:
    """The stage in hand."""
    with store.write() as connection:
        held = stages.claim(connection, run, name, "me", hold_s=30)
    assert held is not None
    return held


def a_child(store: Store, parent: str, state: str, *, budget: int = 0, cost: int = 0) -> str:
    """A job below, over or not, that has spent so much of its budget."""
    child: str = a_stored_job(store, rows_count=1, state=state, parent_id=parent)
    values: dict[str, Any] = {"budget_nano": budget, "cost_nano": cost}
    values |= {"finished_at": 1.0} if state == "succeeded" else {}
    values |= {"state_reason": "budget: it is spent"} if state == "paused" else {}
    with store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == child).values(**values))
    return child


def job(store: Store, job_id: str) -> Any:
    """As it stands."""
    with store.read() as connection:
        return jobs.get(connection, job_id)


def swept(store: Store, run: str, cost: int) -> StageInHand:
    """The training's stage, claimed when its sweep is over; a run of the sweep has cost so much."""
    sweep = a_child(store, run, "succeeded", budget=BUDGET)
    a_child(store, sweep, "succeeded", cost=cost)
    held = claim(store, run, "tuned")
    with store.write() as connection:
        stages.submitted(connection, held, sweep, {})
    return claim(store, run, "tuned")


def test_what_ranks_a_sweep_has_a_share_of_what_the_sweep_left(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runs of the sweep count; who begins at the same time gets as much."""
    told = a_told(tmp_path / "small")
    run = a_run(store, told)
    held = swept(store, run, 400_000)
    seen: list[Hand] = []
    fake = SimpleNamespace(collect=lambda hand, _job: seen.append(hand) or Made({}))
    monkeypatch.setattr(doing, "doing", lambda _kind: fake)
    monkeypatch.setattr(doing, "asked_of", lambda *_args: None)
    client = cast("Any", SimpleNamespace(store=store))
    doing.do(client, job(store, run), held)
    assert seen.pop().budget_nano == 600_000
    other = claim(store, run, "exam").stage
    doing.do(client, job(store, run), held)
    assert seen.pop().budget_nano == 300_000 == sharing.share_of(store, run, told, other)


def test_nothing_is_ranked_with_what_is_not_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits while another job may leave something, else it is lost by name, its sweep kept."""
    run = a_run(store, a_told(tmp_path / "small"))
    held = swept(store, run, BUDGET)
    fake = SimpleNamespace(
        collect=lambda hand, _job: ranking.submitted(hand, cast("Any", None), [], notes={})
    )
    monkeypatch.setattr(doing, "doing", lambda _kind: fake)
    monkeypatch.setattr(doing, "asked_of", lambda *_args: None)
    client = cast("Any", SimpleNamespace(store=store))
    lost = doing.do(client, job(store, run), held)
    assert isinstance(lost, Lost)
    assert "is spent" in lost.reason
    a_child(store, run, "running", budget=10)
    later = doing.do(client, job(store, run), held)
    assert isinstance(later, Later)
    assert "what others leave" in later.reason


def test_what_others_left_goes_to_the_job_that_stands(store: Store, tmp_path: Path) -> None:
    """Once: then all is promised, and the run stands."""
    run = a_run(store, a_told(tmp_path / "small"))
    stands = a_child(store, run, "paused", budget=500_000, cost=500_000)
    a_child(store, run, "succeeded", budget=500_000, cost=100_000)
    with store.write() as connection:
        assert sharing.pass_on(connection, run) == stands
    assert job(store, stands).state == JobState.QUEUED
    assert job(store, stands).budget_nano == 900_000
    with store.write() as connection:
        jobs.pause(connection, stands, "budget: it is spent")
        assert sharing.pass_on(connection, run) is None


def test_who_was_paused_by_people_is_left_alone(store: Store, tmp_path: Path) -> None:
    """Whatever is left."""
    run = a_run(store, a_told(tmp_path / "small"))
    child = a_child(store, run, "running", budget=10)
    with store.write() as connection:
        jobs.pause(connection, child, "by hand")
        assert sharing.pass_on(connection, run) is None


@pytest.mark.parametrize("nano", [1, 50_000, 99_999, 3 * NANO + 7])
def test_a_small_share_is_read_as_it_is(nano: int) -> None:
    """To the last nano-USD; a small number given by a program as well."""
    hand = Hand(*(cast("Any", None),) * 6, budget_nano=nano)
    prices = load_prices(None)
    assert parse_budget(hand.budget_usd or "", prices) == nano
    plan = cast(
        "Any", SimpleNamespace(models=[], estimate_by=lambda _via: SimpleNamespace(cost_usd=None))
    )
    assert spending.checked_budget(nano / NANO, plan, "realtime", prices) == nano


@pytest.mark.parametrize("kind", [JobKind.PIPELINE, JobKind.TRAIN])
def test_a_budget_is_held_against_what_all_below_have_spent(store: Store, kind: JobKind) -> None:
    """A run's own count is late, and a sweep's knows nothing of its runs."""
    run: str = a_stored_job(store, rows_count=1, kind=kind, state="paused", budget_nano=BUDGET)
    a_child(store, a_child(store, run, "succeeded", cost=100), "succeeded", cost=400_000_000)
    assert job(store, run).cost_nano == 0
    prices = load_prices(None)
    with store.write() as connection:
        with pytest.raises(BadInputError, match=r"has spent \$0.4000 already"):
            spending.resume(connection, job(store, run), "0.4", prices)
        assert spending.resume(connection, job(store, run), "0.5", prices)
    assert job(store, run).state == JobState.QUEUED
