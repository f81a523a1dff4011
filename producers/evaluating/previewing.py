"""What rows of an evaluation will ask, before anything is asked: for estimates. Pure."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from models.recipes.fields import fields_printed, fields_read
from models.suites import Asked, Evaluation, SuiteKind
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
        return self._own_fields.union(*(fields_read(one, "row") for one in self._templates))

    @property
    def filled_fields(self) -> frozenset[str]:
        """Those of them that may not be empty: what prompts only ask about may."""
        return self._own_fields.union(*(fields_printed(one, "row") for one in self._templates))

    @property
    def _own_fields(self) -> frozenset[str]:
        required = self._evaluation.suite.input.required
        return frozenset(required) | self._answering.own_fields | self._judging.own_fields

    @property
    def _templates(self) -> list[str]:
        return [*self._answering.templates, *self._judging.templates]

    def check(self, row: dict[str, Any]) -> None:
        """Raises `RowProblem` for a row without a right answer, before anybody is asked."""
        self._answering.check(row)
        self._judging.check(row)

    def first_requests(self, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Bodies of those that wait for no answer, without what is found for them; `RowProblem` if
        the row cannot be asked."""
        asked = [self._answering.first_requests(row)]
        if self._evaluation.suite.kind == SuiteKind.JUDGES:
            asked.append(self._judging.requests(row))
        for request in chain.from_iterable(asked):
            yield request.body

    def requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row will ask; `RowProblem` if it cannot."""
        yield from self._answering.requests(row)
        yield from self._judging.requests(row)
