"""What of a wish to train excludes something else of it: refused, for it would be passed over."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from models.errors import BadInputError
from models.training.grid import LENGTHS
from producers.training import FIELDS, Wish

LOCAL = ("batch-size", "seq-len", "rank", "seed", "patience", "eval-every")
"""What only the trainer of this machine asks for."""


def check(wish: Wish, axes: Mapping[str, Sequence[Any]]) -> None:
    """Raises `BadInputError` for an option that would change nothing."""
    _check_swept(wish, axes)
    if wish.trainer == "mistral":
        _check_hosted(wish, axes)


def _check_swept(wish: Wish, axes: Mapping[str, Sequence[Any]]) -> None:
    """One option or one axis, and of the three lengths one alone."""
    found = [(f"--{name}", name) for name in _told(wish) if name in axes]
    found += [(option, name) for option in wish.length.told for name in LENGTHS if name in axes]
    for option, axis in found:
        raise BadInputError(f"{option} and --sweep {axis}=... exclude each other: leave one out")


def _check_hosted(wish: Wish, axes: Mapping[str, Sequence[Any]]) -> None:
    told = [f"--{name}" for name in _told(wish) if name in LOCAL]
    told += [f"--sweep {name}=..." for name in LOCAL if name in axes]
    if told:
        raise BadInputError(
            f"{told[0]} is for --trainer local: the provider decides that itself, so leave it out"
        )


def _told(wish: Wish) -> list[str]:
    """Options that were given, as far as they are not what they would be anyway."""
    usual = {field.name: field.default for field in fields(Wish)}
    return [name for name, field in FIELDS.items() if getattr(wish, field) != usual[field]]
