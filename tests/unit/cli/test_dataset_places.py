"""Datasets by their places, and what trainings ask of them, as commands end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended

from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
HOSTED = ("train", "news", "--base", "open-mistral-7b", "--trainer", "mistral", "--dry-run")


@pytest.fixture
def dataset(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news, below the home; nothing here counts as training does."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    return a_dataset_folder(home / "datasets")


def changed(dataset: Path, **changes: object) -> None:
    """Its manifest with other values."""
    path = dataset / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_current_folder_may_be_the_dataset(
    run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`.` is a path as others are."""
    monkeypatch.chdir(dataset)
    assert "news" in run("dataset", "show", ".").out
    assert run("train", ".", "--base", "smollm2", "--dry-run").code == 0


def test_a_half_done_swap_is_repaired_by_any_path(run: Run, dataset: Path) -> None:
    """The sibling is looked for where the path leads."""
    dataset.rename(dataset.with_name(".news.before"))
    (dataset.parent / "other").mkdir()
    assert run("dataset", "show", str(dataset.parent / "other" / ".." / "news")).code == 0


@pytest.mark.parametrize("place", ["/", ".", ".."])
def test_a_folder_that_is_no_dataset_is_refused(run: Run, place: str) -> None:
    """Even the root, which has no name and nothing beside it."""
    ended = run("dataset", "show", place)
    assert (ended.code, "there is no dataset" in ended.err) == (2, True)
    ended = run("dataset", "make", "news", "nothing.jsonl", "--out", place)
    assert ended.code == 2


def test_tokens_once_counted_are_the_dataset_s(run: Run, dataset: Path) -> None:
    """What `train` advises helps: the same command reckons its steps afterwards."""
    changed(dataset, tokens=None)
    ended = run(*HOSTED)
    assert (ended.code, "`maestrale dataset tokens" in ended.err) == (2, True)
    counted = run("dataset", "tokens", "news", "--json").facts
    assert run("dataset", "show", "news", "--json").facts["tokens"]["parts"] == counted["parts"]
    (planned,) = run(*HOSTED, "--json").facts["runs"]
    assert planned["dataset"]["train_tokens"] == counted["parts"]["train"]["all"]["total"] > 0


def test_a_dataset_that_changed_meanwhile_keeps_its_own_manifest(run: Run, dataset: Path) -> None:
    """Tokens of other rows are told, and not kept."""
    changed(dataset, tokens=None, hash="0" * 64)
    assert run("dataset", "tokens", "news").code == 0
    assert run("dataset", "show", "news", "--json").facts["tokens"] is None


def test_labels_are_not_for_the_local_trainer(run: Run, dataset: Path) -> None:
    """Exit code 2 before anything is submitted, with what to do; the provider's takes them."""
    changed(dataset, kind="labels")
    for part in ("train", "validation"):
        row = {"id": part, "text": "what is new?", "labels": {"topic": "news"}}
        (dataset / f"{part}.jsonl").write_text(json.dumps(row) + "\n")
    for more in ((), ("--sweep", "lr=1e-4,1e-5")):
        ended = run("train", "news", "--base", "smollm2", "--dry-run", *more)
        assert ended.code == 2
        assert "has rows with labels" in ended.err
        assert "--prompt" in ended.err
        assert "--trainer mistral" in ended.err
    assert run(*HOSTED).code == 0


def test_one_row_with_labels_is_one_row(run: Run, dataset: Path) -> None:
    """And two are rows."""
    for count, said in ((1, "1 row with labels"), (2, "2 rows with labels")):
        changed(dataset, kind="labels", parts={"train": {"rows": count}})
        assert said in run("dataset", "show", "news").out
