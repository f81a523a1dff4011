"""Rows as they are read become columns of numbers: no object outlives its row but the examples.

Ten models at three attempts and ten thousand rows are some 30 MB.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from models.recipes.problems import RowProblem
from models.recipes.strict_json import Json
from models.suites import Asked, Evaluation, SuiteKind
from models.suites.outcomes import FIRST, SECOND, Answer, Grounds, Loss, Outcome, Paid, Verdict
from producers.evaluating.figures.examples import Examples
from producers.evaluating.figures.resampling import Floats
from producers.evaluating.report import Example
from producers.tokens import token_counter

PAID = ("calls", "latency_ms", "prompt_tokens", "completion_tokens", "cost_nano")
ANSWERED = ("right", "value", "gold", "chosen_at", "right_at", "problem", "characters", *PAID)
GROUNDED = ("faithfulness", "relevancy", "claims", "supported", "noncommittal", "problem", *PAID)
LOST = ("tokens", "nll", "problem")
JUDGED = ("row", "attempt", "judge", "first", "second", "first_points", "second_points")
INVALID = -1.0
"""The code of a value that there is not."""


class Found(Protocol):
    """A done row: `producers.evaluating.evaluating.RowFound`."""

    @property
    def row_id(self) -> str:
        """As in the input."""

    @property
    def data(self) -> Mapping[str, Json]:
        """The row as the user wrote it."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """What became of it."""


class Codes:
    """Words as numbers, in the order of their coming; those of `known` first."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self.words = list(known)
        self._places = {word: place for place, word in enumerate(self.words)}

    def of(self, word: Json) -> float:
        """The word's number; `INVALID` for none."""
        if word is None or word == "":
            return INVALID
        text = str(word)
        if text not in self._places:
            self._places[text] = len(self.words)
            self.words.append(text)
        return float(self._places[text])


class Grid:
    """Numbers by row, model and attempt; NaN where nothing was told."""

    def __init__(self, models: int, attempts: int, names: Sequence[str]) -> None:
        self._shape = (models, attempts, len(names))
        self._names = {name: place for place, name in enumerate(names)}
        self._blank = array("d", [math.nan]) * math.prod(self._shape)
        self._cells = array("d")

    def open_row(self) -> None:
        """What is put from now on is the next row's."""
        self._cells.extend(self._blank)

    def put(self, model: int, attempt: int, values: Mapping[str, float]) -> None:
        """Sets numbers of the row in hand; attempts count from 1."""
        _models, attempts, width = self._shape
        start = len(self._cells) - len(self._blank) + (model * attempts + attempt - 1) * width
        for name, value in values.items():
            self._cells[start + self._names[name]] = value

    def of(self, name: str) -> Floats:
        """(rows, models, attempts)."""
        cells = np.frombuffer(self._cells) if self._cells else np.empty(0)
        return cells.reshape(-1, *self._shape)[..., self._names[name]]


class Log:
    """Numbers that come in any order and amount: columns that grow."""

    def __init__(self, names: Sequence[str]) -> None:
        self._columns = {name: array("d") for name in names}

    def put(self, values: Mapping[str, float]) -> None:
        """One more line; NaN for what it does not tell."""
        for name, column in self._columns.items():
            column.append(values.get(name, math.nan))

    def of(self, name: str) -> Floats:
        """The column."""
        column = self._columns[name]
        return np.frombuffer(column) if column else np.empty(0)


class Gathered:
    """What all rows of an evaluation became, as numbers, with the examples worth showing."""

    def __init__(self, evaluation: Evaluation, seed: int) -> None:
        suite = evaluation.suite
        self.evaluation = evaluation
        self.seed = seed
        self.labels = labels_of(evaluation)
        self.attempts = evaluation.attempts
        self.rows = 0
        self.values = Codes(suite.classification.labels if suite.classification else ())
        self.problems = Codes()
        self.criteria = [one.name for one in suite.judge.criteria] if suite.judge else []
        models = len(self.labels)
        self.answers = Grid(models, self.attempts, ANSWERED)
        self.grounds = Grid(models, self.attempts, GROUNDED)
        self.losses = Grid(models, 1, LOST)
        points = [f"{side}.{name}" for side in ("first", "second") for name in self.criteria]
        self.verdicts = Log([*JUDGED, "unasked", "problem", "expert", *PAID, *points])
        self.user_tokens = array("d")
        """Per row: tokens of the text that any model has to read."""
        self._asked = Asked(evaluation)
        self._places = {label: place for place, label in enumerate(self.labels)}
        self._judges = {name: place for place, name in enumerate(evaluation.judges)}
        judges_compared = suite.kind == SuiteKind.JUDGES
        self._sides = {FIRST: 0, SECOND: 1} if judges_compared else self._places
        self._examples = Examples(evaluation, self._asked, seed)

    @property
    def examples(self) -> list[Example]:
        """Rows where models differ, in the order of the input."""
        return self._examples.chosen()

    @property
    def is_codable(self) -> bool:
        """Whether answers are one of few words, which can be counted."""
        return self.evaluation.suite.kind in (SuiteKind.CLASSIFICATION, SuiteKind.CHOICE)

    def add(self, row: Found) -> None:
        """Reads one row."""
        for grid in (self.answers, self.grounds, self.losses):
            grid.open_row()
        self.user_tokens.append(self._user_tokens(row.data))
        for outcome in row.outcomes:
            match outcome:
                case Answer():
                    self._add_answer(outcome)
                case Verdict():
                    self._add_verdict(outcome)
                case Grounds():
                    self._add_grounds(outcome)
                case Loss():
                    self._add_loss(outcome)
        self._examples.consider(self.rows, row)
        self.rows += 1

    def _add_answer(self, told: Answer) -> None:
        place = self._places.get(told.model)
        if place is None or not 1 <= told.attempt <= self.attempts:
            return
        numbers = {**self._judged(told), **_paid(told.paid)}
        numbers["problem"] = self.problems.of(told.problem)
        numbers["characters"] = len(told.text)
        self.answers.put(place, told.attempt, numbers)

    def _judged(self, told: Answer) -> dict[str, float]:
        if not self.is_codable:
            return {}
        return {
            "right": is_right(told),
            "value": self.values.of(told.value),
            "gold": self.values.of(told.gold),
            "chosen_at": shown_at(told, told.value),
            "right_at": shown_at(told, told.gold),
        }

    def _add_verdict(self, told: Verdict) -> None:
        sides = {"first": told.first_points, "second": told.second_points}
        numbers = {
            "row": float(self.rows),
            "attempt": float(told.attempt),
            "judge": float(self._judges.get(told.judge, INVALID)),
            "first": float(self._sides.get(told.first, INVALID)),
            "second": float(self._sides.get(told.second, INVALID)),
            "unasked": float(told.unasked),
            "problem": self.problems.of(told.problem),
            "expert": math.nan if told.expert is None else told.expert,
            **_paid(told.paid),
        }
        for side, points in sides.items():
            if points is not None:
                numbers[f"{side}_points"] = float(sum(points.values()))
                numbers |= {f"{side}.{name}": float(value) for name, value in points.items()}
        self.verdicts.put(numbers)

    def _add_grounds(self, told: Grounds) -> None:
        place = self._places.get(told.model)
        if place is None or not 1 <= told.attempt <= self.attempts:
            return
        numbers = {
            "faithfulness": _number(told.faithfulness),
            "relevancy": _number(told.relevancy),
            "claims": float(told.claims),
            "supported": float(told.supported),
            "noncommittal": float(told.noncommittal),
            "problem": self.problems.of(told.problem),
            **_paid(told.paid),
        }
        self.grounds.put(place, told.attempt, numbers)

    def _add_loss(self, told: Loss) -> None:
        place = self._places.get(told.model)
        if place is None:
            return
        problem = self.problems.of(told.problem)
        usable = not told.problem and told.tokens > 0 and math.isfinite(told.nll)
        known = {"tokens": float(told.tokens), "nll": told.nll} if usable else {}
        self.losses.put(place, 1, {**known, "problem": problem})

    def _user_tokens(self, data: Mapping[str, Json]) -> float:
        told = self.evaluation.suite.classification
        if told is None or told.user_text is None:
            return math.nan
        try:
            text = self._asked.text(told.user_text, dict(data))
        except RowProblem:  # asked all the same: its prompts do without
            return math.nan
        return float(token_counter().count(text))


def gather(evaluation: Evaluation, found: Iterable[Found], seed: int) -> Gathered:
    """Reads all rows, once, in constant memory but for some numbers of each."""
    gathered = Gathered(evaluation, seed)
    for row in found:
        gathered.add(row)
    return gathered


def labels_of(evaluation: Evaluation) -> list[str]:
    """Who is under test: the contestants, or the judges where judges are."""
    if evaluation.suite.kind == SuiteKind.JUDGES:
        return list(evaluation.judges)
    return [contestant.label for contestant in evaluation.contestants]


def is_right(told: Answer) -> float:
    """1 or 0; an answer that cannot be used is wrong. NaN where nothing says what is right."""
    return math.nan if told.gold is None else float(told.value == told.gold)


def shown_at(told: Answer, letter: Json) -> float:
    """Where an option stood, from 0; `INVALID` where none is named."""
    if not isinstance(letter, str) or len(letter) != 1:
        return INVALID
    return float(told.order.find(letter) if told.order else ord(letter.upper()) - ord("A"))


def _paid(paid: Paid) -> dict[str, float]:
    return {
        "calls": float(paid.calls),
        "latency_ms": float(paid.latency_ms),
        "prompt_tokens": float(paid.prompt_tokens),
        "completion_tokens": float(paid.completion_tokens),
        "cost_nano": math.nan if paid.cost_nano is None else float(paid.cost_nano),
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
