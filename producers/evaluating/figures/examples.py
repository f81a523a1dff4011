"""Rows worth showing: a seeded choice of those where models differ, read in one pass."""

import heapq
import json
import random
from collections.abc import Mapping, Sequence
from typing import Protocol

from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.suites import Asked, Evaluation, SuiteKind
from models.suites.outcomes import FIRST, Answer, Grounds, Outcome, Verdict
from producers.evaluating.report import Example

MOST = 20
MOST_TEXT = 1_500
"""Characters of a question or an answer that are shown."""


class Row(Protocol):
    """A done row."""

    @property
    def row_id(self) -> str:
        """As in the input."""

    @property
    def data(self) -> Mapping[str, Json]:
        """The row as the user wrote it."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What became of it."""


class Examples:
    """Keeps the rows that say most: where one model is right and another wrong, or wins, before
    those where answers only read differently; among equals chance decides, by the seed."""

    def __init__(self, evaluation: Evaluation, asked: Asked, seed: int) -> None:
        self._evaluation = evaluation
        self._asked = asked
        self._random = random.Random(seed)  # noqa: S311 # which rows are shown is no secret
        self._kept: list[tuple[int, float, int, Example]] = []

    def consider(self, place: int, row: Row) -> None:
        """Keeps the row if it says more than one kept so far."""
        worth, chance = worth_of(self._evaluation.suite.kind, row.outcomes), self._random.random()
        if not worth:
            return
        if len(self._kept) == MOST and (worth, chance) < self._kept[0][:2]:
            return
        kept = (worth, chance, place, self._example(row))
        if len(self._kept) < MOST:
            heapq.heappush(self._kept, kept)
        else:
            heapq.heapreplace(self._kept, kept)

    def chosen(self) -> list[Example]:
        """Those that differ most first, in the order of the input."""
        return [one[-1] for one in sorted(self._kept, key=lambda kept: (-kept[0], kept[2]))]

    def _example(self, row: Row) -> Example:
        answers = [one for one in row.outcomes if isinstance(one, Answer)]
        attempts = max((one.attempt for one in answers), default=1)
        gold = next((str(one.gold) for one in answers if one.gold is not None), "")
        return Example(
            row_id=row.row_id,
            question=cut(question_of(self._evaluation, self._asked, row.data)),
            gold=cut(gold),
            answers=[*map(_shown, _first_ones(answers))] or _judged(row.outcomes),
            note=" ".join(_notes(answers, attempts, row.outcomes)),
        )


def worth_of(kind: SuiteKind, outcomes: Sequence[Outcome]) -> int:
    """2: one is right where another is wrong, or wins; 1: they only read differently; 0: alike."""
    if kind == SuiteKind.JUDGES:
        return 2 if len({right for _, _, right in _judged(outcomes)}) > 1 else 0
    answers = [one for one in outcomes if isinstance(one, Answer)]
    if len({one.model for one in answers}) < 2:
        return 0
    if _is_decided(answers, outcomes):
        return 2
    first = _first_ones(answers)
    return int(len({_said(one) for one in first}) > 1)


def question_of(evaluation: Evaluation, asked: Asked, data: Mapping[str, Json]) -> str:
    """What the row asks, as people read it: by the suite's own template, else the row's fields."""
    suite = evaluation.suite
    named = [
        suite.classification and suite.classification.user_text,
        suite.grounding and suite.grounding.question,
        suite.retrieval and suite.retrieval.query,
    ]
    source = next((one for one in named if one), None)
    if source is not None and not suite.choice:
        try:
            return asked.text(source, dict(data))
        except RowProblem:
            pass  # the row was asked all the same: its fields have to do
    hidden = {section.gold for section in (suite.classification, suite.choice) if section}
    hidden |= {suite.input.id} if suite.input.id else set()
    shown = {name: value for name, value in data.items() if name not in hidden}
    return "\n".join(f"{name}: {_told(value)}" for name, value in shown.items())


def cut(text: str) -> str:
    """At most `MOST_TEXT` characters; lines are kept."""
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def _is_decided(answers: Sequence[Answer], outcomes: Sequence[Outcome]) -> bool:
    scored = [one for one in answers if one.gold is not None]
    rights = {one.model: 0.0 for one in scored}
    for one in scored:
        rights[one.model] += one.value == one.gold
    leads = [net for net in _net_points(outcomes).values() if net]
    supported = {one.faithfulness for one in outcomes if isinstance(one, Grounds)}
    return len(set(rights.values())) > 1 or bool(leads) or len(supported) > 1


def _net_points(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], int]:
    """By pair of names: what the one has more than the other, over both orders."""
    net: dict[tuple[str, str], int] = {}
    for one in outcomes:
        if isinstance(one, Verdict) and one.first_points and one.second_points:
            lead = sum(one.first_points.values()) - sum(one.second_points.values())
            turned = one.first > one.second
            pair = (one.second, one.first) if turned else (one.first, one.second)
            net[pair] = net.get(pair, 0) + (-lead if turned else lead)
    return net


def _first_ones(answers: Sequence[Answer]) -> list[Answer]:
    first = min((one.attempt for one in answers), default=1)
    return [one for one in answers if one.attempt == first]


def _said(answer: Answer) -> str:
    return str(answer.value) if answer.value is not None else f"({answer.problem}) {answer.text}"


def _shown(answer: Answer) -> tuple[str, str, bool | None]:
    text = answer.text or _told(answer.value if answer.value is not None else "")
    if answer.problem:
        text = f"[{answer.problem}] {text or answer.detail}"
    right = None if answer.gold is None else answer.value == answer.gold
    return answer.model, cut(text), right


def _judged(outcomes: Sequence[Outcome]) -> list[tuple[str, str, bool | None]]:
    """Kind judges: by judge, its lead for the row's first answer, and whether the expert agrees."""
    leads: dict[str, int] = {}
    expert = 0.0
    for one in outcomes:
        if isinstance(one, Verdict) and one.expert is not None:
            expert = one.expert
            if one.first_points is not None and one.second_points is not None:
                lead = sum(one.first_points.values()) - sum(one.second_points.values())
                leads[one.judge] = leads.get(one.judge, 0) + (lead if one.first == FIRST else -lead)
    return [
        (judge, _preferred(lead), _sign(lead) == _sign(expert)) for judge, lead in leads.items()
    ]


def _preferred(lead: float) -> str:
    return ("a tie", "the first", "the second")[_sign(lead)]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _notes(answers: Sequence[Answer], attempts: int, outcomes: Sequence[Outcome]) -> Sequence[str]:
    notes = []
    if attempts > 1:
        right = {one.model: 0 for one in answers if one.gold is not None}
        for one in answers:
            if one.gold is not None and one.value == one.gold:
                right[one.model] += 1
        told = [f"{model} right {times} of {attempts} times" for model, times in right.items()]
        notes.append(f"The first of {attempts} attempts is shown{': ' if told else ''}")
        notes[-1] += "; ".join(told) + "."
    for (first, second), net in _net_points(outcomes).items():
        if answers and net:
            winner = first if net > 0 else second
            notes.append(f"The judge gives {winner} {abs(net)} points more, over both orders.")
    return notes


def _told(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
