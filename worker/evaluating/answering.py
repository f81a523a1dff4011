"""A contestant answers a row: prompted, asked, read strictly."""

import asyncio
from collections.abc import Mapping, Sequence

from models.payloads import Failed, Snoozed, Submitted
from models.recipes.answers import Choice, Read
from models.recipes.problems import Problem, shorten
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.outcomes import Answer, Paid
from models.suites.reading import gold_label, label_in
from models.suites.schema import Contestant
from worker.evaluating.row import EvaluationRow, Stopped

MOST_TEXT = 20_000
"""Characters of an answer that its record keeps; the ledger has all of it."""


async def answers(row: EvaluationRow) -> list[Answer] | Stopped:
    """Every contestant's answer at every attempt, asked for at the same time; or why not."""
    told = row.evaluation
    wanted = [
        answer(row, contestant, attempt)
        for contestant in told.contestants
        for attempt in range(1, told.attempts + 1)
    ]
    found = await asyncio.gather(*wanted)
    return first_stop(found) or [one for one in found if isinstance(one, Answer)]


async def answer(row: EvaluationRow, contestant: Contestant, attempt: int) -> Answer | Stopped:
    """One answer. What cannot be used is an answer with a problem."""
    paid = Paid()
    names: Mapping[str, Json] = {}
    body = row.asked.question(contestant, row.data, names)
    choice = await row.ask(contestant.label, body, paid, attempt=attempt)
    if not isinstance(choice, Choice | Problem):
        return choice
    read = row.asked.answer(contestant, choice) if isinstance(choice, Choice) else choice
    said = choice.content or "" if isinstance(choice, Choice) else ""
    return _judged(row, contestant, attempt, read, said, paid)


def _judged(
    row: EvaluationRow,
    contestant: Contestant,
    attempt: int,
    read: Read | Problem,
    said: str,
    paid: Paid,
) -> Answer:
    value, gold = None, None
    told = row.evaluation.suite.classification
    if told is not None:
        gold = gold_label(told, row.data)
        if isinstance(read, Problem) and read.code == FailureCode.TRUNCATED and said:
            read = Read(said)  # a label is said in the first words
        if isinstance(read, Read):
            read = label_in(told, read.value)
    if isinstance(read, Read):
        value = read.value
    problem = read if isinstance(read, Problem) else None
    return Answer(
        model=contestant.label,
        attempt=attempt,
        text=said[:MOST_TEXT],
        value=value,
        gold=gold,
        problem=problem.code if problem else "",
        detail=shorten(problem.detail) if problem else "",
        paid=paid,
    )


def first_stop(found: Sequence[object]) -> Stopped | None:
    """What ends the row, if anything does: a named failure says most, then that it was stopped."""
    for kind in (Failed, Snoozed, Submitted):
        for one in found:
            if isinstance(one, kind):
                return one
    return None
