"""Reading JSON that others wrote, without the liberties Python takes."""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

Json = Any
"""A JSON value as Python has it; a recursive type would cost more casts than it finds errors."""
MAX_DEPTH = 64
"""Levels of lists and objects in each other; parsers further on give up somewhere above."""
_INT_LIMIT = 2**63


def parse_json(text: str) -> Json:
    """The value of `text`; `ValueError` says in words what is wrong.

    Refused beyond syntax: duplicate keys, NaN and infinities, integers of more than 64 bits, lone
    surrogates, nesting deeper than `MAX_DEPTH`.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ValueError("not usable: nested too deeply") from None
    _check_depth(value, text)
    if "\\u" in text:
        check_value(value)
    return value


def check_text(text: str) -> None:
    """Refuse (`ValueError`) text that UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not usable: it holds half a character (a lone surrogate)") from None


def check_leaf(value: str | float | None) -> None:
    """Refuse (`ValueError`) a text or number that JSON, UTF-8 and 64 bits cannot hold."""
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"not usable: {value} is not a JSON number")
    elif isinstance(value, int) and not -_INT_LIMIT <= value < _INT_LIMIT:
        raise ValueError("not usable: a number has more than 64 bits")


def check_value(value: Json) -> None:
    """Refuse (`ValueError`) what a looser parser let through: NaN, infinities, lone surrogates."""
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, RecursionError):
        raise ValueError("not usable: nested too deeply, or not JSON") from None
    check_text(text)
    _check_depth(value, text)


def _check_depth(value: Json, text: str) -> None:
    """Walks only what has enough brackets to be too deep."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [part for whole in level for part in _parts(whole)]
    if level:
        raise ValueError(f"not usable: nested more than {MAX_DEPTH} levels deep")


def _parts(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} occurs twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _small_int(digits: str) -> int:
    if len(digits) > 20 or not -_INT_LIMIT <= (number := int(digits)) < _INT_LIMIT:
        raise ValueError(f"the number {digits[:20]}… has more than 64 bits")
    return number


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_constant,
    parse_int=_small_int,
    parse_float=_finite,
)
