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
_MARKS = re.compile(r"[*`]+")  # Markdown, also in the midst: **not** news
_PARAGRAPH = re.compile(r"\n\s*\n")
_GAP = r"[\s\"'\u2018\u2019\u201c-\u201f\u00ab\u00bb()\[\]]"  # no sentence ends within
_DENIED = re.compile(  # at the end of what stands before a label
    r"(?<!\w)(?:not?|non|never|neither|nor|cannot|nicht|kein(?:e[mnrs]?)?|pas|\w+n['\u2019]t)"
    rf"(?!{_GAP}+(?:doubt|only|just)(?!\w))"
    rf"(?:{_GAP}+(?!(?:but|rather|so|therefore|thus|sondern|aber|mais)(?!\w))\w+){{0,3}}{_GAP}+$"
)
_AS_WELL = re.compile(rf",?{_GAP}+(?:or|nor|oder|noch|ou|ni){_GAP}+")
"""Between two labels: the second is denied if the first is."""


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

    A longer text says a label if it names exactly one of them, as words of their own, and denies it
    nowhere: `not`, `no` and their kin, up to three words before it.
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
    """The labels that a text names; one that it denies anywhere is not among them."""
    if (whole := _plain(given)) in labels:
        return {labels[whole]}
    named: set[str] = set()
    denied: set[str] = set()
    end, is_denied = 0, False
    text = _plain(_PARAGRAPH.sub(".\n", given))  # what is denied is denied in one sentence
    longest_first = "|".join(map(re.escape, sorted(labels, key=len, reverse=True)))
    for found in re.finditer(rf"(?<!\w)(?:{longest_first})(?!\w)", text):
        before, end = text[end : found.start()], found.end()
        goes_on = is_denied and _AS_WELL.fullmatch(before)
        is_denied = bool(goes_on or _DENIED.search(before))
        (denied if is_denied else named).add(labels[found.group()])
    return named - denied


def _labels(told: Classification) -> dict[str, str]:
    said = {_plain(label): label for label in told.labels}
    for label, words in told.words.items():
        said.update({_plain(word): label for word in words})
    return said


def _plain(value: Json) -> str:
    text = _WITHIN.sub(" ", _MARKS.sub("", str(value)).casefold().replace("_", " "))
    return " ".join(text.strip(_EDGES).split())
