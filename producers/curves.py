"""Learning curves as PNG: loss and perplexity against steps, score against learning rate."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.errors import SetupError
from models.tables import TrainingPoint
from models.training.plan import perplexity
from producers import drawing, training_python
from producers.sweeps import Ran, varied

Value = Callable[[TrainingPoint], float | None]
Line = dict[str, Any]
NO_MATPLOTLIB = (
    "curves are drawn by matplotlib, which is not installed: pip install 'maestrale[train]', or "
    "name a Python that has it by MAESTRALE_TRAIN_PYTHON"
)


def draw(runs: Sequence[Ran], folder: Path, *, python: str = "") -> list[Path]:
    """Writes what there is to draw into `folder`; answers the files.

    `python`: the interpreter that draws where this one has no matplotlib. Raises `SetupError` if
    neither has it.
    """
    charts = _charts(runs)
    try:
        drawing.draw(charts, folder)
    except ImportError as error:
        if not python:
            raise SetupError(NO_MATPLOTLIB) from error
        _draw_by(python, charts, folder)
    return [folder / chart["file"] for chart in charts]


# -- which -----------------------------------------------------------------------------------------


def _charts(runs: Sequence[Ran]) -> list[dict[str, Any]]:
    told = [run for run in runs if run.points]
    charts = [
        _curves(told, "loss.png", "loss, nats per token", _LOSSES),
        _curves(told, "perplexity.png", "perplexity", _PERPLEXITIES),
    ]
    rates = {run.spec.learning_rate for run in runs if run.valid_loss is not None}
    return charts + ([_scores(runs)] if len(rates) > 1 else [])


_LOSSES: Sequence[tuple[str, str, Value]] = (
    ("training", "--", lambda point: point.loss),
    ("validation", "-", lambda point: point.valid_loss),
)
_PERPLEXITIES: Sequence[tuple[str, str, Value]] = (
    ("training", "--", lambda point: perplexity(point.loss)),
    ("validation", "-", lambda point: perplexity(point.valid_loss)),
)


def _curves(
    runs: Sequence[Ran], file: str, label: str, parts: Sequence[tuple[str, str, Value]]
) -> dict[str, Any]:
    """One line a run and part; training dashed, validation drawn through with its points."""
    lines: list[Line] = []
    names = varied(runs)
    for number, run in enumerate(runs):
        for part, style, value in parts:
            seen = [(point.step, value(point)) for point in run.points]
            name = f"{run.spec.name}{_chosen(run, names)}, {part}"
            marker = "o" if part == "validation" else ""
            look = {"color": f"C{number % 10}", "marker": marker, "markersize": 3}
            known = [(step, one) for step, one in seen if one is not None]
            lines += _line(known, label=name, linestyle=style, **look)
    return {"file": file, "axes": {"xlabel": "step", "ylabel": label}, "lines": lines}


def _scores(runs: Sequence[Ran]) -> dict[str, Any]:
    """The validation loss by learning rate; one line for runs that are else alike."""
    names = [name for name in varied(runs) if name != "learning_rate"]
    alike: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        if run.valid_loss is not None:
            place = (run.spec.learning_rate, run.valid_loss)
            alike.setdefault(_chosen(run, names) or "runs", []).append(place)
    lines = [
        line
        for name, places in alike.items()
        for line in _line(sorted(places), label=name.strip(), marker="o")
    ]
    labels = {"xlabel": "learning rate", "ylabel": "validation loss, nats per token"}
    return {"file": "learning_rate.png", "axes": {**labels, "xscale": "log"}, "lines": lines}


def _line(places: Sequence[tuple[float, float]], **look: Any) -> list[Line]:
    """One, or none where there is nothing to draw."""
    if not places:
        return []
    xs, ys = zip(*places, strict=True)
    return [{"xs": list(xs), "ys": list(ys), "look": look}]


def _chosen(run: Ran, names: Sequence[str]) -> str:
    """` (learning rate 0.0001, steps 50)`: what tells it from the others."""
    told = [f"{name.replace('_', ' ')} {getattr(run.spec, name)}" for name in names]
    return f" ({', '.join(told)})" if told else ""


# -- by whom ---------------------------------------------------------------------------------------


def _draw_by(python: str, charts: Sequence[drawing.Chart], folder: Path) -> None:
    """By the interpreter that trains: nothing of ours is imported there, and no key goes along."""
    try:
        command = [python, "-P", drawing.__file__, str(folder.resolve())]
        done = training_python.ask(command, json.dumps(charts).encode())
    except OSError as error:
        named = f"{python}, named so, does not start: {error.strerror}"
        raise SetupError(f"{NO_MATPLOTLIB} ({named})") from error
    last = training_python.last_words(done)
    if "No module named 'matplotlib'" in last:
        raise SetupError(f"{NO_MATPLOTLIB} ({python}, named so, has none)")
    if done.returncode:
        raise SetupError(
            f"{python}, which MAESTRALE_TRAIN_PYTHON names, could not draw "
            f"({last}): mend that, or draw elsewhere"
        )
