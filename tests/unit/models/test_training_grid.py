"""Sweeps: what people write becomes the runs to compare."""

import pytest

from models.errors import BadInputError
from models.training.grid import child_name, combinations, parse_axes


def test_every_choice_of_the_grid_is_a_run() -> None:
    """Three rates by two lengths are six runs, however the words were split."""
    axes = parse_axes(["lr=1e-5,6e-5,1e-4", "steps=50,150"])
    assert axes == parse_axes(["lr=1e-5,6e-5,1e-4 steps=50,150"])
    runs = combinations(axes)
    assert len(runs) == 6
    assert runs[0] == {"lr": 1e-5, "steps": 50}
    assert runs[1] == {"lr": 1e-5, "steps": 150}


@pytest.mark.parametrize("text", ["seed=1,1,2", "seed=0,0", "lr=1e-4,0.0001"])
def test_the_same_value_twice_is_refused(text: str) -> None:
    """A slip for another value, most likely; nothing is trained twice."""
    with pytest.raises(BadInputError, match="twice: name each value once"):
        parse_axes([text])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rate=1", "takes lr"),
        ("lr", "takes lr"),
        ("lr=fast", "numbers"),
        ("lr=", "no values"),
        ("lr=1 lr=2", "twice"),
        ("steps=1 epochs=2", "exclude"),
        ("steps=1.5", "steps takes whole numbers"),
    ],
)
def test_what_is_no_axis_is_refused(text: str, says: str) -> None:
    """With what would do."""
    with pytest.raises(BadInputError, match=says):
        parse_axes([text])


def test_a_sweep_has_an_end() -> None:
    """More than 64 runs are a slip."""
    seeds = ",".join(map(str, range(65)))
    with pytest.raises(BadInputError, match="64"):
        combinations(parse_axes([f"seed={seeds}"]))


def test_runs_are_numbered() -> None:
    """In the order of the grid."""
    assert child_name("news", 3) == "news-03"
