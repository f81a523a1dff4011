"""What doing a stage of each kind means: one module per kind, imported when it is needed."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from models.pipelines import StageKind
from models.tables import Job
from producers.client import Maestrale
from producers.pipelines.ahead import Ahead
from producers.pipelines.hand import Hand
from producers.pipelines.outcomes import Expected, Outcome


class Doing(Protocol):
    """What such a module has."""

    def begin(self, hand: Hand) -> Outcome:
        """Does it, or submits a job that does; begun again after a death, nothing is twice."""

    def collect(self, hand: Hand, job: Job) -> Outcome:
        """What its job, which succeeded, made."""

    def expect(self, hand: Hand, ahead: Ahead) -> Expected:
        """What it will take, and about what it will make; pays and begins nothing.

        What it reads may be what stages before it are expected to make.
        """

    def is_there(self, maestrale: Maestrale, output: Mapping[str, Any]) -> bool:
        """Whether the outputs of an earlier run are there to be taken over."""


MODULES: Mapping[StageKind, str] = {
    StageKind.GENERATE: "generating",
    StageKind.DATASET: "datasets",
    StageKind.EMBED: "embedding",
    StageKind.TRAIN: "training",
    StageKind.EVALUATE: "evaluating",
    StageKind.REVIEW: "reviewing",
}
PAID = frozenset({StageKind.GENERATE, StageKind.EMBED, StageKind.TRAIN, StageKind.EVALUATE})
"""Kinds whose stages spend money, and share the run's budget."""


def doing(kind: str) -> Doing:
    """The module of a kind."""
    return cast("Doing", import_module(f"producers.pipelines.{MODULES[StageKind(kind)]}"))
