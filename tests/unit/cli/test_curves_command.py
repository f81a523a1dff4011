"""What is drawn of a sweep, by a stand-in for matplotlib that remembers instead of drawing."""

import json
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import a_job

from models.errors import SetupError
from models.tables import TrainingPoint
from producers import curves, drawing
from producers.sweeps import Ran
from proving.training_builders import a_dataset, a_dataset_folder, a_spec


class Paper:
    """A figure with its axes, in one."""

    drawn: dict[str, list[tuple[str, list[float], list[float]]]]

    def __init__(self, **_: Any) -> None:
        self.lines: list[tuple[str, list[float], list[float]]] = []

    def add_subplot(self) -> "Paper":
        return self

    def plot(self, xs: Any, ys: Any, *, label: str, **_: Any) -> None:
        self.lines.append((label, list(xs), list(ys)))

    def set(self, **_: Any) -> None: ...

    def grid(self, **_: Any) -> None: ...

    def legend(self, **_: Any) -> None: ...

    def get_legend_handles_labels(self) -> tuple[list[Any], list[str]]:
        return [], [label for label, *_ in self.lines]

    def savefig(self, path: Path, **_: Any) -> None:
        self.drawn[path.name] = self.lines


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """File -> (label, steps, values) of its lines."""
    monkeypatch.setattr(Paper, "drawn", {}, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", SimpleNamespace(Figure=Paper))
    return Paper.drawn


def a_run(folder: Path, rate: float, losses: list[float]) -> Ran:
    spec = a_spec(a_dataset(folder), name=f"r{rate:g}", learning_rate=rate)
    points = [
        TrainingPoint(job_id="j", step=step, loss=loss, at=0.0)
        for step, loss in enumerate(losses, start=1)
    ]
    points.append(TrainingPoint(job_id="j", step=9, valid_loss=losses[-1], at=0.0))
    return Ran(a_job(), spec, points)


def test_every_run_has_its_curves(drawn: dict[str, Any], tmp_path: Path) -> None:
    """Loss and perplexity by step, training and validation apart, and the score by rate."""
    runs = [a_run(tmp_path, 1e-4, [1.0, 0.0]), a_run(tmp_path, 1e-5, [2.0])]
    files = curves.draw(runs, tmp_path / "png")
    assert [path.name for path in files] == ["loss.png", "perplexity.png", "learning_rate.png"]
    assert ("r0.0001 (learning rate 0.0001), training", [1, 2], [1.0, 0.0]) in drawn["loss.png"]
    assert ("r0.0001 (learning rate 0.0001), validation", [9], [1.0]) in drawn["perplexity.png"]
    assert drawn["learning_rate.png"] == [("runs", [1e-5, 1e-4], [2.0, 0.0])]


def test_one_rate_is_no_curve(drawn: dict[str, Any], tmp_path: Path) -> None:
    """A single run has its loss and its perplexity."""
    curves.draw([a_run(tmp_path, 1e-4, [1.0])], tmp_path / "png")
    assert set(drawn) == {"loss.png", "perplexity.png"}


def test_without_matplotlib_the_way_to_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And nothing is written."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SetupError, match=r"maestrale\[train\]"):
        curves.draw([], tmp_path / "png")
    assert not (tmp_path / "png").exists()


# -- by another interpreter ------------------------------------------------------------------------


@pytest.fixture
def python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stands for the interpreter that trains, and keeps what it was given; here is no matplotlib.

    It draws every chart as an empty file.
    """
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setenv("MISTRAL_API_KEY", "secret")
    path = tmp_path / "python"
    path.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        "charts, folder = json.load(sys.stdin), pathlib.Path(sys.argv[3])\n"
        "folder.mkdir()\n"
        "[(folder / chart['file']).touch() for chart in charts]\n"
        "kept = {'words': sys.argv[1:], 'charts': charts, 'environment': dict(os.environ)}\n"
        f"pathlib.Path({str(tmp_path / 'kept.json')!r}).write_text(json.dumps(kept))\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_interpreter_that_trains_draws(python: Path, tmp_path: Path) -> None:
    """It gets the charts as figures alone, and no key of ours."""
    files = curves.draw([a_run(tmp_path, 1e-4, [1.0])], tmp_path / "png", python=str(python))
    assert all(path.exists() for path in files)
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert kept["words"][:2] == ["-P", drawing.__file__]
    assert [chart["file"] for chart in kept["charts"]] == ["loss.png", "perplexity.png"]
    assert kept["charts"][0]["lines"][0]["ys"] == [1.0]
    assert "MISTRAL_API_KEY" not in kept["environment"]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; sys.exit(\"ModuleNotFoundError: No module named 'matplotlib'\")", "has none"),
        ("raise SystemExit('no room')", "could not draw .no room"),
    ],
)
def test_an_interpreter_that_cannot_draw_is_named(
    python: Path, tmp_path: Path, script: str, says: str
) -> None:
    """With what it said, and the way out."""
    python.write_text(f"#!{sys.executable}\n{script}\n")
    with pytest.raises(SetupError, match=says):
        curves.draw([], tmp_path / "png", python=str(python))


def test_an_interpreter_that_is_not_there_is_named(python: Path, tmp_path: Path) -> None:
    """With the way to matplotlib."""
    with pytest.raises(SetupError, match=r"maestrale\[train\].*does not start"):
        curves.draw([], tmp_path / "png", python=str(tmp_path / "none"))


def test_what_draws_imports_nothing_of_ours() -> None:
    """Any interpreter that has matplotlib runs it."""
    text = Path(drawing.__file__).read_text()
    assert not any(f"from {ours}" in text for ours in ("models", "producers", "worker"))


def test_the_ranking_is_told_before_the_curves_fail(
    run: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is worth having without them; as facts, too."""
    a_dataset_folder(home / "datasets")
    train = ("train", "news", "--base", "smollm2", "--no-watch", "--json")
    monkeypatch.setenv("MAESTRALE_TRAIN_PYTHON", str(home / "no-python"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    parent = run(*train, "--sweep", "lr=1e-5,1e-4").facts["job"]["id"]
    ended = run("sweep", "show", parent, "--png", "png")
    assert (ended.code, "news-smollm2-02" in ended.out) == (1, True)
    assert "pip install 'maestrale[train]'" in ended.err
    assert len(run("sweep", "show", parent, "--png", "png", "--json").facts["runs"]) == 2
