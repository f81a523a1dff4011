"""When things go wrong: by rate, by time window, or one after the other from a list."""

import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.errors import BadInputError
from simulator.faults import FAULTS, GROUPS, Fault


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """A fault that happens from `from_s` to `to_s` seconds after the plan was made."""

    name: str
    from_s: float
    to_s: float
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class FaultRules:
    """What shall go wrong. Rates are shares of the calls, 0..1, by name of fault or group.

    `script` is used up first, one entry per call; None in it is a call that goes well.
    """

    rates: Mapping[str, float] = field(default_factory=dict)
    windows: tuple[FaultWindow, ...] = ()
    script: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        scripted = [name for name in self.script if name is not None]
        for name in [*self.rates, *(window.name for window in self.windows), *scripted]:
            if name not in FAULTS and name not in GROUPS:
                raise BadInputError(f"no fault is called {name!r}; there are {fault_names()}")


def fault_names() -> str:
    """The names of all faults and groups, for messages and help."""
    return ", ".join(sorted([*FAULTS, *GROUPS]))


class FaultPlan:
    """Draws a fault, or none, per call. The draw depends on the seed and the number of the call,
    never on the request, so that a repeated request may succeed."""

    def __init__(self, rules: FaultRules, *, seed: int, now: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 # reproducible on purpose
        self.change(rules, now)

    def change(self, rules: FaultRules, now: float) -> None:
        """Follow other rules; windows count from `now`."""
        self._rules = rules
        self._start = now
        self._script = deque(rules.script)
        self._quiet = not (rules.rates or rules.windows or rules.script)

    def draw(self, now: float) -> Fault | None:
        """The fault of the next call, if it is to have one."""
        if self._quiet:
            return None
        name = self._script.popleft() if self._script else self._by_chance(now - self._start)
        return None if name is None else FAULTS[self._member(name)]

    def _by_chance(self, elapsed_s: float) -> str | None:
        windows = self._rules.windows
        active = ((it.name, it.rate) for it in windows if it.from_s <= elapsed_s < it.to_s)
        return self._first_hit(active) or self._first_hit(self._rules.rates.items())

    def _first_hit(self, rates: Iterable[tuple[str, float]]) -> str | None:
        return next((name for name, rate in rates if self._random.random() < rate), None)

    def _member(self, name: str) -> str:
        return self._random.choice(GROUPS[name]) if name in GROUPS else name
