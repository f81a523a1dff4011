"""A contestant answers a row: prompted, with documents where the suite has some, read strictly."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.payloads import Failed, Snoozed, Submitted
from models.recipes.answers import Choice, Read
from models.recipes.problems import Problem, shorten
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.letters import letter_in
from models.suites.outcomes import Answer, Paid
from models.suites.reading import gold_label, label_in
from models.suites.retrieving import Ranked
from models.suites.schema import Contestant
from models.suites.shuffling import Option, gold_letter, order_shown, shown_options
from worker.evaluating.retrieving import Reading, reading_of
from worker.evaluating.row import EvaluationRow, Stopped, together
from worker.evaluating.turns import Desk, conversed

MOST_TEXT = 20_000
"""Characters of an answer that its record keeps; the ledger has all of it."""


@dataclass(frozen=True, slots=True)
class Given:
    """What all answers to a row have in common: the right one, and what was found for it."""

    gold: Json = None
    reading: Reading | None = None
    found: Sequence[Ranked] = ()


async def answers(row: EvaluationRow) -> list[Answer] | Stopped:
    """Every contestant's answer at every attempt, asked for at the same time; or why not."""
    given = await _given(row)
    if not isinstance(given, Given):
        return given
    told = row.evaluation
    wanted = [
        answer(row, contestant, attempt, given)
        for contestant in told.contestants
        for attempt in range(1, told.attempts + 1)
    ]
    found = await together(wanted)
    return first_stop(found) or [one for one in found if isinstance(one, Answer)]


async def answer(
    row: EvaluationRow, contestant: Contestant, attempt: int, given: Given
) -> Answer | Stopped:
    """One answer. What cannot be used is an answer with a problem."""
    paid = Paid()
    options = _options(row, attempt)
    desk = _desk(row, contestant, given)
    names: dict[str, Json] = {"context": list(desk.texts)} if desk else {}
    names["options"] = [{"letter": one.letter, "text": one.text} for one in options]
    body = row.asked.question(contestant, row.data, names)
    if desk is not None and row.asked.may_look_up(contestant):
        choice = await conversed(row, contestant, body, paid, desk, attempt)
    else:
        choice = await row.ask(contestant.label, body, paid, attempt=attempt)
    if not isinstance(choice, Choice | Problem):
        return choice
    row.shown[contestant.label, attempt] = desk.texts if desk else []
    read = row.asked.answer(contestant, choice) if isinstance(choice, Choice) else choice
    said = choice.content or "" if isinstance(choice, Choice) else ""
    value = _read_strictly(row, read, said, options)
    problem = value if isinstance(value, Problem) else None
    return Answer(
        model=contestant.label,
        attempt=attempt,
        text=said[:MOST_TEXT],
        value=value.value if isinstance(value, Read) else None,
        gold=given.gold,
        problem=problem.code if problem else "",
        detail=shorten(problem.detail) if problem else "",
        paid=paid,
        order=order_shown(options),
        retrieved=desk.retrieved if desk else [],
        lookups=desk.lookups if desk else [],
    )


async def _given(row: EvaluationRow) -> Given | Stopped:
    """The right answer, then the documents; a row without the one is not paid for."""
    gold = _gold(row)
    reading = await reading_of(row)
    if not isinstance(reading, Reading):
        return reading or Given(gold)
    contestants = row.evaluation.contestants
    if not any(row.asked.reads(one, "context") for one in contestants):
        return Given(gold, reading)
    found = await reading.found(reading.query())
    return Given(gold, reading, found) if isinstance(found, list) else found


def _gold(row: EvaluationRow) -> Json:
    suite = row.evaluation.suite
    if suite.classification is not None:
        return gold_label(suite.classification, row.data)
    return gold_letter(suite.choice, row.data) if suite.choice is not None else None


def _options(row: EvaluationRow, attempt: int) -> list[Option]:
    """As the attempt shows them, to all contestants alike."""
    suite = row.evaluation.suite
    if suite.choice is None:
        return []
    row_id = row.run.row.row_id
    return shown_options(suite.choice, row.data, seed=suite.seed, row_id=row_id, attempt=attempt)


def _desk(row: EvaluationRow, contestant: Contestant, given: Given) -> Desk | None:
    """The contestant's documents: those found for the row, if its prompt reads them."""
    reading = given.reading
    if reading is None:
        return None
    desk = Desk(reading, reading.told.context_tokens)
    if row.asked.reads(contestant, "context"):
        desk.put(given.found)
    return desk


def _read_strictly(
    row: EvaluationRow, read: Read | Problem, said: str, options: Sequence[Option]
) -> Read | Problem:
    """The label or the letter that an answer says; other kinds take it as it is."""
    suite = row.evaluation.suite
    is_cut = isinstance(read, Problem) and read.code == FailureCode.TRUNCATED
    if isinstance(read, Problem) and not (is_cut and said):
        return read
    value = read.value if isinstance(read, Read) else said  # much is said in the first words
    if suite.classification is not None:
        found = label_in(suite.classification, value)
    elif suite.choice is not None:
        found = letter_in(options, value, is_cut=is_cut)
    else:
        return read
    return read if is_cut and isinstance(found, Problem) and options else found


def first_stop(found: Sequence[object]) -> Stopped | None:
    """What ends the row, if anything does: a named failure says most, then that it was stopped."""
    for kind in (Failed, Snoozed, Submitted):
        for one in found:
            if isinstance(one, kind):
                return one
    return None
