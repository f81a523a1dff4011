"""Reading answers strictly: what says a label says it, and what says two says none. Pure."""

import re
from collections.abc import Mapping

from models.recipes.answers import Read
from models.recipes.problems import Problem, RowProblem, shorten
from models.recipes.strict_json import Json
from models.states import FailureCode
from models.suites.letters import json_in
from models.suites.schema import Classification
from models.suites.wordings import THOUGHT

_EDGES = " \t\r\n.,;:!?\"'`*_()[]{}<>«»“”‘’"  # quotes that models put around labels
_WITHIN = re.compile(r"(?<=[^\W\d])[-\u2010\u2011](?=[^\W\d])")
_DENIAL = r"(?:not|non|never|neither|nor|nicht|keine?|pas|\w+n't) (?:(?:a|an|the|really|very) )?"
_TAKEN = "\0"  # in place of a word that was found, so that what it holds is not found again


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

    A longer text says a label if it names exactly one of them, as words of their own, and does not
    deny it.
    """
    named = _named(told, value)
    if len(named) == 1:
        return Read(named.pop())
    why = f"names {len(named)} of the labels" if named else "names none of the labels"
    return Problem(FailureCode.INVALID_ANSWER, f"{shorten(repr(value), 120)} {why}")


def _named(told: Classification, value: Json) -> set[str]:
    """The labels that any JSON value names."""
    if isinstance(value, str):
        text = THOUGHT.sub("", value)
        inside = json_in(text)
        return _named(told, inside) if inside is not None else _in_text(_labels(told), text)
    if isinstance(value, Mapping):
        parts = [value[told.gold]] if told.gold in value else list(value.values())
        whole = {label for part in parts if (label := _labels(told).get(_plain(part)))}
        return whole or (_named(told, parts[0]) if len(parts) == 1 else set())
    if isinstance(value, list):
        return set().union(*(_named(told, part) for part in value))
    return _in_text(_labels(told), str(value)) if isinstance(value, bool | int | float) else set()


def _in_text(labels: Mapping[str, str], given: str) -> set[str]:
    text = _plain(given)
    if text in labels:
        return {labels[text]}
    named = set()
    for word in sorted(labels, key=len, reverse=True):  # `not news` names no `news`
        pattern = re.compile(rf"(?<!\w)(?P<no>{_DENIAL})?{re.escape(word)}(?!\w)")
        if any(not found["no"] for found in pattern.finditer(text)):
            named.add(labels[word])
        text = pattern.sub(_TAKEN, text)
    return named


def _labels(told: Classification) -> dict[str, str]:
    said = {_plain(label): label for label in told.labels}
    for label, words in told.words.items():
        said.update({_plain(word): label for word in words})
    return said


def _plain(value: Json) -> str:
    text = _WITHIN.sub(" ", str(value).casefold().replace("_", " "))
    return " ".join(text.strip(_EDGES).split())
