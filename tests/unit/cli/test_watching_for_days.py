"""Watching a job holds on to its newest look alone, however long it takes."""

import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_builders import Ended

from models.states import JobState
from models.store.engine import Store
from models.tables import Job
from producers.client import Maestrale
from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
LOOKS = 50
TRAIN = ("train", "news", "--base", "smollm2", "--json")


class Watched:
    """Stands for `Maestrale.watch`: many looks at a running job; counts those still held."""

    def __init__(self) -> None:
        self.most_held = 0
        self._looks: list[weakref.ref[Job]] = []

    def watch(self, client: Maestrale, job_id: str) -> Iterator[Job]:
        """The last look finds it cancelled."""
        for number in range(LOOKS):
            job = client.get(job_id)
            job.state = JobState.CANCELLED if number == LOOKS - 1 else JobState.RUNNING
            self._looks.append(weakref.ref(job))
            self.most_held = max(self.most_held, sum(look() is not None for look in self._looks))
            yield job


@pytest.fixture
def watched(home: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """In place of every client's `watch`."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    a_dataset_folder(home / "datasets")
    seen = Watched()

    def watch(client: Maestrale, job_id: str, *, every_s: float = 0.0) -> Iterator[Job]:
        return seen.watch(client, job_id)

    monkeypatch.setattr(Maestrale, "watch", watch)
    return seen


def test_waiting_keeps_one_look(run: Run, watched: Watched) -> None:
    """And answers the last."""
    job_id = json.loads(run(*TRAIN, "--no-watch").out)["job"]["id"]
    with Maestrale() as maestrale:
        assert maestrale.wait(job_id).state == JobState.CANCELLED
    assert watched.most_held <= 4


def test_watching_a_training_keeps_one_look(run: Run, watched: Watched) -> None:
    """And ends as the job did."""
    ended = run(*TRAIN)
    assert ended.facts["job"]["state"] == JobState.CANCELLED
    assert watched.most_held <= 4


def test_watching_rows_keeps_one_look(
    run: Run, watched: Watched, user_store: Store, tmp_path: Path
) -> None:
    """The same for what is generated."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        json.dumps({"id": "a", "text": "Bonjour", "title": "t", "abstract": "a"}) + "\n"
    )
    ended = run("generate", str(rows), "--recipe", "translate", "--json", "--out", "o.jsonl")
    assert ended.facts["job"]["state"] == JobState.CANCELLED, ended.err
    assert watched.most_held <= 4
