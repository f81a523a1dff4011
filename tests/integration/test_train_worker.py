"""Real processes: the worker of the queue `train`, its child, and the commands around them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import eventually, the_job
from running import inherited

import simulator
from models.doorbell import make_celery
from models.settings import Settings
from models.states import JobState, ShardState
from models.store import registry, shards, trainings
from models.training.plan import Planned, plan
from producers import training_jobs
from producers.client import Maestrale
from producers.services import Services, environment
from producers.training_jobs import Submission
from proving.fake_trainer import as_python
from proving.training_builders import a_dataset, a_dataset_folder, a_spec

START_S = 60.0


@pytest.fixture
def maestrale(
    make_settings: Callable[..., Settings],
    redis_url: str,
    tmp_path: Path,
) -> Iterator[Maestrale]:
    """A producer whose workers train by the fake."""
    fake = str(as_python(tmp_path))
    settings = make_settings(REDIS_URL=redis_url, MAESTRALE_LEASE=2.0, MAESTRALE_TRAIN_PYTHON=fake)
    with Maestrale(settings) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def services(maestrale: Maestrale) -> Iterator[Services]:
    """Its processes."""
    started = Services(maestrale.settings)
    yield started
    started.stop(patience_s=30)


def submitted(maestrale: Maestrale, folder: Path, **changes: object) -> str:
    """A training job that was rung for."""
    spec = a_spec(a_dataset(folder), **changes)
    run = Planned(spec, plan(spec))
    job, _ = training_jobs.submit(maestrale.store, [run], Submission(), sweep="")
    maestrale.ring_for(job.id)
    return job.id


def ended(maestrale: Maestrale, job_id: str) -> str:
    """Its final state."""
    states = (JobState.SUCCEEDED, JobState.FAILED)
    job = eventually(
        lambda: (job := the_job(maestrale.store, job_id)).state in states and job,
        "the training ends",
        within_s=START_S,
    )
    return str(job.state)


def has_told(maestrale: Maestrale, job_id: str) -> bool:
    """Whether the run has written its checkpoint."""
    with maestrale.store.read() as connection:
        return any(point.checkpoint for point in trainings.of_job(connection, job_id))


def is_handed_back(maestrale: Maestrale, job_id: str) -> bool:
    """Whether nobody holds its shard."""
    table = shards.shards
    with maestrale.store.read() as connection:
        query = table.select().where(table.c.job_id == job_id)
        return connection.execute(query).one().state == ShardState.OPEN


def train(settings: Settings, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`maestrale train` as a user runs it, to its end."""
    dataset = str(a_dataset_folder(folder))
    return subprocess.run(
        [sys.executable, "-m", "producers.train", dataset, "--json", *options],
        env={**inherited(), **environment(settings)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_trainings_have_a_queue_of_their_own(
    maestrale: Maestrale, services: Services, tmp_path: Path
) -> None:
    """Ordinary workers leave it alone; the trainer takes from nothing else, and trains."""
    services.start_workers(1)
    services.start_trainer()
    app = make_celery(maestrale.settings)

    def queues() -> dict[str, set[str]]:
        found = app.control.inspect(timeout=1).active_queues() or {}
        return {name.partition("@")[0]: {q["name"] for q in of} for name, of in found.items()}

    seen = eventually(lambda: len(told := queues()) == 2 and told, "both answer", within_s=START_S)
    app.close()
    assert seen == {"worker1": {"shards", "clock"}, "trainer": {"train"}}
    job_id = submitted(maestrale, tmp_path)
    assert ended(maestrale, job_id) == JobState.SUCCEEDED
    with maestrale.store.read() as connection:
        assert registry.of_job(connection, job_id) is not None
    owners = {worker.slots for worker in maestrale.workers()}
    assert owners == {maestrale.settings.shards_in_flight, 1}


def test_a_trainer_that_is_killed_costs_what_came_after_the_checkpoint(
    maestrale: Maestrale, services: Services, tmp_path: Path
) -> None:
    """kill -9 of the worker: its child ends with it, and another goes on with the run."""
    trainer = services.start_trainer()
    job_id = submitted(maestrale, tmp_path, name="slow")
    eventually(lambda: has_told(maestrale, job_id), "a checkpoint", within_s=START_S)
    os.kill(trainer.pid, signal.SIGKILL)
    services.start_trainer()
    assert ended(maestrale, job_id) == JobState.SUCCEEDED
    with maestrale.store.read() as connection:
        steps = [point.step for point in trainings.of_job(connection, job_id)]
    assert steps == [0, 1, 2, 3, 4, 5]


def test_pause_and_resume_reach_the_child(
    maestrale: Maestrale, services: Services, tmp_path: Path
) -> None:
    """The child stops by itself, with its checkpoint; resumed, it goes on."""
    services.start_trainer()
    job_id = submitted(maestrale, tmp_path, name="slow")
    eventually(lambda: has_told(maestrale, job_id), "a checkpoint", within_s=START_S)
    maestrale.pause(job_id)
    eventually(lambda: is_handed_back(maestrale, job_id), "the child has ended", within_s=START_S)
    maestrale.resume(job_id)
    assert ended(maestrale, job_id) == JobState.SUCCEEDED


def test_a_sweep_by_command_is_ranked_at_its_end(
    maestrale: Maestrale, services: Services, tmp_path: Path
) -> None:
    """`maestrale train --sweep`: every run trained here, the best rate first, all registered."""
    services.start_workers(1)
    services.start_trainer()
    options = ["--name", "news", "--sweep", "lr=1e-5,1e-4,1e-3", "--steps", "3"]
    ended = train(maestrale.settings, tmp_path, "--base", "smollm2", *options)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["job"]["state"] == JobState.SUCCEEDED
    assert [run["name"] for run in told["ranking"]] == ["news-02", "news-01", "news-03"]
    assert [run["model"] for run in told["ranking"]] == ["news-02", "news-01", "news-03"]
    assert "1.000 (perplexity 2.72)" in ended.stderr


HOSTED = ("--trainer", "mistral", "--base", "ministral-3b-latest", "--name", "hosted", "--steps=20")


def test_a_hosted_training_by_command(
    make_settings: Callable[..., Settings], redis_url: str, tmp_path: Path
) -> None:
    """No trainer here: the row waits, the clock follows it over there, the model is registered."""
    with simulator.spawn() as api:
        api.steer("batch", tuning_s=0.5)
        settings = make_settings(
            REDIS_URL=redis_url, MISTRAL_BASE_URL=api.url, MISTRAL_API_KEY="a-key"
        )
        services = Services(settings)
        with Maestrale(settings) as maestrale:
            maestrale.migrate()
            services.start_workers(1)
            try:
                ended = train(settings, tmp_path, *HOSTED)
                api.steer("batch", tuning_closed=True)
                refused = train(settings, tmp_path, *HOSTED, "--lr=2e-4", "--name=other")
            finally:
                services.stop(patience_s=30)
            assert ended.returncode == 0, ended.stderr
            told = json.loads(ended.stdout)
            assert told["job"]["state"] == JobState.SUCCEEDED
            assert told["model"]["trainer"] == "mistral"
            assert told["model"]["metrics"]["valid_loss_after"] is not None
            assert [event.type for event in maestrale.events.of(told["job"]["id"])] == [
                "job.queued",
                "job.running",
                "job.waiting",
                "job.running",
                "model.registered",
                "job.succeeded",
            ]
        assert refused.returncode == 3
        assert "--trainer local" in refused.stderr
