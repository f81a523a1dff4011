"""Counting as training counts: the same rows, cut and left out, and an answer whatever happens."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from test_training_rows import ANSWERED, ASKED, Letters, write

from models.training.counts import Answer
from worker.training import counting, problems
from worker.training.counting import answer, count_rows
from worker.training.problems import TrainingProblem
from worker.training.rows import examples, whole_examples

LONG = {"role": "assistant", "content": "yo!" * 9}


def options(folder: Path, base: str | Path, **changes: Any) -> Namespace:
    given = {"folder": folder, "base": str(base), "home": folder / "home", "seq_len": 22}
    return Namespace(**{**given, "part": ["train"], **changes})


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base with a token per letter."""
    monkeypatch.setattr(counting, "_tokenizer", lambda _base: Letters())
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").touch()
    return tmp_path / "base"


@pytest.mark.parametrize("seq_len", [20, 22, 24, 40, 999])
def test_what_is_counted_is_what_is_trained_on(tmp_path: Path, seq_len: int):
    """Rows and tokens are those of the very examples that a run gets."""
    talks = [ASKED, ANSWERED], [ASKED, LONG], [ASKED, ANSWERED, ASKED, LONG]
    file = write(tmp_path, *({"messages": talk} for talk in talks))
    told = count_rows(whole_examples(file, Letters()), seq_len)
    try:
        trained = examples(file, Letters(), seq_len)
    except TrainingProblem:
        trained = []
    assert (told.rows, told.tokens) == (len(trained), sum(len(row.input_ids) for row in trained))


def test_long_rows_are_told_with_what_becomes_of_them(tmp_path: Path):
    """`user:hi?|\\n` and `assistant:` are 20 letters, `yo!|\\n` five, the long answer 29."""
    other = {"role": "user", "content": "h" * 99}
    rows = [[ASKED, ANSWERED], [ASKED, LONG], [other, ANSWERED]]
    file = write(tmp_path, *({"messages": row} for row in rows))
    told = count_rows(whole_examples(file, Letters()), 30)
    assert (told.rows, told.longer, told.left_out, told.longest) == (2, 2, 1, 121)
    assert (told.tokens, told.answers) == (25 + 30, 4 + 10)
    assert (told.p50, told.p95) == (49, 121)


def test_a_part_without_rows_counts_nothing():
    """Zeros, and no error: what that means is for the plan to say."""
    told = count_rows([], 30)
    assert (told.rows, told.tokens, told.longest) == (0, 0, 0)


def test_the_answer_has_every_part(tmp_path: Path, base: Path):
    """By its name."""
    write(tmp_path, {"messages": [ASKED, ANSWERED]})
    (tmp_path / "test.jsonl").write_bytes((tmp_path / "train.jsonl").read_bytes())
    told = answer(options(tmp_path, base, part=["train", "test"]))
    assert told.counts is not None
    assert {part: found.tokens for part, found in told.counts.parts.items()} == {
        "train": 22,
        "test": 22,
    }


def test_a_broken_row_would_break_the_training_too(tmp_path: Path, base: Path):
    """So the problem is a sure one, even with a base of a hub."""
    write(tmp_path, {"text": "no chat"})
    for where in (base, "someone/model"):
        told = answer(options(tmp_path, where)).problem
        assert told is not None
        assert (told.code, told.is_sure) == ("bad_dataset", True)


def test_a_folder_that_is_nowhere_is_a_sure_problem(tmp_path: Path):
    """Training looks for it in the same place."""
    told = answer(options(tmp_path, tmp_path / "gone")).problem
    assert told is not None
    assert (told.code, told.is_sure) == ("base_missing", True)


@pytest.mark.parametrize(
    ("base", "code", "is_sure"),
    [
        ("someone/model", "base_missing", False),
        ("someone/model", "missing_extra", False),
        ("someone/model", "unsupported", True),
        ("here", "base_missing", True),
        ("here", "missing_extra", False),
    ],
)
def test_how_sure_a_problem_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, code: Any, is_sure: bool
):
    """A hub that is away may be there later; the extra may be where the workers are."""

    def refuse(_base: object) -> None:
        raise TrainingProblem(code, "no")

    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.json").touch()
    monkeypatch.setattr(counting, "_tokenizer", refuse)
    given = str(tmp_path / "here") if base == "here" else base
    told = answer(options(tmp_path, given)).problem
    assert told is not None
    assert (told.code, told.is_sure) == (code, is_sure)


def test_who_lacks_the_libraries_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the plan as by the training: one message."""
    monkeypatch.setattr(problems.extras, "missing", lambda _names: ["jinja2"])
    (tmp_path / "config.json").touch()
    told = answer(options(tmp_path, tmp_path)).problem
    assert told is not None
    assert (told.code, told.is_sure) == ("missing_extra", False)
    assert told.detail == f"{sys.executable} lacks jinja2: pip install 'maestrale[train]'"


def test_its_standard_output_is_the_answer_alone(tmp_path: Path):
    """As a process, without the libraries of the extra on its path: one line, exit code 0."""
    (tmp_path / "transformers.py").write_text("raise ImportError('not here')")
    command = [
        sys.executable,
        "-m",
        "worker.training.counting",
        str(tmp_path),
        "--base",
        "gone/x/y",
    ]
    command += ["--home", str(tmp_path), "--seq-len", "64", "--part", "train"]
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": root}, capture_output=True, check=True
    )
    told = Answer.model_validate_json(done.stdout).problem
    assert told is not None
    assert (told.code, told.detail) == ("base_missing", "there is no model at gone/x/y")


def test_without_a_network_nobody_waits_for_the_hub(monkeypatch: pytest.MonkeyPatch):
    """A hub that is offline by setting, or refuses the connection, is not asked at length."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr(counting.socket, "create_connection", _refused)
    assert not counting._may_answer()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert counting._may_answer()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not counting._may_answer()


def _refused(*_: object, **__: object) -> None:
    raise ConnectionRefusedError
