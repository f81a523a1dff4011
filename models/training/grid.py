"""Sweeps: a grid of choices becomes the runs to compare. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from models.bounds import MOST_BATCH, MOST_RANK, MOST_SEED, MOST_SEQ_LEN, MOST_STEPS
from models.errors import BadInputError


class Axis(NamedTuple):
    """What numbers an axis takes: those that its option takes."""

    kind: type[int] | type[float]
    least: float
    most: float


AXES: Mapping[str, Axis] = {
    "lr": Axis(float, 1e-8, 1),
    "steps": Axis(int, 1, MOST_STEPS),
    "epochs": Axis(float, 0, MOST_STEPS),
    "tokens-seen": Axis(float, 0, MOST_STEPS),
    "batch-size": Axis(int, 1, MOST_BATCH),
    "seq-len": Axis(int, 16, MOST_SEQ_LEN),
    "rank": Axis(int, 1, MOST_RANK),
    "seed": Axis(int, 0, MOST_SEED),
}
"""What a sweep may vary, by the option it stands for."""
LENGTHS = ("steps", "epochs", "tokens-seen")
MOST_RUNS = 64


def parse_axes(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`lr=1e-5,6e-5 steps=50,150` as name -> values. Raises `BadInputError` on anything else."""
    axes: dict[str, list[Any]] = {}
    for text in " ".join(texts).split():
        name, is_told, values = text.partition("=")
        if not is_told or name not in AXES:
            raise BadInputError(f"--sweep takes {', '.join(AXES)} as NAME=V1,V2, not {text!r}")
        if name in axes:
            raise BadInputError(f"--sweep names {name} twice: put its values in one list")
        axes[name] = _values(name, values)
    if len(told := [name for name in LENGTHS if name in axes]) > 1:
        raise BadInputError(f"--sweep varies {' and '.join(told)}: they exclude each other")
    return axes


def combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every choice of one value from each axis, the last axis running fastest."""
    count = math.prod(map(len, axes.values()))
    if count > MOST_RUNS:
        raise BadInputError(f"the sweep has {count} runs, and {MOST_RUNS} are the most")
    return [dict(zip(axes, choice, strict=True)) for choice in product(*axes.values())]


def child_name(name: str, number: int) -> str:
    """`news-03`: what the model of the sweep's third run is called."""
    return f"{name}-{number:02d}"


def _values(name: str, text: str) -> list[Any]:
    axis = AXES[name]
    try:
        values = [axis.kind(value) for value in text.split(",") if value]
    except ValueError:
        numbers = "whole numbers" if axis.kind is int else "numbers"
        raise BadInputError(f"--sweep {name}={text}: {name} takes {numbers}") from None
    if not values:
        raise BadInputError(f"--sweep {name}= has no values: --sweep {name}=V1,V2")
    for value in values:
        if not axis.least <= value <= axis.most:  # so is no NaN
            raise BadInputError(
                f"--sweep {name}={value}: {name} takes numbers from {axis.least} to {axis.most}"
            )
    if len(set(values)) < len(values):
        ((doubled, _count),) = Counter(values).most_common(1)
        raise BadInputError(f"--sweep {name} names {doubled} twice: name each value once")
    return values
