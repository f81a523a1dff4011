"""`show` and `pause` of trainings: how far, what came of it, and what a sweep's runs cost."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import a_job, a_stored_job, claimed, settled
from cli_builders import Ended
from sqlalchemy import update

from models.payloads import Failed, RowSettled, Succeeded
from models.states import FailureCode, JobKind
from models.store import jobs, registry, trainings
from models.store.engine import Store
from models.tables import TunedModel
from producers.client import Maestrale
from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2", "--no-watch", "--json")
HOSTED = ("--trainer", "mistral", "--base", "open-mistral-7b")
SWEEP = ("--sweep", "lr=1e-5,1e-4")


@pytest.fixture(autouse=True)
def dataset(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news; nothing is counted or trained."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    return a_dataset_folder(home / "datasets")


def submitted(run: Run, *more: str) -> str:
    """The id of a training job."""
    ended = run(*TRAIN, *more)
    assert ended.code == 0, ended.err
    return str(ended.facts["job"]["id"])


def told(store: Store, job_id: str) -> None:
    """Two of its three steps, with a validation before and after."""
    points = [(0, {"valid_loss": 4.0}), (1, {"loss": 3.0}), (2, {"loss": 1.5, "valid_loss": 2.0})]
    with store.write() as connection:
        for step, values in points:
            trainings.tell(connection, job_id, step, values)


def succeeded(store: Store, job_id: str, name: str) -> None:
    """It is in the registry."""
    held = claimed(store, job_id)
    place = {"place": f"runs/{job_id}/adapter", "job_id": job_id}
    about = {"dataset_name": "news", "dataset_hash": "0123456789abcdef", "parameters": "{}"}
    model = TunedModel(name=name, base="smollm2", trainer="local", created_at=0.0, **place, **about)
    with store.write() as connection:
        metrics = {"valid_loss_before": 4.0, "valid_loss_after": 1.0}
        registry.register(connection, model, metrics)
    assert settled(store, held, [RowSettled(*held, 0, Succeeded([{"model": name}]))])


def failed(store: Store, job_id: str) -> None:
    """Its base is not there."""
    held = claimed(store, job_id)
    outcome = Failed(FailureCode.TRAINING_FAILED, "base_missing: no such base")
    assert settled(store, held, [RowSettled(*held, 0, outcome)])


def runs_of(store: Store, parent: str) -> list[str]:
    """The ids of a sweep's runs."""
    with store.read() as connection:
        return [job.id for job in trainings.children(connection, parent)]


def paid(store: Store, job_id: str, *, nano: int = 0, unpriced: int = 0) -> None:
    """One call to the provider."""
    values = {"calls_made": 1, "calls_unpriced": unpriced, "cost_nano": nano}
    with store.write() as connection:
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == job_id).values(**values))


def test_a_run_under_way_tells_its_step_and_its_losses(run: Run, user_store: Store) -> None:
    """Before and last, in words and as facts; rows and tokens of calls say nothing here."""
    job_id = submitted(run)
    told(user_store, job_id)
    said = run("show", job_id).out
    assert "2 of 3" in said
    assert "3.000 -> 1.500" in said
    assert "4.000 -> 2.000" in said
    assert "your machine's time" in said
    assert "calls" not in said
    facts = run("show", job_id, "--json").facts["training"]
    assert (facts["step"], facts["steps"], facts["valid_loss"]) == (2, 3, {"first": 4, "last": 2})


def test_a_run_that_is_done_names_its_model(run: Run, user_store: Store) -> None:
    """And how to serve it; the losses are those of the adapter that was kept."""
    job_id = submitted(run)
    told(user_store, job_id)
    succeeded(user_store, job_id, "news-smollm2")
    said = run("show", job_id).out
    assert "4.000 -> 1.000" in said
    assert "maestrale models serve news-smollm2" in said


def test_a_run_that_failed_tells_the_reason(run: Run, user_store: Store) -> None:
    """And that it can be tried again."""
    job_id = submitted(run)
    failed(user_store, job_id)
    said = run("show", job_id).out
    assert "no such base" in said
    assert f"maestrale retry {job_id}" in said
    assert "no such base" in run("show", job_id, "--json").facts["training"]["reason"]


def test_a_sweep_counts_its_runs(run: Run, user_store: Store) -> None:
    """Done, failed, and where they are compared."""
    parent = submitted(run, "--sweep", "lr=1e-5,1e-4,1e-3")
    first, second, _third = runs_of(user_store, parent)
    succeeded(user_store, first, "news-smollm2-01")
    failed(user_store, second)
    said = run("show", parent).out
    assert "3: 1 done, 1 failed, 1 open" in said
    assert f"maestrale sweep show {parent}" in said
    assert parent in run("show", second).out


def test_a_sweep_costs_what_its_runs_cost(run: Run, user_store: Store) -> None:
    """Their sum; unknown as soon as one of them is."""
    parent = submitted(run, *HOSTED, *SWEEP)
    assert "$0" not in run("show", parent).out
    first, second = runs_of(user_store, parent)
    paid(user_store, first, nano=2_000_000_000)
    paid(user_store, second, nano=500_000_000)
    assert "$2.50" in run("show", parent).out
    assert run("show", parent, "--json").facts["cost"]["usd"] == 2.5
    paid(user_store, second, unpriced=1)
    assert "unknown" in run("show", parent).out
    assert run("show", parent, "--json").facts["cost"]["usd"] is None


def test_pausing_a_training_says_where_it_stops(run: Run) -> None:
    """At a checkpoint, and how it goes on; there are no calls in flight."""
    job_id = submitted(run)
    said = run("pause", job_id).out
    assert "checkpoint" in said
    assert f"maestrale resume {job_id}" in said
    assert "calls in flight" not in said


def test_pausing_a_hosted_training_says_that_it_goes_on_there(run: Run) -> None:
    """The provider knows of no pause."""
    said = run("pause", submitted(run, *HOSTED)).out
    assert "the provider" in said
    assert "checkpoint" not in said


def test_the_list_shows_what_a_sweep_s_runs_cost(run: Run, user_store: Store) -> None:
    """Its own is nothing; in words and as a fact, and unpriced calls are not passed over."""
    parent = submitted(run, *HOSTED, *SWEEP)
    first, second = runs_of(user_store, parent)
    paid(user_store, first, nano=2_000_000_000)
    paid(user_store, second, nano=500_000_000)

    def listed() -> dict[str, Any]:
        (found,) = (job for job in run("jobs", "--json").facts if job["id"] == parent)
        return dict(found["cost"])

    assert (listed()["usd"], listed()["is_whole"]) == (2.5, True)
    assert "$2.50" in run("jobs").out
    paid(user_store, second, unpriced=1)
    assert (listed()["usd"], listed()["is_whole"]) == (2.0, False)


def test_a_page_reads_each_thing_once(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run and of a job that trains nothing: failures by reason, and operations."""
    asked: list[str] = []
    for name in ("failures_by_code", "operations"):
        monkeypatch.setattr(Maestrale, name, noting(asked, name, getattr(Maestrale, name)))
    for job_id in (submitted(run), a_stored_job(user_store)):
        assert run("show", job_id).code == 0
        assert sorted(asked) == ["failures_by_code", "operations"]
        asked.clear()


def test_the_pace_is_looked_for_once_in_a_sweep(
    run: Run, user_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only in the points of a run that had the same base."""
    like = submitted(run)
    told(user_store, like)
    told(user_store, submitted(run, "--base", "another"))
    asked: list[str] = []
    for name in ("recent", "of_job"):
        monkeypatch.setattr(trainings, name, noting(asked, name, getattr(trainings, name)))
    ended = run("train", "news", "--base", "smollm2", "--dry-run", "--sweep", "lr=1e-5,1e-4,1e-3")
    assert (ended.code, asked) == (0, ["recent", "of_job"]), ended.err


def noting(asked: list[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which writes its name down."""

    def asking(*told: Any, **more: Any) -> Any:
        asked.append(name)
        return real(*told, **more)

    return asking


def test_the_run_that_a_training_is_of_is_no_sweep(run: Run, user_store: Store) -> None:
    """It stands as `run`; a run of a sweep says its sweep."""
    sweep = str(
        run("train", "news", "--base", "smollm2", "--no-watch", "--json", *SWEEP).facts["job"]["id"]
    )
    (first, _) = runs_of(user_store, sweep)
    assert re.search(rf"sweep +{sweep}", run("show", first).out)
    whole = a_job(kind=JobKind.PIPELINE)
    job_id = submitted(run)
    with user_store.write() as connection:
        jobs.create(connection, whole)
        below = update(jobs.jobs).where(jobs.jobs.c.id == job_id)
        connection.execute(below.values(parent_id=whole.id))
    shown = run("show", job_id).out
    assert re.search(rf"run +{whole.id}", shown)
    assert "sweep" not in shown
    facts = run("show", job_id, "--json").facts["training"]
    assert (facts["run"], facts["sweep"]) == (whole.id, None)
