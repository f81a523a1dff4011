"""What rows of an evaluation will ask, before anything is asked: for estimates. Pure."""

from collections.abc import Iterator
from typing import Any

from models.suites import Asked, Evaluation
from producers.evaluating.answering_ahead import AnsweringAhead
from producers.evaluating.judging_ahead import JudgingAhead, Requested


class Previewer:
    """Renders what a row will ask, with made-up answers where real ones are not there yet."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._asked = Asked(evaluation)
        self._answering = AnsweringAhead(evaluation, self._asked)
        self._judging = JudgingAhead(evaluation, self._asked)

    @property
    def rounds(self) -> int:
        """How many requests of a row wait for an answer before them, and one."""
        return self._answering.rounds + self._judging.rounds

    @property
    def required_fields(self) -> frozenset[str]:
        """Fields that a row must have."""
        required = self._evaluation.suite.input.required
        return self._judging.required_fields.union(required, self._answering.required_fields)

    def check(self, row: dict[str, Any]) -> None:
        """Raises `RowProblem` for a row without a right answer, before anybody is asked."""
        self._answering.check(row)
        self._judging.check(row)

    def requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row will ask; `RowProblem` if it cannot."""
        yield from self._answering.requests(row)
        yield from self._judging.requests(row)
