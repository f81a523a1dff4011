"""Points and verdicts that follow from the words of the prompt, as a judge's would. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from simulator.content.prose import Prose, words_of

_NUMBERED = re.compile(r"^(\d+)\. +(\S.*)$", re.MULTILINE)
_SECTION = r"<{0}>(.*?)</{0}>"
_SECTIONS = re.compile(r"<(\w+)>.*?</\1>", re.DOTALL)
_ENOUGH_WORDS = 25
"""An answer with fewer of them is taken for incomplete."""
_NOISE = 0.25
_KEPT_TO_TEXT, _KEPT_TO_QUESTION = 0.4, 0.6
_SUPPORTED = 0.7


def points(properties: Mapping[str, Any], name: str, prose: Prose) -> dict[str, int] | None:
    """Points for the text that stands in the prompt as `<name>`, if points are asked for.

    The more of its words the rest of the prompt knows, and the more it knows of the words of the
    question there, the more points; with a little noise.
    """
    section = re.search(_SECTION.format(re.escape(name)), prose.prompt, re.DOTALL) if name else None
    if not properties or section is None or not all(map(_is_points, properties.values())):
        return None
    rest = _SECTIONS.sub("", prose.prompt)
    words = words_of(section[1])
    answered = _KEPT_TO_TEXT + _KEPT_TO_QUESTION * _known(words_of(_question(rest)), section[1])
    worth = _known(words, rest) * min(1.0, len(words) / _ENOUGH_WORDS) * answered
    return {key: _scored(told["maximum"], worth, prose) for key, told in properties.items()}


def of_lines(items: object, prose: Prose) -> list[dict[str, Any]]:
    """A verdict for every numbered line of the prompt, if they are asked for by `number`.

    Booleans say whether the rest of the prompt knows the line's words.
    """
    properties = items.get("properties") if isinstance(items, Mapping) else None
    if not isinstance(properties, Mapping) or "number" not in properties:
        return []
    flags = [name for name, told in properties.items() if told.get("type") == "boolean"]
    rest = _NUMBERED.sub("", prose.last)
    found = {}
    for match in _NUMBERED.finditer(prose.last):
        is_known = _known(words_of(match[2]), rest) >= _SUPPORTED
        found[int(match[1])] = {"number": int(match[1]), **dict.fromkeys(flags, is_known)}
    return list(found.values())


def _question(text: str) -> str:
    """The first line that asks; the whole text if none does."""
    return next((line for line in text.splitlines() if line.rstrip().endswith("?")), text)


def _is_points(told: object) -> bool:
    return isinstance(told, Mapping) and told.get("type") == "integer" and "maximum" in told


def _scored(most: int, worth: float, prose: Prose) -> int:
    noise = (prose.pick(201) - 100) / 100 * _NOISE
    return max(0, min(most, round(most * (worth + noise))))


def _known(words: set[str], text: str) -> float:
    """The share of the words that the text has."""
    lowered = text.lower()
    return sum(word in lowered for word in words) / len(words) if words else 0.0
