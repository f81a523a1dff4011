"""Reading answers strictly: what says a label says it, and what says two says none. Pure."""

import re
from collections.abc import Mapping

from models.recipes.answers import Read
from models.recipes.problems import Problem, RowProblem, shorten
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.schema import Classification

_EDGES = " \t\r\n.,;:!?\"'`*_()[]{}<>«»“”‘’"  # quotes that models put around labels


def gold_label(told: Classification, row: Mapping[str, Json]) -> str:
    """The row's own label; `RowProblem` if it has none of the suite's."""
    given = row.get(told.gold)
    label = _labels(told).get(_plain(given)) if isinstance(given, str | int | float) else None
    if label is None:
        known = ", ".join(told.labels)
        raise RowProblem(
            FailureCode.BAD_ROW, f"{told.gold} is {given!r}, and none of the labels ({known})"
        )
    return label


def label_in(told: Classification, value: Json) -> Read | Problem:
    """The label that an answer says: a JSON answer by its one value, a text as a whole.

    A longer text says a label if it names exactly one of them, as words of their own.
    """
    if isinstance(value, dict):
        value = value.get(told.gold, next(iter(value.values()), None))
    labels = _labels(told)
    text = _plain(value)
    if text in labels:
        return Read(labels[text])
    named = {label for word, label in labels.items() if _names(word, text)}
    named -= {one for one in named if any(one != other and _covers(other, one) for other in named)}
    if len(named) == 1:
        return Read(named.pop())
    why = f"names {len(named)} of the labels" if named else "names none of the labels"
    return Problem(FailureCode.INVALID_ANSWER, f"{shorten(repr(value), 120)} {why}")


def _labels(told: Classification) -> dict[str, str]:
    said = {_plain(label): label for label in told.labels}
    for label, words in told.words.items():
        said.update({_plain(word): label for word in words})
    return said


def _plain(value: Json) -> str:
    return " ".join(str(value).casefold().strip(_EDGES).replace("_", " ").split())


def _names(word: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def _covers(longer: str, shorter: str) -> bool:
    """`not news` names `news` as well, and means only itself."""
    return _names(_plain(shorter), _plain(longer))
