"""Why a run cannot go on, as the child raises it."""

from worker.training.events import FailureCode


class TrainingProblem(Exception):  # noqa: N818 # the run has it, not we
    """A run that would fail again; the detail says what to change and shows no row."""

    def __init__(self, code: FailureCode, detail: str) -> None:
        super().__init__(detail)
        self.code: FailureCode = code
