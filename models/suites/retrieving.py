"""Which documents a question gets: those that name what it names, then the nearest. Pure.

Documents are whole or not there: what has no room left is told, and smaller ones after it may
still fit.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.recipes.answers import texts_in
from models.recipes.estimates import filler
from models.recipes.strict_json import Json
from models.suites import microrna
from models.suites.microrna import MicroRna
from models.suites.schema import Retrieval

BYTES_PER_TOKEN = 3
"""Tokens of words have four to five bytes."""
_ALONE = re.compile(r"\d|[^\w\s]|\s(?=[\d\W])|[A-Z](?=\W)")
"""Characters that are tokens of their own."""
_APART_TOKENS = 8
"""What may stand between two documents of a prompt."""
TYPICAL_DOCUMENT = 1_800
"""Characters: an abstract with its title."""
Why = Literal["entity", "cosine", "tool"]
NAMES_IN: Mapping[str, Callable[[str], list[MicroRna]]] = {"microrna": microrna.names_in}
"""How names of a kind are recognised."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document by its place in the store. `score`: its cosine to what was asked."""

    place: int
    score: float
    why: Why


@dataclass(frozen=True, slots=True)
class Shelf:
    """Ranked documents: those that fit, in order, and those that were left out for want of room."""

    shown: Sequence[Ranked]
    left_out: Sequence[Ranked]
    tokens: int
    """What the shown ones take."""


class NameIndex:
    """Which documents name which molecules; made once per store."""

    def __init__(self) -> None:
        self._by_family: dict[str, dict[MicroRna, array[int]]] = defaultdict(dict)
        self._known: dict[MicroRna, MicroRna] = {}

    def add(self, place: int, names: Iterable[MicroRna]) -> None:
        """The document at `place` names these."""
        for name in names:
            one = self._known.setdefault(name, name)
            self._by_family[one.family].setdefault(one, array("L")).append(place)

    def matching(self, names: Iterable[MicroRna]) -> dict[int, int]:
        """Place -> how well the document matches the best of `names` (`Likeness`)."""
        found: dict[int, int] = {}
        for name in names:
            for other, places in self._by_family.get(name.family, {}).items():
                level = int(microrna.likeness(name, other))
                for place in places if level else ():
                    found[place] = max(level, found.get(place, 0))
        return found


def names_of(kind: str, doc: Mapping[str, Json], listed: str) -> list[MicroRna]:
    """What a document names: in the field that lists names, and in all of its texts."""
    recognise = NAMES_IN[kind]
    given = doc.get(listed)
    entries = given if isinstance(given, list) else [given]
    names = [name for entry in entries if isinstance(entry, str) for name in recognise(entry)]
    return list(dict.fromkeys([*names, *(n for text in texts_in(doc) for n in recognise(text))]))


def ranked(
    matching: Mapping[int, int],
    scores: Callable[[int], float],
    nearest: Iterable[int],
    top_k: int,
) -> list[Ranked]:
    """At most `top_k` documents: those that name the same, better matches and then higher cosines
    first; then the `nearest` of all, in their order."""
    named = sorted(matching, key=lambda place: (-matching[place], -scores(place), place))
    found = [Ranked(place, scores(place), "entity") for place in named[:top_k]]
    others = (place for place in nearest if place not in matching)
    found += [Ranked(place, scores(place), "cosine") for place in others][: top_k - len(found)]
    return found


def fitted(found: Iterable[Ranked], text_of: Callable[[int], str], room: int) -> Shelf:
    """The documents that fit into `room` tokens together, each whole, the first first."""
    shown: list[Ranked] = []
    left_out: list[Ranked] = []
    taken = 0
    for one in found:
        size = tokens_at_most(text_of(one.place)) + _APART_TOKENS
        if taken + size <= room:
            taken += size
            shown.append(one)
        else:
            left_out.append(one)
    return Shelf(shown, left_out, taken)


def tokens_at_most(text: str) -> int:
    """A count of tokens that is too high rather than too low, without a tokenizer: abstracts and
    statutes have 60% of it, lists of numbers nearly all."""
    alone = len(_ALONE.findall(text))
    return alone + (len(text.encode()) - alone) // BYTES_PER_TOKEN + 1


def typical_texts(told: Retrieval) -> list[str]:
    """Documents of about the usual length, for estimates: as many as a question may get."""
    text = filler(TYPICAL_DOCUMENT)
    room = told.context_tokens // (tokens_at_most(text) + _APART_TOKENS)
    return [text] * min(told.top_k, room)
