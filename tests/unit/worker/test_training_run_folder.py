"""A run's folder survives kills: what is half there is never taken for whole."""

from pathlib import Path

import pytest

from models.errors import BadInputError
from models.training import DatasetRef, TrainingSpec
from worker.training.run_folder import (
    RunFolder,
    drop_half_written,
    prune,
    seal,
    step_of,
    whole_checkpoints,
)


def a_spec(**changes: object) -> TrainingSpec:
    dataset = DatasetRef(name="news", hash="abc", folder="/data/news", train_rows=137)
    given = {"trainer": "local", "base": "smollm2", "name": "news", "dataset": dataset, "steps": 60}
    return TrainingSpec.model_validate(given | changes)


def a_checkpoint(folder: Path, step: int, *, whole: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "trainer_state.json").write_text("{}")
    if whole:
        seal(path)
    return path


def steps(folder: Path) -> list[int]:
    return [step_of(path) for path in whole_checkpoints(folder)]


def test_a_folder_is_one_run(tmp_path: Path):
    """The same spec goes on with it; another one is refused and changes nothing."""
    run = RunFolder(tmp_path / "run")
    run.hold(a_spec())
    run.hold(a_spec())
    with pytest.raises(BadInputError, match="new folder"):
        run.hold(a_spec(seed=1))
    assert run.spec() == a_spec()


def test_checkpoints_are_found_in_the_order_of_their_steps(tmp_path: Path):
    """100 comes after 20, which names alone would not say."""
    for step in (100, 20, 60):
        a_checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()
    assert steps(tmp_path) == [20, 60, 100]


def test_a_checkpoint_cut_short_is_thrown_away(tmp_path: Path):
    """A run killed while it saved goes on from the one before."""
    a_checkpoint(tmp_path, 20)
    half = a_checkpoint(tmp_path, 40, whole=False)
    assert steps(tmp_path) == [20]
    drop_half_written(tmp_path)
    assert not half.exists()
    assert steps(tmp_path) == [20]


def test_the_newest_two_and_the_best_are_kept(tmp_path: Path):
    """What is older and worse goes."""
    for step in (10, 20, 30, 40):
        a_checkpoint(tmp_path, step)
    prune(tmp_path, best_step=10)
    assert steps(tmp_path) == [10, 30, 40]


def test_what_a_resumed_run_must_know_is_kept(tmp_path: Path):
    """Each thing is remembered beside the others; a half-written file is none."""
    run = RunFolder(tmp_path)
    run.remember(before=2.9)
    run.remember(seconds=12.0)
    assert run.progress() == {"before": 2.9, "seconds": 12.0}
    run.progress_file.write_text('{"bef')
    assert run.progress() == {}
