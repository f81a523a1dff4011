"""What contestants will be asked about a row, with options and documents, before they are. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.recipes.answers import Choice
from models.recipes.strict_json import Json
from models.suites import Asked, Contestant, Evaluation, SuiteKind
from models.suites.looking_up import Sought, exchange, offer
from models.suites.reading import gold_label
from models.suites.retrieving import typical_texts
from models.suites.schema import Retrieval
from models.suites.shuffling import gold_letter, shown_options
from producers.evaluating.judging_ahead import Requested

TYPICAL_LOOKUPS = 1
"""Turns that a model takes before it answers, if it may look things up."""
_CALL_TOKENS = 40


@dataclass(frozen=True, slots=True)
class AnsweringAhead:
    """The contestants' part of what a row will ask; documents are made up."""

    evaluation: Evaluation
    asked: Asked

    @property
    def rounds(self) -> int:
        """How many requests wait for each other: the query's vector, look-ups, the answer."""
        turns = 2 * TYPICAL_LOOKUPS * any(map(self.asked.may_look_up, self._contestants))
        return int(self._is_searched) + turns + 1

    @property
    def own_fields(self) -> set[str]:
        """Fields that a row must have besides those that templates read."""
        told, choice = self.evaluation.suite.classification, self.evaluation.suite.choice
        return ({told.gold} if told else set()) | (
            {choice.options, choice.gold} if choice else set()
        )

    @property
    def templates(self) -> list[str]:
        """The sources of all that is said of a row."""
        suite = self.evaluation.suite
        sources = [source for one in suite.prompts.values() for _, _, source in one.templates()]
        sources += [suite.retrieval.query] if suite.retrieval else []
        told = suite.classification
        return sources + ([told.user_text] if told and told.user_text else [])

    def check(self, row: dict[str, Any]) -> None:
        """Raises `RowProblem` for a row whose right answer is none that could be given."""
        suite = self.evaluation.suite
        if suite.classification:
            gold_label(suite.classification, row)
        if suite.choice:
            gold_letter(suite.choice, row)

    def first_requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row asks of contestants before they answer, of its own text alone: as many
        documents as usual, and nothing in them."""
        told = self.evaluation.suite.retrieval
        names = self._names(row, [""] * len(typical_texts(told)) if told else [])
        if told and self._is_searched:
            yield self._vector(self.asked.text(told.query, row), 1)
        for contestant in self._contestants:
            body = self.asked.question(contestant, row, names)
            if told and told.tool and self.asked.may_look_up(contestant):
                body = offer(body, told.tool, has_entity=bool(told.entity))
            yield Requested(body, 1, 0)

    def requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row will ask of contestants; `RowProblem` if it cannot."""
        told = self.evaluation.suite.retrieval
        names = self._names(row, typical_texts(told) if told else [])
        if told and self._is_searched:
            yield self._vector(self.asked.text(told.query, row), 1)
        for contestant in self._contestants:
            body = self.asked.question(contestant, row, names)
            if told and self.asked.may_look_up(contestant):
                yield from self._turns(told, contestant, body, self.asked.text(told.query, row))
            else:
                expected = self.asked.expected_tokens(contestant)
                yield Requested(body, self.evaluation.attempts, expected)

    @property
    def _is_searched(self) -> bool:
        """Whether documents are found for the row before anybody is asked."""
        has_store = self.evaluation.suite.retrieval is not None
        return has_store and any(self.asked.reads(one, "context") for one in self._contestants)

    @property
    def _contestants(self) -> list[Contestant]:
        is_read_to = self.evaluation.suite.kind == SuiteKind.PERPLEXITY  # nobody answers there
        return [] if is_read_to else self.evaluation.contestants

    def _names(self, row: dict[str, Any], documents: list[str]) -> dict[str, Json]:
        """What prompts read besides the row; `RowProblem` where it has no right answer."""
        suite = self.evaluation.suite
        names: dict[str, Json] = {}
        self.check(row)
        if suite.choice:
            options = shown_options(suite.choice, row, seed=0, row_id="", attempt=1)
            names["options"] = [{"letter": one.letter, "text": one.text} for one in options]
        if suite.retrieval:
            names["context"] = list[Json](documents)
        return names

    def _turns(
        self, told: Retrieval, contestant: Contestant, body: dict[str, Any], query: str
    ) -> Iterator[Requested]:
        """One look-up, and the answer that comes after it."""
        assert told.tool is not None, "only those who may look things up come here"
        times = self.evaluation.attempts
        offered = offer(body, told.tool, has_entity=bool(told.entity))
        yield Requested(offered, times * TYPICAL_LOOKUPS, _CALL_TOKENS)
        yield self._vector(query, times * TYPICAL_LOOKUPS)
        has_documents = self.asked.reads(contestant, "context")
        results = ["" if has_documents else "\n\n".join(typical_texts(told))]
        added = exchange(Choice(), [Sought(query)], results, told.tool, 1, is_last=False)
        messages = [*offered["messages"], *added]
        expected = self.asked.expected_tokens(contestant)
        yield Requested({**offered, "messages": messages}, times, expected)

    def _vector(self, text: str, count: int) -> Requested:
        return Requested({"model": self.evaluation.store_model, "input": [text]}, count, 0)
