"""What judges of an evaluation will be asked about a row, before anybody answered it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.recipes.schema import Asking
from models.recipes.strict_json import Json
from models.suites import Asked, Contestant, Evaluation, SuiteKind, grounding
from models.suites.asked import VERDICT
from models.suites.pairing import as_text, criteria_told, pairs, preference, rows_answers
from models.suites.retrieving import typical_texts
from models.suites.schema import Grounding, Judge

TYPICAL_CLAIMS = ["A claim of about the usual length, which names what it is about."] * 5
TYPICAL_QUESTION = "A question of about the usual length, as an answer suggests it?"


@dataclass(frozen=True, slots=True)
class Requested:
    """Requests of one likeness that a row will make."""

    body: dict[str, Any]
    count: int
    expected_output_tokens: int


@dataclass(frozen=True, slots=True)
class JudgingAhead:
    """The judges' part of what a row will ask; answers are made up where the row has none."""

    evaluation: Evaluation
    asked: Asked

    @property
    def rounds(self) -> int:
        """How many requests, one waiting for the other, follow the contestants' answers."""
        return {SuiteKind.PAIRWISE: 1, SuiteKind.GROUNDED: 2}.get(self.evaluation.suite.kind, 0)

    @property
    def own_fields(self) -> set[str]:
        """Fields that a row must have besides those that templates read."""
        judge = self.evaluation.suite.judge
        match self.evaluation.suite.kind:
            case SuiteKind.JUDGES if judge:
                return {judge.first, judge.second, judge.preference}
            case SuiteKind.PERPLEXITY:
                return {"messages"}
            case _:
                return set()

    @property
    def templates(self) -> list[str]:
        """The sources of all that is said of a row."""
        suite = self.evaluation.suite
        sources = _sources(suite.judge.ask) if suite.judge else []
        if suite.kind == SuiteKind.GROUNDED and suite.grounding:
            sources += [suite.grounding.question, suite.grounding.context or ""]
        return sources

    def check(self, row: dict[str, Any]) -> None:
        """Raises `RowProblem` for a row whose expert says nothing that can be compared, or whose
        answers leave nothing to judge."""
        suite = self.evaluation.suite
        if suite.kind == SuiteKind.JUDGES and suite.judge:
            preference(suite.judge, row)
            rows_answers(suite.judge, row)

    def requests(self, row: dict[str, Any]) -> Iterator[Requested]:
        """What the row will ask of judges; `RowProblem` if it cannot."""
        suite = self.evaluation.suite
        match suite.kind:
            case SuiteKind.PAIRWISE if suite.judge:
                yield from self._pairs(suite.judge, row)
            case SuiteKind.JUDGES if suite.judge:
                yield from self._rows_own(suite.judge, row)
            case SuiteKind.GROUNDED if suite.grounding:
                question = self.asked.text(suite.grounding.question, row)
                yield self._embeddings(suite.grounding, question, 1)
                for contestant in self.evaluation.contestants:
                    yield from self._grounds(suite.grounding, contestant, row)

    def _pairs(self, judge: Judge, row: dict[str, Any]) -> Iterator[Requested]:
        by_label = {one.label: one for one in self.evaluation.contestants}
        for pair in pairs(list(by_label)):
            texts = (as_text(self.asked.typical(by_label[label])) for label in pair)
            yield self._verdicts(judge, self.evaluation.judges[0], row, *texts)

    def _rows_own(self, judge: Judge, row: dict[str, Any]) -> Iterator[Requested]:
        preference(judge, row)
        for name in self.evaluation.judges:
            yield self._verdicts(judge, name, row, *rows_answers(judge, row))

    def _verdicts(
        self, judge: Judge, model: str, row: dict[str, Any], first: str, second: str
    ) -> Requested:
        """Both orders, at every attempt."""
        names: dict[str, Json] = {"first": first, "second": second}
        names["criteria"] = criteria_told(judge.criteria)
        if self.evaluation.suite.retrieval:
            names["context"] = list[Json](typical_texts(self.evaluation.suite.retrieval))
        return self._step(VERDICT, model, row, names, 2 * self.evaluation.attempts)

    def _grounds(
        self, told: Grounding, contestant: Contestant, row: dict[str, Any]
    ) -> Iterator[Requested]:
        judge, times = self.evaluation.judges[0], self.evaluation.attempts
        answer = as_text(self.asked.typical(contestant))
        question = self.asked.text(told.question, row)
        context = self.asked.text(told.context, row) if told.context else self._documents
        claims = {"question": question, "answer": answer}
        support = {"context": context, "claims": TYPICAL_CLAIMS}
        yield self._step(grounding.CLAIMS, judge, row, claims, times)
        yield self._step(grounding.SUPPORT, judge, row, support, times)
        yield self._step(grounding.BACK, judge, row, {"answer": answer}, times * told.questions)
        yield self._embeddings(told, TYPICAL_QUESTION, times * told.questions)

    @property
    def _documents(self) -> str:
        """What answers are given where the store says what they have to keep to."""
        retrieval = self.evaluation.suite.retrieval
        return "\n\n".join(typical_texts(retrieval)) if retrieval else ""

    def _step(
        self, step: str, model: str, row: dict[str, Any], names: dict[str, Json], count: int
    ) -> Requested:
        body = self.asked.request(step, model, row, names)
        return Requested(body, count, self.asked.expected_of(step))

    def _embeddings(self, told: Grounding, text: str, count: int) -> Requested:
        return Requested({"model": told.embed_model, "input": [text]}, count, 0)


def _sources(asking: Asking) -> list[str]:
    return [source for _, _, source in asking.templates()]
