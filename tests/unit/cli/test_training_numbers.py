"""Numbers that no training can be given: all end with exit code 2 and a sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_builders import Ended

from models.bounds import MOST_SEED, MOST_SEQ_LEN
from models.errors import BadInputError
from models.training.grid import parse_axes
from models.training.plan import Length, steps_for
from proving.training_builders import a_dataset, a_dataset_folder, a_spec

Run = Callable[..., Ended]
TRAIN = ("train", "news", "--base", "smollm2", "--no-watch", "--json")
HUGE = "99999999999999999999"


@pytest.fixture(autouse=True)
def dataset(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset called news; nothing is counted or trained."""
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    return a_dataset_folder(home / "datasets")


@pytest.mark.parametrize(
    "options",
    [
        ("--seed", "18446744073709551616"),
        ("--seed", str(MOST_SEED + 1)),
        ("--seed", "-1"),
        ("--steps", HUGE),
        ("--epochs", "1e300"),
        ("--epochs", "1e308"),
        ("--epochs", "nan"),
        ("--tokens-seen", "1e300"),
        ("--batch-size", HUGE),
        ("--seq-len", HUGE),
        ("--patience", HUGE),
        ("--eval-every", HUGE),
        ("--lr", "nan"),
        ("--priority", HUGE),
        ("--trainer", "mistral", "--epochs", "1e300"),
        ("--sweep", f"seed=1,{HUGE}"),
        ("--sweep", "seed=-1"),
        ("--sweep", f"steps={HUGE}"),
        ("--sweep", "epochs=1e300"),
        ("--sweep", "epochs=1,0"),
        ("--sweep", f"batch-size={HUGE}"),
        ("--sweep", f"seq-len={HUGE}"),
        ("--sweep", f"rank={HUGE}"),
        ("--sweep", "lr=nan"),
        ("--sweep", "lr=2"),
    ],
)
def test_a_number_no_training_takes_is_refused(run: Run, options: tuple[str, ...]) -> None:
    """Before anything is stored; no report of a bug."""
    ended = run(*TRAIN, *options)
    assert (ended.code, "bug" in ended.err) == (2, False), ended.err
    assert run("jobs", "--json").facts == []


def test_the_largest_seed_is_taken(run: Run) -> None:
    """And the smallest."""
    assert run(*TRAIN, "--seed", str(MOST_SEED)).code == 0
    assert run(*TRAIN, "--seed", "0").code == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"seed": MOST_SEED + 1},
        {"steps": int(HUGE)},
        {"batch_size": int(HUGE)},
        {"seq_len": int(HUGE)},
    ],
)
def test_no_spec_holds_such_a_number(tmp_path: Path, changes: dict[str, int]) -> None:
    """Whoever makes it."""
    with pytest.raises(ValueError, match=next(iter(changes))):
        a_spec(a_dataset(tmp_path), **changes)


def test_what_is_too_long_is_told_with_the_way_out(tmp_path: Path) -> None:
    """The steps it would take, and the most."""
    sizes = {"batch_size": 8, "seq_len": 1024}
    with pytest.raises(BadInputError, match=r"1e\+300 steps, and 10,000,000 are the most"):
        steps_for(Length(epochs=1e300), "local", a_dataset(tmp_path), **sizes)


def test_an_axis_says_what_it_takes() -> None:
    """From the least to the most."""
    with pytest.raises(BadInputError, match=f"seed takes numbers from 0 to {MOST_SEED}"):
        parse_axes([f"seed=1,{HUGE}"])


def test_a_sweep_of_too_many_runs_is_refused_at_once(run: Run) -> None:
    """Its runs are counted, not made: a thousand million would fill the memory."""
    numbers = ",".join(map(str, range(1, 1001)))
    axes = [f"{name}={numbers}" for name in ("seed", "steps", "batch-size")]
    ended = run(*TRAIN, "--sweep", *axes)
    assert (ended.code, "64 are the most" in ended.err) == (2, True), ended.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--epochs", "-1"), "--epochs -1: it takes a number above 0"),
        (("--tokens-seen", "nan"), "--tokens-seen nan: it takes a number above 0"),
        (("--epochs", "inf"), "--epochs inf: it takes a number above 0"),
    ],
)
def test_a_length_that_is_none_names_its_option(
    run: Run, options: tuple[str, ...], says: str
) -> None:
    """The one that was given, and no other."""
    ended = run(*TRAIN, *options)
    assert (ended.code, says in ended.err) == (2, True), ended.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--steps", "5", "--sweep", "steps=1,2"), "--steps and --sweep steps=..."),
        (("--epochs", "2", "--sweep", "steps=1,2"), "--epochs and --sweep steps=..."),
        (("--lr", "1e-3", "--sweep", "lr=1e-4,1e-5"), "--lr and --sweep lr=..."),
        (("--trainer", "mistral", "--rank", "8"), "--rank is for --trainer local"),
        (("--trainer", "mistral", "--seq-len", "64"), "--seq-len is for --trainer local"),
        (("--trainer", "mistral", "--batch-size", "4"), "--batch-size is for --trainer local"),
        (("--trainer", "mistral", "--sweep", "rank=4,8"), "--sweep rank=... is for"),
        (("--trainer", "mistral", "--seed", "1"), "--seed is for --trainer local"),
        (("--trainer", "mistral", "--patience", "2"), "--patience is for --trainer local"),
        (("--trainer", "mistral", "--eval-every", "5"), "--eval-every is for --trainer local"),
        (("--trainer", "mistral", "--sweep", "seed=1,2"), "--sweep seed=... is for"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(
    run: Run, options: tuple[str, ...], says: str
) -> None:
    """Before anything is stored."""
    ended = run(*TRAIN, *options)
    assert (ended.code, says in ended.err) == (2, True), ended.err
    assert run("jobs", "--json").facts == []


@pytest.mark.parametrize(
    "options", [("--epochs", "11"), ("--trainer", "mistral"), ("--sweep", "epochs=3,11")]
)
def test_learning_by_heart_is_foretold(run: Run, options: tuple[str, ...]) -> None:
    """A token that is seen more than ten times, by either trainer; in a sweep's worst run."""
    said = run("train", "news", "--base", "smollm2", "--dry-run", *options).out
    assert "it will overfit: each token is seen" in said


def test_ten_times_is_no_learning_by_heart(run: Run) -> None:
    """The usual three is not, nor is ten."""
    ended = run("train", "news", "--base", "smollm2", "--dry-run", "--epochs", "10", "--json")
    assert "overfit" not in ended.err
    assert "overfit" not in str(ended.facts["runs"][0]["warnings"])


def test_few_validation_rows_say_little(run: Run) -> None:
    """And the plan says so; as a fact, too."""
    ended = run("train", "news", "--base", "smollm2", "--dry-run", "--json")
    assert "2 rows to validate on says little" in ended.err
    assert "says little" in ended.facts["runs"][0]["warnings"][0]


def test_tokens_are_counted_up_to_the_longest_row_there_is(run: Run) -> None:
    """As `train` takes it."""
    ended = run(
        "dataset", "tokens", "news", "--base", "smollm2", "--seq-len", str(MOST_SEQ_LEN + 1)
    )
    assert (ended.code, "--seq-len" in ended.err) == (2, True), ended.err
