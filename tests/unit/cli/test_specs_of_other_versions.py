"""Jobs whose stored spec this version cannot read: told plainly by every command, never a bug."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended, plain
from sqlalchemy import update

from models.store import jobs, trainings
from models.store.engine import Store
from producers.cli.rendering import training_words
from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2", "--no-watch", "--json")
OF_LATER = '{"training": {"trainer": "telepathy"}}'


@pytest.fixture
def later(run: Run, home: Path, user_store: Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a training that a later version submitted; it told of three steps."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    a_dataset_folder(home / "datasets")
    job_id = str(run(*TRAIN).facts["job"]["id"])
    with user_store.write() as connection:
        for step in (1, 2, 3):
            trainings.tell(connection, job_id, step, {"loss": 3.0 / step})
        table = jobs.jobs
        connection.execute(update(table).where(table.c.id == job_id).values(spec=OF_LATER))
    return job_id


@pytest.mark.parametrize("command", ["show", "pause", "cancel"])
def test_what_needs_no_spec_goes_on(run: Run, later: str, command: str) -> None:
    """The job as any other."""
    ended = run(command, later)
    assert (ended.code, later in ended.out) == (0, True), ended.err


def test_the_watch_ends_as_any_other(run: Run, later: str) -> None:
    """With the code of its end."""
    assert run("pause", later).code == 0
    ended = run("watch", later)
    assert (ended.code, "bug" in ended.err) == (3, False), ended.err


@pytest.mark.parametrize("command", [("sweep", "show"), ("export",)])
def test_what_needs_the_spec_says_whose_it_is(
    run: Run, later: str, command: tuple[str, ...]
) -> None:
    """Exit code 2, and the way out."""
    ended = run(*command, later)
    assert (ended.code, "another version of Maestrale" in ended.err) == (2, True), ended.err


def test_a_plan_passes_over_its_pace(run: Run, later: str) -> None:
    """Nobody knows what it was trained from."""
    ended = run(*TRAIN[:4], "--dry-run")
    assert ended.code == 0, ended.err
    assert "nothing was trained from this base here yet" in ended.out


def test_steps_are_told_without_their_number(run: Run, later: str, user_store: Store) -> None:
    """It is not known here how many there will be."""
    with user_store.read() as connection:
        job, points = jobs.get(connection, later), trainings.of_job(connection, later)
    assert job is not None
    shown = training_words.Shown(job, points)
    assert training_words.progress_line(shown).startswith(f"{later} {job.name}: step 3, queued")
    assert "step 3 " in plain(training_words.progress(shown))
