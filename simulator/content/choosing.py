"""Choices that a prompt lays out, labels or letters, and the one that a text speaks for. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulator.content.prose import words_of

_LETTERED = re.compile(r"^\s*\(?([A-Z])[).:]\s+(\S.*)$", re.MULTILINE)
_LABELLED = re.compile(r"^\W*([^\W\d][\w -]{0,40}?)\W*: +(\S.*)$", re.MULTILINE)
_ONE_LABEL = re.compile(r"\b(one|a single) (label|word|class|category)\b", re.IGNORECASE)
Pick = Callable[[int], int]


@dataclass(frozen=True, slots=True)
class Option:
    """What may be answered, and what it is about."""

    said: str
    about: str


def letters_in(text: str) -> list[Option]:
    """`A) ...`, `B) ...`, if at least two follow each other from A; the last such list counts."""
    found: list[Option] = []
    for match in _LETTERED.finditer(text):
        if match[1] == "A":
            found = []
        if match[1] == chr(ord("A") + len(found)):
            found.append(Option(match[1], match[2]))
    return found if len(found) > 1 else []


def without_letters(text: str) -> str:
    """The text without lines that are options: what speaks for one of them."""
    return _LETTERED.sub("", text)


def labels_in(instructions: str) -> list[Option]:
    """`label: what it is for`, a line each, where one label is asked for."""
    if not _ONE_LABEL.search(instructions):
        return []
    found = [Option(match[1], match[2]) for match in _LABELLED.finditer(instructions)]
    return found if len(found) > 1 else []


def best_of(options: Sequence[Option], text: str, pick: Pick) -> Option:
    """The option that shares most words with the text; one of them all if none shares any."""
    lowered = text.lower()
    scores = [sum(word in lowered for word in _words(option)) for option in options]
    first = pick(len(options))
    order = [(first + at) % len(options) for at in range(len(options))]
    return options[max(order, key=lambda at: scores[at])]


def _words(option: Option) -> set[str]:
    return words_of(f"{option.said} {option.about}".replace("_", " "))
