"""Setting a recipe's `[variables]` from outside (`--set key=value`)."""

import math
from collections.abc import Mapping

from models.errors import RecipeError

Variable = str | bool | int | float
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read_variables(
    defaults: Mapping[str, Variable], values: Mapping[str, Variable]
) -> dict[str, Variable]:
    """The values as the types of the defaults; `RecipeError` names what does not fit."""
    return {name: _read(defaults, name, value) for name, value in values.items()}


def _read(defaults: Mapping[str, Variable], name: str, value: Variable) -> Variable:
    if name not in defaults:
        known = ", ".join(sorted(defaults)) or "none"
        raise RecipeError(
            f"the recipe has no variable {name!r} (it has: {known}): "
            "add it to its [variables], or leave it out"
        )
    default = defaults[name]
    try:
        return _converted(value, default)
    except (ValueError, KeyError):
        kind = type(default).__name__
        raise RecipeError(
            f"the variable {name!r} cannot be {value!r}: its default {default!r} makes it a {kind}"
        ) from None


def _converted(value: Variable, default: Variable) -> Variable:
    match default:
        case str():
            return str(value)
        case bool():
            return _WORDS[str(value).lower()]
        case int():
            return int(str(value))
        case float():
            return _finite(float(str(value)))


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number
