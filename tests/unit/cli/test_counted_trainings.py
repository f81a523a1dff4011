"""Plans and datasets counted by the base's own tokenizer: a fake interpreter counts letters."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended

from proving.fake_trainer import as_python
from proving.training_builders import a_dataset_folder

Run = Callable[..., Ended]
PLAN = ("train", "news", "--base", "letters", "--dry-run")
WHOLE = 18
"""Letters of `Is train0 news?` and `yes`."""


@pytest.fixture(autouse=True)
def dataset(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news; the interpreter that trains takes letters for tokens."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(as_python(tmp_path)))
    return a_dataset_folder(home / "datasets")


def times_counted(dataset: Path) -> int:
    return len((dataset / "counted").read_text().splitlines())


def test_a_plan_counts_by_the_base_s_own_tokenizer(run: Run) -> None:
    """Eight rows of 18, three times; the dataset's own count says 80."""
    (planned,) = run(*PLAN, "--json").facts["runs"]
    assert (planned["steps"], planned["tokens_per_step"]) == (3, 8 * WHOLE)
    assert planned["tokens"] == 3 * 8 * WHOLE
    assert planned["counts"]["parts"]["validation"]["rows"] == 2
    assert planned["uncounted"] is None
    words = run(*PLAN).out
    assert "about 432 in all, by the base's own tokenizer" in words
    assert "cut" not in words


def test_what_becomes_of_long_rows_is_told(run: Run) -> None:
    """`Is validation0 news?` are 20 letters: at 21 one of its answer is left."""
    words = run(*PLAN, "--seq-len", "21").out
    assert "2 rows of more than 21 tokens (the longest has 23)" in words
    assert "2 cut to so many (--seq-len), 0 left out" in words


def test_rows_that_are_left_out_are_not_reckoned_with(run: Run, dataset: Path) -> None:
    """A ninth row whose question alone is too long: eight are trained on, in as many steps."""
    row = (dataset / "train.jsonl").read_text().splitlines()[0].replace("train0", "x" * 99)
    with (dataset / "train.jsonl").open("a") as file:
        file.write(row + "\n")
    (planned,) = run(*PLAN, "--seq-len", "64", "--json").facts["runs"]
    assert (planned["steps"], planned["dataset"]["train_rows"]) == (3, 8)
    assert planned["passes"] == 3.0
    assert "1 left out because the answer begins behind" in run(*PLAN, "--seq-len", "64").out


def test_so_are_rows_to_validate_on(run: Run, dataset: Path) -> None:
    """One of three is left out."""
    row = (dataset / "validation.jsonl").read_text().splitlines()[0].replace("n0", "x" * 99)
    with (dataset / "validation.jsonl").open("a") as file:
        file.write(row + "\n")
    assert "8 to train on, 2 to validate on" in run(*PLAN, "--seq-len", "64").out


def test_nothing_left_to_learn_is_refused(run: Run) -> None:
    """The training would fail: exit code 2 before it is submitted."""
    ended = run(*PLAN, "--seq-len", "16")
    assert ended.code == 2
    assert "validation has an answer that begins within 16 tokens" in ended.err


def test_a_second_plan_counts_nothing_anew(run: Run, dataset: Path) -> None:
    """The counts lie beside the rows, by base and length; a sweep counts each length once."""
    assert run(*PLAN).out == run(*PLAN).out
    assert times_counted(dataset) == 1
    run(*PLAN, "--seq-len", "64")
    assert times_counted(dataset) == 2
    run(*PLAN, "--sweep", "lr=1e-4,1e-5", "seq-len=64,65")
    assert times_counted(dataset) == 3


def test_a_base_that_changed_is_counted_anew(run: Run, dataset: Path, tmp_path: Path) -> None:
    """Its files are part of what the counts are of."""
    base = tmp_path / "base"
    base.mkdir()
    for number in (1, 2):
        (base / "tokenizer.json").write_text("x" * number)
        assert run("train", "news", "--base", str(base), "--dry-run").code == 0
        assert times_counted(dataset) == number


def test_a_folder_that_cannot_be_written_is_counted_again(
    run: Run, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slower, and no error."""

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert run(*PLAN).code == run(*PLAN).code == 0
    assert times_counted(dataset) == 2


@pytest.mark.parametrize(
    ("base", "says"), [("far/away", "no far/away"), ("broken", "the tokenizer fell over")]
)
def test_what_cannot_be_counted_is_estimated_and_said(run: Run, base: str, says: str) -> None:
    """The training may do well all the same: by Mistral's tokenizer, with the reason."""
    ended = run("train", "news", "--base", base, "--dry-run")
    assert ended.code == 0
    assert "about 240 in all, by Mistral's tokenizer and not the base's" in ended.out
    assert says in ended.out
    (planned,) = run("train", "news", "--base", base, "--dry-run", "--json").facts["runs"]
    assert (planned["counts"], says in planned["uncounted"]) == (None, True)


def test_an_interpreter_that_is_not_there_is_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without the extra."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(tmp_path / "nowhere"))
    assert "nowhere does not start" in " ".join(run(*PLAN).out.split())


def test_a_base_that_no_training_would_find_is_refused(run: Run) -> None:
    """Exit code 2, with what the training would say."""
    ended = run("train", "news", "--base", "gone", "--dry-run")
    assert (ended.code, "no gone" in ended.err) == (2, True)


def test_the_provider_s_tokens_are_the_dataset_s(run: Run, dataset: Path) -> None:
    """Mistral's tokenizer is theirs: nothing is counted anew."""
    hosted = ("train", "news", "--base", "open-mistral-7b", "--trainer", "mistral", "--dry-run")
    assert "tokenizer" not in run(*hosted).out
    assert not (dataset / "counted").exists()


def test_a_dataset_s_tokens_by_a_base(run: Run) -> None:
    """The same counts, part by part."""
    counted = ("dataset", "tokens", "news", "--base", "letters")
    facts = run(*counted, "--seq-len", "64", "--json").facts
    assert facts["parts"]["train"]["tokens"] == 8 * WHOLE
    words = run(*counted, "--seq-len", "21").out
    assert "the tokenizer and the template of letters" in words
    assert "left out" in words
    ended = run("dataset", "tokens", "news", "--base", "far/away")
    assert (ended.code, "no far/away" in ended.err) == (1, True)
    assert run("dataset", "tokens", "news", "--base", "gone").code == 2


@pytest.mark.parametrize("base", ["~nobody-of-this-name/x", "x" * 5000])
@pytest.mark.parametrize("command", [PLAN[:2], ("dataset", "tokens", "news")])
def test_a_base_that_can_be_nowhere_is_refused(
    run: Run, command: tuple[str, ...], base: str
) -> None:
    """A home of nobody, a name no disk takes: exit code 2, with what it was."""
    ended = run(*command, "--base", base)
    assert (ended.code, f"no base can be at '{base[:20]}" in ended.err) == (2, True), ended.err


def test_a_base_s_file_that_leads_nowhere_is_named(run: Run, tmp_path: Path) -> None:
    """A link to what was cleared away, as hub caches leave them."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "tokenizer.json").symlink_to(tmp_path / "gone.json")
    ended = run(*PLAN[:2], "--base", str(base), "--dry-run")
    said = "".join(ended.err.split())
    assert (ended.code, "tokenizer.json" in said) == (2, True), ended.err


def test_a_base_in_one_s_home_is_known_by_its_whole_path(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have another."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base").mkdir()
    (planned,) = run(*PLAN[:2], "--base", "~/base", "--dry-run", "--json").facts["runs"]
    assert planned["base"] == str(tmp_path / "base")
