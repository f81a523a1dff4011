"""Rows of an evaluation that two of its models answered, as reviewers shall read them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from models.errors import BadInputError
from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.suites import Asked, Contestant, Evaluation
from models.suites.outcomes import Answer
from models.suites.pairing import as_text
from producers.evaluating.evaluating import RowFound
from producers.evaluating.figures.examples import question_of
from producers.reviewing.choosing import Candidate

_NOT_ASKED = ("messages", "meta")
"""Fields of a dataset's rows: the first holds the answer that was hoped for."""


def two_of(evaluation: Evaluation, named: Sequence[str]) -> tuple[Contestant, Contestant]:
    """The two contestants that are judged. `BadInputError` where it is not clear which."""
    known = {one.label: one for one in evaluation.contestants}
    told = ", ".join(known) or "none"
    unknown = [name for name in named if name not in known]
    if unknown:
        raise BadInputError(f"the evaluation did not ask {unknown[0]!r}, but {told}")
    chosen = list(dict.fromkeys(named)) or list(known)
    if len(chosen) != 2:
        raise BadInputError(f"a review is between two models: name two of {told} (--models A,B)")
    first, second = (known[name] for name in chosen)
    return first, second


def candidates(
    evaluation: Evaluation, pair: tuple[Contestant, Contestant], found: Iterable[RowFound]
) -> Iterator[Candidate]:
    """The rows that both answered, at the first attempt at which both have a usable answer."""
    asked = Asked(evaluation)
    for row in found:
        texts = _both(row, pair)
        if texts is not None:
            yield Candidate(row.row_id, _asked_of(asked, pair, row.data), *texts)


def _both(row: RowFound, pair: tuple[Contestant, Contestant]) -> tuple[str, str] | None:
    first, second = (_by_attempt(row, one.label) for one in pair)
    shared = sorted(first.keys() & second.keys())
    return (first[shared[0]], second[shared[0]]) if shared else None


def _by_attempt(row: RowFound, label: str) -> dict[int, str]:
    answers = [one for one in row.outcomes if isinstance(one, Answer) and one.model == label]
    texts = {one.attempt: _text(one) for one in answers if not one.problem}
    return {attempt: text for attempt, text in texts.items() if text.strip()}


def _text(answer: Answer) -> str:
    """What was said; a function's arguments where it said nothing."""
    if answer.text.strip() or answer.value is None:
        return answer.text
    return as_text(answer.value)


def _asked_of(asked: Asked, pair: tuple[Contestant, Contestant], data: Mapping[str, Json]) -> str:
    """What both answered: the suite's own words for it, else what both were told (of a model
    without guidelines the other's is a part), else the row's fields."""
    suite = asked.suite
    has_words = bool(suite.classification and suite.classification.user_text)
    if not (has_words or suite.grounding or suite.retrieval or suite.choice):
        short, long = sorted((_prompt(asked, one, data) for one in pair), key=len)
        if short and short in long:
            return short
    shown = {name: value for name, value in data.items() if name not in _NOT_ASKED}
    return question_of(asked.evaluation, asked, shown or data)


def _prompt(asked: Asked, contestant: Contestant, data: Mapping[str, Json]) -> str:
    try:
        body = asked.question(contestant, dict(data), {})
    except RowProblem:
        return ""
    return str(body["messages"][-1]["content"])
