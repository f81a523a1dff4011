"""What scenarios there are: a function each, under the number that FAULTS.md's list has."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from faults.world import World

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
Begin = Callable[..., AbstractContextManager[World]]
"""Opens a world: `begin("--latency-median", "0.3", workers=3, MAESTRALE_LEASE=2)`."""
Hurt = Callable[[Begin], None]


class SkippedError(Exception):
    """This machine lacks what a scenario needs; the text says what. Where `CI` is set, it fails."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`run` opens a world, hurts it, and waits until it has healed; the checker does the rest."""

    number: int
    name: str
    about: str
    run: Hurt
    databases: tuple[str, ...]
    in_slice: tuple[str, ...]
    """On which of them it is part of the minute that `make test` takes."""
    is_alone: bool
    """Its bounds are tight: nothing else may run beside it."""


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    number: int,
    *,
    databases: tuple[str, ...] = (SQLITE, POSTGRESQL),
    in_slice: tuple[str, ...] = (),
    is_alone: bool = False,
) -> Callable[[Hurt], Hurt]:
    """Registers a function under its own name; its docstring says what is hurt."""

    def register(run: Hurt) -> Hurt:
        name = run.__name__
        about = (run.__doc__ or "").strip().split("\n")[0]
        SCENARIOS[name] = Scenario(number, name, about, run, databases, in_slice, is_alone)
        return run

    return register


def by_name(name: str) -> Scenario:
    """The one of this name, or `KeyError`."""
    return SCENARIOS[name]


def by_number() -> list[Scenario]:
    """All, in the order of the list."""
    return sorted(SCENARIOS.values(), key=lambda one: (one.number, one.name))


def chosen(words: Mapping[str, Any] | list[str]) -> list[Scenario]:
    """Those of these numbers or names; all without any. Raises `KeyError` for what is none."""
    if not words:
        return by_number()
    known = {key: one for one in by_number() for key in (one.name, str(one.number))}
    numbers = [one for word in words for one in by_number() if word in (str(one.number), one.name)]
    missing = [word for word in words if word not in known]
    if missing:
        raise KeyError(missing[0])
    return list({one.name: one for one in numbers}.values())
