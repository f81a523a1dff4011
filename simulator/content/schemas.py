"""Fill a JSON schema with something that fits it. Pure; the words come from the prompt."""

import math
import re
import string
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import BadInputError
from simulator.content import judging
from simulator.content.choosing import Option, best_of, labels_in
from simulator.content.prose import Prose

Schema = Mapping[str, Any]

# Below this depth only what the schema demands is filled, so that recursive schemas end.
_DEEP = 6
_BOTTOM = 40
_USUAL_ITEMS = 3
_TRIES = 50
_MOST_VALUES = 5_000
_CHARACTERS_OF_A_VALUE = 20
"""What a schema may demand of one choice: so many values, of which a long text counts as many."""
_SHORT = 40
_SELDOM = 5
"""Flags mark exceptions: one in so many is set."""
_TERMS = ("term", "name", "title", "label", "keyword", "entity", "topic", "gene", "molecule")
_FORMATS = {
    "date": "2026-08-13",
    "date-time": "2026-08-13T09:30:00Z",
    "time": "09:30:00Z",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "0b9d3a1e-6f0c-4c7e-9a53-2f1d4f0a7c11",
}
_SIGNS_OF_A_TYPE = {
    "properties": "object",
    "additionalProperties": "object",
    "items": "array",
    "prefixItems": "array",
    "minimum": "number",
    "maximum": "number",
}


_MISFITS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def fill(schema: Schema, prose: Prose, name: str = "") -> object:
    """An instance of `schema`. Strings follow the names of their fields: questions are questions.

    Known: objects, arrays, strings, numbers, enums, const, `$ref` within the schema, anyOf, oneOf,
    allOf and nullable types; a `pattern` only if something short matches it. Raises
    `BadInputError` if it is no schema, or refers to what it does not hold.
    """
    try:
        return _Filler(schema, prose).value(schema, name, 0)
    except (*_MISFITS, re.error) as problem:
        raise BadInputError(f"the schema cannot be filled: {problem!r}") from problem


class _Filler:
    def __init__(self, root: Schema, prose: Prose) -> None:
        self._root = root
        self._prose = prose
        self._left = _MOST_VALUES

    def value(self, schema: Schema | bool, name: str, depth: int) -> object:
        self._take(1)
        plain = {} if isinstance(schema, bool) else self._plain(schema, depth)
        if "const" in plain:
            return plain["const"]
        if "enum" in plain:
            return self._one_of(plain["enum"])
        return None if depth > _BOTTOM else self._typed(plain, name, depth)

    def _take(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise ValueError(
                f"it demands more than {_MOST_VALUES} values of {_CHARACTERS_OF_A_VALUE} characters"
            )

    def _typed(self, schema: Schema, name: str, depth: int) -> object:
        makers: dict[str, Callable[[], object]] = {
            "object": lambda: self._object(schema, name, depth),
            "array": lambda: self._array(schema, name, depth),
            "integer": lambda: self._multiple(schema, schema.get("multipleOf", 1)),
            "number": lambda: self._number(schema),
            "boolean": lambda: self._prose.pick(_SELDOM) == 0,
            "null": lambda: None,
        }
        return makers.get(_type_of(schema), lambda: self._string(schema, name))()

    def _plain(self, schema: Schema, depth: int) -> dict[str, Any]:
        """The schema without references and alternatives: one branch is taken."""
        plain = dict(schema)
        if "$ref" in plain:
            target = self._target(plain.pop("$ref"))
            return self._plain(_merged(target, plain), depth)
        for word in ("anyOf", "oneOf"):
            if word in plain:
                branch = _branch(plain.pop(word), deep=depth > _DEEP)
                return self._plain(_merged(plain, branch), depth)
        for part in plain.pop("allOf", ()):
            plain = _merged(plain, self._plain(part, depth))
        return plain

    def _target(self, reference: str) -> Schema:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")] if step else found
        return dict(found)

    def _one_of(self, values: list[Any]) -> object:
        """The value that the prompt speaks for, as far as its words go."""
        options = [Option(str(value), str(value)) for value in values]
        told = {option.said: option for option in labels_in(self._prose.prompt)}
        options = [told.get(option.said, option) for option in options]
        return values[options.index(best_of(options, self._prose.last, self._prose.pick))]

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        known = schema.get("properties", {})
        if points := judging.points(known, name, self._prose):
            return points
        required = schema.get("required", ())
        wanted = [name for name in known if depth <= _DEEP or name in required]
        wanted += [name for name in required if name not in known]
        others = schema.get("additionalProperties", True)
        missing = schema.get("minProperties", 0) - len(wanted)
        self._take(max(0, missing))
        wanted += [f"field_{number}" for number in range(1, missing + 1)]
        return {name: self.value(known.get(name, others), name, depth + 1) for name in wanted}

    def _array(self, schema: Schema, name: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        if verdicts := judging.of_lines(schema.get("items"), self._prose):
            return [{**self._object(schema["items"], name, depth + 1), **one} for one in verdicts]
        filled = [self.value(item, name, depth + 1) for item in first]
        count = self._count(schema, depth)
        item = schema.get("items", True)
        for _ in range(_TRIES + count):
            if len(filled) >= count or item is False:
                break
            made = self.value(item, name, depth + 1)
            if not (schema.get("uniqueItems") and made in filled):
                filled.append(made)
        return filled

    def _count(self, schema: Schema, depth: int) -> int:
        least = int(schema.get("minItems", 0))
        usual = least if depth > _DEEP else max(least, _USUAL_ITEMS)
        return min(usual, int(schema.get("maxItems", usual)))

    def _number(self, schema: Schema) -> float:
        if "multipleOf" in schema:
            return self._multiple(schema, float(schema["multipleOf"]))
        low, high = _bounds(schema, span=1.0)
        return round(low + (high - low) * (1 + self._prose.pick(98)) / 100, 6)

    def _multiple(self, schema: Schema, step: float) -> float:
        low, high = _bounds(schema, span=10 * step)
        first, last = math.ceil(low / step), math.floor(high / step)
        first += first * step == schema.get("exclusiveMinimum")
        last -= last * step == schema.get("exclusiveMaximum")
        return (first + self._prose.pick(max(1, last - first + 1))) * step

    def _string(self, schema: Schema, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        text = self._worded(schema, name.lower())
        if "pattern" in schema:
            text = _matching(schema["pattern"], [text, self._prose.term()])
        self._take(int(schema.get("minLength", 0)) // _CHARACTERS_OF_A_VALUE)
        while len(text) < schema.get("minLength", 0):
            text = f"{text} {self._prose.sentence()}"
        return text[: schema.get("maxLength")]

    def _worded(self, schema: Schema, name: str) -> str:
        if "question" in name:
            return self._prose.question()
        if "query" in name:
            return self._prose.sought()
        if name == "entity":
            return self._prose.subject()
        if "answer" in name:
            return self._prose.answer()
        short = schema.get("maxLength", _SHORT) < _SHORT
        return self._prose.term() if short or name.endswith(_TERMS) else self._prose.sentence()


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    return kind or next((it for sign, it in _SIGNS_OF_A_TYPE.items() if sign in schema), "string")


def _branch(branches: list[Schema], *, deep: bool) -> Schema:
    if deep:
        simple = [it for it in branches if it.get("type") not in ("object", "array", None)]
        return (simple or branches)[0]
    return next((it for it in branches if it.get("type") != "null"), branches[0])


def _merged(one: Schema, other: Schema) -> dict[str, Any]:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    return merged


def _bounds(schema: Schema, span: float) -> tuple[float, float]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = 0 if high is None or high > 0 else high - span
    return low, low + span if high is None else high


def _matching(pattern: str, candidates: list[str]) -> str:
    short = [*string.ascii_uppercase, *string.ascii_lowercase, *map(str, range(100)), "2026", "yes"]
    fitting = (text for text in [*candidates, *short] if re.search(pattern, text))
    return next(fitting, candidates[0])
