"""Learning curves as PNG: loss and perplexity against steps, score against learning rate."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from models.errors import SetupError
from models.tables import TrainingPoint
from models.training.plan import perplexity
from producers.sweeps import Ran, varied

SIZE_INCHES = (8.0, 5.0)
DOTS_PER_INCH = 150
Value = Callable[[TrainingPoint], float | None]


def draw(runs: Sequence[Ran], folder: Path) -> list[Path]:
    """Writes what there is to draw into `folder`; answers the files.

    Raises `SetupError` if matplotlib is not installed.
    """
    figure_of = _figure_class()
    folder.mkdir(parents=True, exist_ok=True)
    told = [run for run in runs if run.points]
    drawn = [
        _curves(figure_of, told, folder / "loss.png", "loss, nats per token", _LOSSES),
        _curves(figure_of, told, folder / "perplexity.png", "perplexity", _PERPLEXITIES),
    ]
    rates = {run.spec.learning_rate for run in runs if run.valid_loss is not None}
    if len(rates) > 1:
        drawn.append(_scores(figure_of, runs, folder / "learning_rate.png"))
    return drawn


_LOSSES: Sequence[tuple[str, str, Value]] = (
    ("training", "--", lambda point: point.loss),
    ("validation", "-", lambda point: point.valid_loss),
)
_PERPLEXITIES: Sequence[tuple[str, str, Value]] = (
    ("training", "--", lambda point: perplexity(point.loss)),
    ("validation", "-", lambda point: perplexity(point.valid_loss)),
)


def _curves(
    figure_of: Any,
    runs: Sequence[Ran],
    path: Path,
    label: str,
    lines: Sequence[tuple[str, str, Value]],
) -> Path:
    """One line a run and part; training dashed, validation drawn through with its points."""
    figure = figure_of(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    names = varied(runs)
    for number, run in enumerate(runs):
        for part, style, value in lines:
            seen = [(point.step, value(point)) for point in run.points]
            known = [(step, one) for step, one in seen if one is not None]
            if not known:
                continue
            marker = "o" if part == "validation" else ""
            name = f"{run.spec.name}{_chosen(run, names)}, {part}"
            steps, values = zip(*known, strict=True)
            look = {"color": f"C{number % 10}", "marker": marker, "markersize": 3}
            axes.plot(steps, values, style, label=name, **look)
    axes.set(xlabel="step", ylabel=label)
    return _write(figure, axes, path)


def _scores(figure_of: Any, runs: Sequence[Ran], path: Path) -> Path:
    """The validation loss by learning rate; one line for runs that are else alike."""
    figure = figure_of(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    names = [name for name in varied(runs) if name != "learning_rate"]
    alike: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        if run.valid_loss is not None:
            place = (run.spec.learning_rate, run.valid_loss)
            alike.setdefault(_chosen(run, names) or "runs", []).append(place)
    for name, places in alike.items():
        rates, losses = zip(*sorted(places), strict=True)
        axes.plot(rates, losses, marker="o", label=name.strip())
    axes.set(xlabel="learning rate", ylabel="validation loss, nats per token", xscale="log")
    return _write(figure, axes, path)


def _chosen(run: Ran, names: Sequence[str]) -> str:
    """` (learning rate 0.0001, steps 50)`: what tells it from the others."""
    told = [f"{name.replace('_', ' ')} {getattr(run.spec, name)}" for name in names]
    return f" ({', '.join(told)})" if told else ""


def _write(figure: Any, axes: Any, path: Path) -> Path:
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def _figure_class() -> Any:
    """Matplotlib's figure without its global state: nothing opens a window."""
    try:
        return import_module("matplotlib.figure").Figure
    except ImportError as error:
        raise SetupError(
            "curves are drawn by matplotlib, which is not installed: pip install 'maestrale[train]'"
        ) from error
