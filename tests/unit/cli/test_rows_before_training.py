"""What `train` finds in the rows before anything starts, and what `dataset` says of rows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_builders import Ended

from producers.datasets import before_training
from proving.training_builders import a_dataset_folder, a_row

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2", "--no-watch", "--json")
HOSTED = (*TRAIN, "--trainer", "mistral")
ROBOT = {"id": "x", "messages": [{"role": "robot", "content": "x"}]}
LABELS = {"id": "x", "text": "what is new?", "labels": {"topic": "news"}}


@pytest.fixture(autouse=True)
def dataset(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news, below the home; nothing here trains, nor counts as training does."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    return a_dataset_folder(home / "datasets")


def write(path: Path, *rows: Any) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("command", [TRAIN, HOSTED, (*TRAIN, "--sweep", "lr=1e-4,1e-5")])
@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_dataset_with_a_broken_row_starts_nothing(
    run: Run, dataset: Path, part: str, command: tuple[str, ...]
) -> None:
    """The first is named with how many there are, and the command that lists them."""
    write(dataset / f"{part}.jsonl", a_row("a"), ROBOT, {**ROBOT, "id": "y"})
    ended = run(*command)
    assert ended.code == 2
    assert f"{part}.jsonl, line 2: `messages[0].role` is 'robot'" in ended.err
    rows = 5 if part == "train" else 11
    assert f"2 of {rows} rows break the trainer's rules" in ended.err
    assert "`maestrale dataset validate news` lists them" in ended.err
    assert run("jobs", "--json").facts == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (ROBOT, "is 'robot'"),
        ({"messages": 5}, "`messages` is not a list"),
        (LABELS, "the dataset has conversations, and this row is one of texts with labels"),
        ([1], "the line is a list, not an object"),
        ({}, "`messages` is not a list"),
    ],
)
def test_validation_rows_are_held_to_the_same_rules(
    run: Run, tmp_path: Path, bad: Any, told: str
) -> None:
    """By file and line, for either trainer; nothing is kept of them."""
    path = write(tmp_path / "mine.jsonl", a_row("a"), bad)
    for command in (TRAIN, HOSTED):
        ended = run(*command, "--validation", str(path))
        assert ended.code == 2
        assert "--validation" in ended.err
        assert f"{path.name}" in ended.err
        assert "line 2: " in ended.err
        assert told in ended.err
        assert "1 of 2 rows" in ended.err
    assert run("jobs", "--json").facts == []


def test_ids_of_validation_rows_may_be_anything(run: Run, tmp_path: Path) -> None:
    """A trainer reads none; the rows are taken as they are, all of them."""
    messages = a_row("a")["messages"]
    ids = ("a", "a", "", None, 1.5, ["b"], {"c": 1}, True, "x" * 300)
    path = write(tmp_path / "mine.jsonl", *({"id": one, "messages": messages} for one in ids))
    ended = run(*HOSTED, "--validation", str(path))
    assert ended.code == 0, ended.err
    (part,) = tmp_path.glob("home/training/*/validation.jsonl")
    assert part.read_text().count("\n") == len(ids)


def test_validate_is_advised_where_it_would_find_it(run: Run, tmp_path: Path) -> None:
    """A file with labels alone is a good one: it is not for this dataset."""
    path = write(tmp_path / "mine.jsonl", LABELS)
    assert run("dataset", "validate", str(path)).code == 0
    assert "dataset validate" not in run(*TRAIN, "--validation", str(path)).err
    write(path, ROBOT)
    assert f"`maestrale dataset validate {path}`" in run(*TRAIN, "--validation", str(path)).err


def test_rows_that_were_checked_are_not_read_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since `dataset make` and `split`, which note it; a row changed by hand is seen."""
    path = write(tmp_path / "rows.jsonl", *[a_row(f"r{n * 7919}") for n in range(30)])
    run("dataset", "make", "mine", str(path), "--dedupe", "none")
    assert run("dataset", "split", "mine").code == 0
    looked: list[Any] = []
    found = before_training.problems_of
    monkeypatch.setattr(
        before_training, "problems_of", lambda row: looked.append(row) or found(row)
    )
    mine = ("train", "mine", *TRAIN[2:])
    assert run(*mine, "--dry-run").code == 0
    assert looked == []
    train = tmp_path / "home" / "datasets" / "mine" / "train.jsonl"
    train.write_text(train.read_text().replace("assistant", "robot", 1))
    ended = run(*mine, "--dry-run")
    assert (ended.code, "mine/train.jsonl, line 1: " in ended.err) == (2, True)


def test_make_ends_with_2_where_rows_are_broken(run: Run, tmp_path: Path) -> None:
    """Above the share; below it, they are told as left out, and what is left is valid."""
    path = write(tmp_path / "rows.jsonl", ROBOT, *[a_row(f"r{n * 7919}") for n in range(9)])
    make = ("dataset", "make", "mine", str(path), "--dedupe", "none")
    ended = run(*make)
    assert (ended.code, "1 of 10 rows are broken" in ended.err) == (2, True)
    ended = run(*make, "--max-rejected", "0.1")
    assert ended.code == 0
    assert "1 role (in mine/rejects.jsonl)" in ended.out
    assert run("dataset", "validate", "mine").code == 0


def test_split_says_how_many_rows_lack_the_field(run: Run, tmp_path: Path) -> None:
    """In words and in facts."""
    rows = [{**a_row(f"r{n}"), "molecule": f"m{n % 4}"} for n in range(20)]
    path = write(tmp_path / "rows.jsonl", *rows, *[a_row(f"bare{n}") for n in range(6)])
    assert run("dataset", "make", "mine", str(path), "--dedupe", "none").code == 0
    ended = run("dataset", "split", "mine", "--group-by", "molecule")
    assert ended.code == 0
    assert "6 rows without it" in " ".join(ended.out.split())
    facts = run("dataset", "split", "mine", "--group-by", "molecule", "--json").facts
    assert (facts["split"]["groups"], facts["split"]["ungrouped"]) == (10, 6)
