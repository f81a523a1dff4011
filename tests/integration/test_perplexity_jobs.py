"""Perplexity as a job: the trainer's queue, its child, and what a death costs."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from builders import eventually
from fake_scorer import as_python

from models.errors import BadInputError
from models.settings import Settings
from models.states import JobState
from models.store import shards
from models.suites.outcomes import Loss
from models.tables import Job
from producers.client import Maestrale
from producers.evaluating import Evaluating, Wish
from producers.services import Services

START_S = 60.0
SUITE = 'name = "heldout"\nkind = "perplexity"\n'


@pytest.fixture
def opened(
    make_settings: Callable[..., Settings], redis_url: str
) -> Iterator[Callable[..., tuple[Maestrale, Services]]]:
    """A producer and its services; the interpreter that reads is given by a test."""
    made: list[tuple[Maestrale, Services]] = []

    def make(python: str) -> tuple[Maestrale, Services]:
        settings = make_settings(
            REDIS_URL=redis_url, MAESTRALE_LEASE=2.0, MAESTRALE_TRAIN_PYTHON=python
        )
        maestrale = Maestrale(settings)
        maestrale.migrate()
        made.append((maestrale, Services(settings)))
        return made[-1]

    yield make
    for maestrale, services in made:
        services.stop(patience_s=30)
        maestrale.close()


def rows(folder: Path, count: int) -> Path:
    """A held-out file of short conversations."""
    path = folder / "heldout.jsonl"
    with path.open("w") as out:
        for number in range(count):
            said = {"role": "assistant", "content": "x" * (number % 5 + 1)}
            messages = [{"role": "user", "content": f"{number}?"}, said]
            out.write(json.dumps({"id": f"r{number}", "messages": messages}) + "\n")
    return path


def submitted(maestrale: Maestrale, folder: Path, *models: str, count: int = 12) -> Job:
    """The job of a suite in a file of its own, as a user writes it."""
    (folder / "suite.toml").write_text(SUITE)
    evaluating = Evaluating(maestrale)
    wish = Wish(str(folder / "suite.toml"), models, data=str(rows(folder, count)))
    with evaluating.plan(wish) as plan:
        assert plan.estimate.calls == 0
        return evaluating.submit(plan)


def losses(maestrale: Maestrale, job: Job) -> list[Loss]:
    found = Evaluating(maestrale).found(job)
    return [one for row in found for one in row.outcomes if isinstance(one, Loss)]


def loaded(folder: Path) -> list[str]:
    path = folder / "loaded"
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def asked(maestrale: Maestrale, function: Callable[..., Any], *args: Any) -> Any:
    with maestrale.store.read() as connection:
        return function(connection, *args)


def ended(maestrale: Maestrale, job: Job) -> Job:
    """As it is once it is over."""
    states = (JobState.SUCCEEDED, JobState.FAILED)
    found: Job = eventually(
        lambda: (now := maestrale.get(job.id)).state in states and now, "the end", within_s=START_S
    )
    return found


Open = Callable[..., tuple[Maestrale, Services]]


def test_rows_are_read_where_trainings_run(opened: Open, tmp_path: Path) -> None:
    """An ordinary worker leaves the job alone; the trainer reads each model's rows by one child."""
    maestrale, services = opened(str(as_python(tmp_path)))
    services.start_workers(1)
    job = submitted(maestrale, tmp_path, "small", "large")
    eventually(lambda: asked(maestrale, shards.waiting_since, shards.SOON_S), "it was rung for")
    assert asked(maestrale, shards.wanting) == []  # nobody is to give way to it
    services.start_trainer()
    job = ended(maestrale, job)
    assert (job.state, job.rows_done, job.calls_made) == (JobState.SUCCEEDED, 12, 0)
    found = losses(maestrale, job)
    assert found[:2] == [Loss("small", 1, 1.0), Loss("large", 1, 1.0)]
    assert len(found) == 24
    assert sorted(loaded(maestrale.settings.home)) == ["large", "small"]


def test_a_trainer_that_is_killed_keeps_the_rows_that_were_read(
    opened: Open, tmp_path: Path
) -> None:
    """kill -9: its child ends with it, and another trainer reads the rest alone."""
    maestrale, services = opened(str(as_python(tmp_path)))
    trainer = services.start_trainer()
    job = submitted(maestrale, tmp_path, "slow", count=60)
    done: int = eventually(lambda: maestrale.get(job.id).rows_done, "rows", within_s=START_S)
    os.kill(trainer.pid, signal.SIGKILL)
    services.start_trainer()
    job = ended(maestrale, job)
    assert (job.state, job.rows_done) == (JobState.SUCCEEDED, 60)
    assert len(losses(maestrale, job)) == 60
    assert 0 < done < 60
    assert loaded(maestrale.settings.home) == ["slow", "slow"]


def test_without_torch_the_failure_says_what_to_install(opened: Open, tmp_path: Path) -> None:
    """The rows fail by name, and `retry` reads them once it is there."""
    maestrale, services = opened(sys.executable)
    if find_spec("torch"):
        pytest.skip("this interpreter has the extra `train`")
    services.start_trainer()
    job = ended(maestrale, submitted(maestrale, tmp_path, "smollm2"))
    assert job.state == JobState.FAILED
    (failure, *_) = maestrale.failures(job.id)
    assert "pip install 'maestrale[train]'" in str(failure)


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"models": ("./nowhere",)}, "there is no model at ./nowhere"),
        ({"models": ("small",), "via": "batch"}, "which has no batches"),
    ],
)
def test_what_cannot_be_read_is_said_before_anything(
    opened: Open, tmp_path: Path, wish: dict[str, Any], complaint: str
) -> None:
    """A mistyped folder costs no queue and no model."""
    maestrale, _ = opened("")
    (tmp_path / "suite.toml").write_text(SUITE)
    told = Wish(str(tmp_path / "suite.toml"), data=str(rows(tmp_path, 2)), **wish)
    with pytest.raises(BadInputError, match=complaint):
        Evaluating(maestrale).plan(told)


def test_a_base_in_a_folder_is_named_by_its_whole_path(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker runs in another folder than the user."""
    maestrale, _ = opened("")
    (tmp_path / "base").mkdir()
    (tmp_path / "suite.toml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    wish = Wish("suite.toml", ("base",), data=str(rows(tmp_path, 2)))
    with Evaluating(maestrale).plan(wish) as plan:
        assert [one.model for one in plan.evaluation.contestants] == [str(tmp_path / "base")]
