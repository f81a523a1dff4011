"""Hosted trainings by the clock's own hand, against the simulator: from intent to model id."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from builders import a_stored_job, the_job
from hosted_clock import HostedClock
from pydantic import SecretStr
from sqlalchemy import func, select, update

import simulator
from models.payloads import Estimate, JobSpec
from models.prices import load_prices
from models.states import JobKind, JobState, RemoteState
from models.store import jobs, money, remote, trainings
from models.store.engine import Store
from models.training.contents import content_hash
from proving.training_builders import a_dataset, a_row, a_spec
from worker.gateway.remote import RemoteApi
from worker.remote.statuses import Standing, standing_of
from worker.remote.training_files import prepare
from worker.remote.trainings import HostedTrainings, checkpoints, request_body

BASE = "ministral-3b-latest"
UNKNOWN = Estimate(
    rows=1, calls=1, prompt_tokens=1, completion_tokens=0, cost_usd=None, seconds=None
)


class Clock(HostedClock):
    """Of trainings."""

    def __init__(self, store: Store, api: RemoteApi, folder: Path) -> None:
        self.folder = folder
        how = {"write": self.write, "prices": load_prices(), "folder": folder / "remote"}
        super().__init__(store, "training", HostedTrainings(api=api, **how))

    def train(self, **changes: Any) -> str:
        """A job whose row asked for a hosted run and waits."""
        spec = a_spec(a_dataset(self.folder), trainer="mistral", base=BASE, **changes)
        stored = JobSpec(training=spec).model_dump_json()
        job_id = a_stored_job(
            self.store,
            rows_count=1,
            shard_size=1,
            kind=JobKind.TRAIN,
            spec=stored,
            state="waiting",
            estimate=UNKNOWN.model_dump_json(),
        )
        with self.store.write() as connection:
            remote.create(connection, job_id=job_id, shard_no=0, kind="training", model=BASE)
        return job_id


@pytest.fixture
def spawned() -> Iterator[simulator.Spawned]:
    with simulator.spawn() as running:
        running.steer("batch", tuning_s=0.3)
        yield running


@pytest.fixture
async def clock(store: Store, spawned: simulator.Spawned, tmp_path: Path) -> AsyncIterator[Clock]:
    async with RemoteApi(spawned.url, SecretStr("a-key")) as api:
        yield Clock(store, api, tmp_path)


FINAL = (RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED)


async def test_from_intent_to_model(clock: Clock, spawned: simulator.Spawned) -> None:
    """Uploaded, made, started when valid, followed; checkpoints are points, files are removed."""
    job_id = clock.train(steps=40)
    operation = await clock.until(*FINAL)
    assert operation.state == RemoteState.SUCCEEDED, operation.reason
    assert json.loads(operation.files)["model"]
    with clock.store.read() as connection:
        told = trainings.of_job(connection, job_id)
    assert told[-1].step == 40
    assert told[-1].valid_loss is not None
    stats = spawned.stats()
    assert stats["tuning_jobs_created"] == 1
    assert stats["files_uploaded"] == stats["files_deleted"]
    assert not list((clock.folder / "remote").iterdir())


async def test_a_training_costs_what_the_provider_said_once(clock: Clock) -> None:
    """Of the job, its model and this day; nothing is held back after its end."""
    job_id = clock.train(steps=40)
    operation = await clock.until(*FINAL)
    job = the_job(clock.store, job_id)
    assert operation.cost_nano
    assert (job.calls_made, job.cost_nano) == (1, operation.cost_nano)
    with clock.store.read() as connection:
        (cost,) = money.costs(connection, by="model", job_id=job_id)
        held = connection.scalar(select(func.sum(money.holds.c.nano)))
    assert (cost.key, cost.cost_nano) == (BASE, operation.cost_nano)
    assert not held


async def test_a_budget_is_held_against_what_the_provider_says(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """Nothing is made that it does not pay for; with a larger one it goes on."""
    job_id = clock.train(steps=40)
    with clock.store.write() as connection:
        connection.execute(update(jobs.jobs).values(budget_nano=1))
    await clock.turn()
    paused = the_job(clock.store, job_id)
    assert (paused.state, paused.state_reason[:7]) == (JobState.PAUSED, "budget:")
    assert spawned.stats()["tuning_jobs_created"] == 0
    with clock.store.write() as connection:
        assert jobs.resume(connection, job_id, budget_nano=10**13)
    assert (await clock.until(*FINAL)).state == RemoteState.SUCCEEDED
    assert spawned.stats()["tuning_jobs_created"] == 1


async def test_a_training_that_was_cut_short_may_have_cost_something(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """Once its start was asked for it is in doubt, and counts against the budget."""
    spawned.steer("batch", tuning_s=60)
    job_id = clock.train(steps=40)
    while "begun" not in (await clock.turn()).files:
        await asyncio.sleep(0.02)
    with clock.store.write() as connection:
        jobs.cancel(connection, job_id)
    operation = await clock.until(*FINAL)
    assert operation.state == RemoteState.CANCELLED
    job = the_job(clock.store, job_id)
    assert (job.calls_made, job.calls_doubtful) == (0, 1)
    with clock.store.read() as connection:
        assert money.spent_nano(connection, job_id) == operation.cost_nano


async def test_a_creation_whose_answer_was_lost_is_found_again(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """One remote job, whatever became of the answer."""
    spawned.steer("batch", drop_creates=1)
    clock.train()
    assert (await clock.turn()).state == RemoteState.SENDING
    operation = await clock.until(*FINAL)
    assert operation.state == RemoteState.SUCCEEDED, operation.reason
    assert spawned.stats()["tuning_jobs_created"] == 1


async def test_a_creation_that_no_list_shows_yet_is_waited_for(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """A list may lag: better late than twice."""
    spawned.steer("batch", drop_creates=1, listing_lag_s=3600.0)
    clock.train()
    for _ in range(3):
        operation = await clock.turn()
    assert operation.state == RemoteState.SENDING
    assert "list" in operation.reason
    assert spawned.stats()["tuning_jobs_created"] == 1


async def test_an_account_that_cannot_train_is_told_what_can(
    clock: Clock, spawned: simulator.Spawned
) -> None:
    """The 422 with an empty list of models: final, and it names the trainer here."""
    spawned.steer("batch", tuning_closed=True)
    clock.train()
    operation = await clock.turn()
    assert operation.state == RemoteState.FAILED
    assert "--trainer local" in operation.reason
    assert "Available model(s)" in operation.reason


async def test_a_cancelled_job_is_cancelled_over_there(clock: Clock) -> None:
    """And ends here as cancelled."""
    job_id = clock.train()
    await clock.until(RemoteState.RUNNING)
    with clock.store.write() as connection:
        jobs.cancel(connection, job_id)
    operation = await clock.until(*FINAL)
    assert operation.state == RemoteState.CANCELLED


async def test_a_paused_job_is_not_started(clock: Clock) -> None:
    """It stands valid over there, and costs nothing, until it is resumed."""
    job_id = clock.train()
    await clock.until(RemoteState.RUNNING)
    with clock.store.write() as connection:
        jobs.pause(connection, job_id, "paused by the user")
    for _ in range(3):
        operation = await clock.turn()
    assert standing_of(operation.remote_status) in (Standing.READY, Standing.QUEUED)


async def test_a_failed_training_says_why(clock: Clock, spawned: simulator.Spawned) -> None:
    """In the provider's words."""
    spawned.steer("batch", fail_tunings=1)
    clock.train()
    operation = await clock.until(*FINAL)
    assert operation.state == RemoteState.FAILED
    assert operation.reason


@pytest.mark.parametrize("change", ["gone", "other"])
async def test_a_dataset_that_changed_is_not_uploaded(
    clock: Clock, spawned: simulator.Spawned, change: str
) -> None:
    """The hash is checked by whoever sends it."""
    clock.train()
    path = clock.folder / "news" / "train.jsonl"
    path.unlink() if change == "gone" else path.write_text("{}\n")
    operation = await clock.turn()
    assert operation.state == RemoteState.FAILED
    assert spawned.stats()["files_uploaded"] == 0


def test_only_what_the_provider_knows_is_uploaded(tmp_path: Path) -> None:
    """No ids, no origin; and of the validation rows as many as it takes: 5% of the training's."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [orjson.dumps(a_row(f"r{number:03d}")) for number in range(100)]
    for part in ("train", "validation"):
        (folder / f"{part}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    made = prepare(folder, tmp_path / "up")
    rows = [json.loads(line) for line in made.train.read_text().splitlines()]
    assert [set(row) for row in rows] == [{"messages"}] * 100
    assert made.validation is not None
    assert len(made.validation.read_text().splitlines()) == 5
    assert [role for role, _ in made.by_role()] == ["input", "validation"]
    made.remove()
    assert not made.folder.exists()
    assert content_hash(folder)


def test_the_key_of_weights_and_biases_is_in_the_request_alone(tmp_path: Path) -> None:
    """It comes from the worker's environment, and the spec has only the project."""
    spec = a_spec(a_dataset(tmp_path), trainer="mistral", wandb_project="news")
    body = request_body(spec, {"input": "f1"}, "suffix", "k" * 40)
    assert body["integrations"][0] == {
        "type": "wandb",
        "project": "news",
        "run_name": "news-smollm2",
        "api_key": "k" * 40,
    }
    assert body["auto_start"] is False
    assert "validation_files" not in body


def test_checkpoints_of_unknown_shape_are_passed_over() -> None:
    """A provider may say anything."""
    said: list[dict[str, Any]] = [
        {"step_number": 4, "metrics": {"train_loss": 2, "valid_loss": None}},
        {"step_number": "5", "metrics": {}},
        {"step_number": 6},
        {"step_number": 2**31, "metrics": {"train_loss": 1.0}},
        {"step_number": 7, "metrics": {"train_loss": True}},
    ]
    nothing = {"valid_loss": None, "valid_accuracy": None}
    assert list(checkpoints(said)) == [
        (4, {"loss": 2.0, **nothing}),
        (7, {"loss": None, **nothing}),
    ]
