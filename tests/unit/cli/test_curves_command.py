"""What is drawn of a sweep, by a stand-in for matplotlib that remembers instead of drawing."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from builders import a_job
from training_builders import a_dataset, a_spec

from models.errors import SetupError
from models.tables import TrainingPoint
from producers import curves
from producers.sweeps import Ran


class Paper:
    """A figure with its axes, in one."""

    drawn: dict[str, list[tuple[str, list[float], list[float]]]]

    def __init__(self, **_: Any) -> None:
        self.lines: list[tuple[str, list[float], list[float]]] = []

    def add_subplot(self) -> "Paper":
        return self

    def plot(self, xs: Any, ys: Any, *_: Any, label: str, **__: Any) -> None:
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
