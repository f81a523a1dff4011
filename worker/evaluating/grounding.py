"""Whether answers keep to their context and to their question: claims, verdicts, questions back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from models.recipes.answers import Read
from models.recipes.problems import Problem, RowProblem, shorten
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites import grounding as rules
from models.suites.outcomes import Answer, Grounds, Paid
from models.suites.pairing import as_text
from models.suites.schema import Grounding
from worker.evaluating.answering import answers, first_stop
from worker.evaluating.row import Check, EvaluationRow, Stopped, together

NO_CLAIMS = "the answer claims nothing"
NO_DIRECTION = "a question's embedding is all zeros"


@dataclass(frozen=True, slots=True)
class Faithful:
    """How many claims an answer makes, and how many of them its context supports."""

    claims: int = 0
    supported: int = 0
    problem: Problem | None = None

    @property
    def score(self) -> float | None:
        """The share, where every claim has its verdict."""
        return None if self.problem else rules.faithfulness(self.supported, self.claims)


@dataclass(frozen=True, slots=True)
class Relevant:
    """How near the question is to those that the answer would fit."""

    score: float | None = None
    noncommittal: bool = False
    problem: Problem | None = None


async def grounded_answers(row: EvaluationRow) -> Sequence[Answer | Grounds] | Stopped:
    """The contestants' answers, and what each of them stands on."""
    question = _filled(row, "grounding.question", _section(row).question)
    said = await answers(row)
    if not isinstance(said, list):
        return said
    found = await together(grounds(row, question, one) for one in said)
    given = [one for one in found if isinstance(one, Grounds)]
    return first_stop(found) or [*said, *given]


async def grounds(row: EvaluationRow, question: str, answer: Answer) -> Grounds | Stopped:
    """Both figures of one answer, asked for at the same time."""
    told = partial(Grounds, answer.model, answer.attempt, row.evaluation.judges[0])
    if answer.problem:
        detail = f"the answer cannot be used: {answer.detail}"
        return told(relevancy=0.0, noncommittal=True, problem=answer.problem, detail=detail)
    asking = _Asking(row, question, answer, Paid())
    faithful, relevant = await together([asking.faithfulness(), asking.relevancy()])
    if stopped := first_stop([faithful, relevant]):
        return stopped
    assert isinstance(faithful, Faithful)
    assert isinstance(relevant, Relevant)
    asking.paid.keys.sort()  # asked at once, they came as chance had it
    problems = [one for one in (faithful.problem, relevant.problem) if one]
    details = [one.detail for one in problems]
    if not faithful.claims and not faithful.problem:
        details.append(NO_CLAIMS)
    return told(
        claims=faithful.claims,
        supported=faithful.supported,
        faithfulness=faithful.score,
        relevancy=relevant.score,
        noncommittal=relevant.noncommittal,
        problem=problems[0].code if problems else "",
        detail=shorten("; ".join(details)),
        paid=asking.paid,
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    """One answer under examination."""

    row: EvaluationRow
    question: str
    answer: Answer
    paid: Paid

    async def faithfulness(self) -> Faithful | Relevant | Stopped:
        """Its claims, each against the context."""
        text = as_text(self.answer.value)
        read = await self._draw(rules.CLAIMS, {"question": self.question, "answer": text})
        if isinstance(read, Problem):
            return Faithful(problem=_named("its claims", read))
        if not isinstance(read, Read):
            return read
        claims = read.value["claims"]
        context = _context(self.row, self.answer)
        if not claims or not context:  # nothing to check, or nothing that could support it
            return Faithful(len(claims))
        read = await self._draw(
            rules.SUPPORT,
            {"context": context, "claims": claims},
            lambda value: rules.complaint_about(value, len(claims)),
        )
        if isinstance(read, Problem):
            return Faithful(len(claims), problem=_named("the verdicts on its claims", read))
        return (
            Faithful(len(claims), rules.supported(read.value)) if isinstance(read, Read) else read
        )

    async def relevancy(self) -> Faithful | Relevant | Stopped:
        """Questions that it would answer, against the one that was asked."""
        read = await self._questions_back()
        if isinstance(read, Problem):
            return Relevant(problem=_named("a question back", read))
        if not isinstance(read, list):
            return read
        noncommittal = [one["noncommittal"] for one in read]
        if all(noncommittal):
            return Relevant(0.0, noncommittal=True)
        texts = [self.question, *(one["question"] for one in read)]
        vectors = await together(self._vector(text) for text in texts)
        if stopped := first_stop(vectors):
            return stopped
        first, *others = (one for one in vectors if isinstance(one, list))
        score = rules.relevancy(first, others, noncommittal=noncommittal)
        unknown = Problem(FailureCode.INVALID_ANSWER, NO_DIRECTION) if score is None else None
        return Relevant(score, problem=unknown)

    async def _questions_back(self) -> list[dict[str, Json]] | Problem | Stopped:
        """As many draws of one prompt; all of them usable, or the first problem."""
        count = _section(self.row).questions
        names = {"answer": as_text(self.answer.value)}
        begin = (self.answer.attempt - 1) * count + 1
        found = await together(
            self._draw(rules.BACK, names, draw=draw) for draw in range(begin, begin + count)
        )
        problem = next((one for one in found if isinstance(one, Problem)), None)
        return first_stop(found) or problem or [one.value for one in found if isinstance(one, Read)]

    async def _draw(
        self,
        step: str,
        names: Mapping[str, Json],
        check: Check | None = None,
        *,
        draw: int | None = None,
    ) -> Read | Problem | Stopped:
        judge, attempt = self.row.evaluation.judges[0], draw or self.answer.attempt
        return await self.row.draw(step, judge, names, self.paid, attempt=attempt, check=check)

    async def _vector(self, text: str) -> list[float] | Stopped:
        return await self.row.vector(_section(self.row).embed_model, text, self.paid)


def _section(row: EvaluationRow) -> Grounding:
    told = row.evaluation.suite.grounding
    assert told is not None, "a suite that grounds has the section"
    return told


def _context(row: EvaluationRow, answer: Answer) -> str:
    """What the answer has to keep to: the template's text, or the documents it was given."""
    told = _section(row)
    if told.context:
        return _filled(row, "grounding.context", told.context)
    return "\n\n".join(row.shown.get((answer.model, answer.attempt), []))


def _filled(row: EvaluationRow, key: str, source: str) -> str:
    text = row.asked.text(source, row.data)
    if not text:
        raise RowProblem(FailureCode.BAD_ROW, f"{key}: the text is empty")
    return text


def _named(what: str, problem: Problem) -> Problem:
    return Problem(problem.code, f"{what}: {problem.detail}")
