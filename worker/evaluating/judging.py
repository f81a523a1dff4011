"""Answers before a judge, two at a time and in both orders."""

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from models.recipes.answers import Read
from models.recipes.problems import Problem, shorten
from models.recipes.strict_json import Json
from models.suites.asked import VERDICT
from models.suites.outcomes import FIRST, SECOND, Answer, Paid, Verdict
from models.suites.pairing import (
    as_text,
    both_orders,
    criteria_told,
    pairs,
    points_of,
    preference,
    rows_answers,
)
from models.suites.schema import Judge
from worker.evaluating.answering import answers, first_stop
from worker.evaluating.row import EvaluationRow, Stopped, together


@dataclass(frozen=True, slots=True)
class Shown:
    """Two answers as one verdict is asked about them. `context`: the documents they were given."""

    first: str
    second: str
    texts: tuple[str, str]
    attempt: int
    context: Sequence[str] = ()

    @property
    def names(self) -> dict[str, Json]:
        """What the judge's prompt reads besides the row and the criteria."""
        first, second = self.texts
        return {"first": first, "second": second, "context": list(self.context)}


async def judged_answers(row: EvaluationRow) -> Sequence[Answer | Verdict] | Stopped:
    """The contestants' answers, then what the judge gives them in pairs."""
    said = await answers(row)
    if not isinstance(said, list):
        return said
    judge = row.evaluation.judges[0]
    verdicts = await together(_verdicts(row, judge, said))
    given = [one for one in verdicts if isinstance(one, Verdict)]
    return first_stop(verdicts) or [*said, *given]


async def judges_compared(row: EvaluationRow) -> Sequence[Verdict] | Stopped:
    """What every judge gives the row's own two answers, beside the expert's preference."""
    told = _section(row)
    expert = preference(told, row.data)
    texts = dict(zip((FIRST, SECOND), rows_answers(told, row.data), strict=True))
    shown = [
        Shown(first, second, (texts[first], texts[second]), attempt)
        for attempt in range(1, row.evaluation.attempts + 1)
        for first, second in both_orders(FIRST, SECOND)
    ]
    wanted = [
        verdict(row, judge, one, expert=expert) for judge in row.evaluation.judges for one in shown
    ]
    found = await together(wanted)
    return first_stop(found) or [one for one in found if isinstance(one, Verdict)]


async def verdict(
    row: EvaluationRow, judge: str, shown: Shown, *, expert: float | None = None
) -> Verdict | Stopped:
    """One verdict. An invalid one is asked for once more, and then counted as what it is."""
    paid = Paid()
    criteria: Json = criteria_told(_section(row).criteria)
    names = {**shown.names, "criteria": criteria}
    read = await row.draw(VERDICT, judge, names, paid, attempt=shown.attempt)
    if not isinstance(read, Read | Problem):
        return read
    value = read.value if isinstance(read, Read) else {}
    problem = read if isinstance(read, Problem) else None
    return Verdict(
        judge=judge,
        first=shown.first,
        second=shown.second,
        attempt=shown.attempt,
        first_points=value.get("first"),
        second_points=value.get("second"),
        reason=shorten(str(value.get("reason", "")), 1000),
        problem=problem.code if problem else "",
        detail=shorten(problem.detail) if problem else "",
        expert=expert,
        paid=paid,
    )


def _section(row: EvaluationRow) -> Judge:
    judge = row.evaluation.suite.judge
    assert judge is not None, "a suite that judges has the section"
    return judge


def _verdicts(
    row: EvaluationRow, judge: str, said: Sequence[Answer]
) -> Iterator[Coroutine[Any, Any, Verdict | Stopped]]:
    by_draw = {(one.model, one.attempt): one for one in said}
    labels = list(dict.fromkeys(one.model for one in said))
    for attempt in range(1, row.evaluation.attempts + 1):
        for pair in pairs(labels):
            for first, second in both_orders(*pair):
                shown = by_draw[first, attempt], by_draw[second, attempt]
                yield _pair(row, judge, *shown)


async def _pair(row: EvaluationRow, judge: str, first: Answer, second: Answer) -> Verdict | Stopped:
    if first.problem or second.problem:
        return _unasked(row, judge, first, second)
    texts = as_text(first.value), as_text(second.value)
    either = sorted((first, second), key=lambda one: one.model)  # the same in both orders
    given = (row.shown.get((one.model, one.attempt), []) for one in either)
    context = tuple(dict.fromkeys(chain.from_iterable(given)))
    shown = Shown(first.model, second.model, texts, first.attempt, context)
    return await verdict(row, judge, shown)


def _unasked(row: EvaluationRow, judge: str, first: Answer, second: Answer) -> Verdict:
    """What an answer that cannot be used gets: nothing; and one beside it all there is."""
    criteria = _section(row).criteria
    silent = [one for one in (first, second) if one.problem]
    why = "; ".join(f"{one.model} gave no usable answer ({one.problem})" for one in silent)
    return Verdict(
        judge=judge,
        first=first.model,
        second=second.model,
        attempt=first.attempt,
        first_points=points_of(criteria, wins=not first.problem),
        second_points=points_of(criteria, wins=not second.problem),
        detail=shorten(f"the judge was not asked: {why}"),
        unasked=True,
    )
