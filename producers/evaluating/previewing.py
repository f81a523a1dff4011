"""What rows of an evaluation will ask, before anything is asked: for estimates. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.recipes.fields import fields_read
from models.suites import Asked, Evaluation


@dataclass(frozen=True, slots=True)
class Requested:
    """Requests of one likeness that a row will make."""

    body: dict[str, Any]
    count: int
    expected_output_tokens: int


class Previewer:
    """Renders what a row will ask, with made-up answers where real ones are not there yet."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._asked = Asked(evaluation)

    @property
    def rounds(self) -> int:
        """How many requests of a row wait for an answer before them, and one."""
        return 1

    @property
    def required_fields(self) -> frozenset[str]:
        """Fields that a row must have."""
        suite = self._evaluation.suite
        sources = [source for one in suite.prompts.values() for _, _, source in one.templates()]
        read = (fields_read(source, "row") for source in sources)
        own = {suite.classification.gold} if suite.classification else set()
        return frozenset(suite.input.required).union(own, *read)

    def requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row will ask; `RowProblem` if it cannot."""
        told = self._evaluation
        for contestant in told.contestants:
            body = self._asked.question(contestant, row, {})
            expected = self._asked.expected_tokens(contestant)
            yield Requested(body, told.attempts, expected)
