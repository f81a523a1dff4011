"""Why a run cannot go on, as the child raises it."""

import sys
from collections.abc import Sequence

from models import extras
from worker.training.events import FailureCode


class TrainingProblem(Exception):  # noqa: N818 # the run has it, not we
    """A run that would fail again; the detail says what to change and shows no row."""

    def __init__(self, code: FailureCode, detail: str) -> None:
        super().__init__(detail)
        self.code: FailureCode = code


def check_libraries(names: Sequence[str]) -> None:
    """Raises `TrainingProblem` for those that this interpreter has not."""
    if missing := extras.missing(names):
        raise TrainingProblem(
            "missing_extra",
            f"{sys.executable} lacks {', '.join(missing)}: pip install 'maestrale[train]'",
        )
