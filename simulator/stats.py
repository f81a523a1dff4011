"""What the simulator counted: enough to prove a rate kept, or a call paid for twice."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from simulator.hosted_stats import HostedStats

HISTORY_S = 600


@dataclass(slots=True)
class Figures:
    """Counts of one model, or of all. `executed` calls are those the real API would bill."""

    requests: int = 0
    accepted: int = 0
    refused: int = 0
    executed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in self.__slots__}


class History:
    """Arrivals, accepted and refused requests per second, for the last ten minutes."""

    def __init__(self) -> None:
        self._seconds = [[-1, 0, 0, 0] for _ in range(HISTORY_S)]

    def at(self, second: int) -> list[int]:
        """The slot of `second`: [second, arrivals, accepted, refused], to be counted up."""
        slot = self._seconds[second % HISTORY_S]
        if slot[0] != second:
            slot[:] = [second, 0, 0, 0]
        return slot

    def until(self, second: int) -> list[dict[str, int]]:
        """The seconds with any traffic, oldest first."""
        names = ("second", "arrivals", "accepted", "refused")
        recent = (slot for slot in self._seconds if slot[0] > second - HISTORY_S and slot[0] >= 0)
        return [dict(zip(names, slot, strict=True)) for slot in sorted(recent)]


@dataclass
class Stats:
    """Everything counted since the start or the last reset. Times are seconds since then."""

    started: float
    figures: Figures = field(default_factory=Figures)
    models: dict[str, Figures] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    history: History = field(default_factory=History)
    hosted: HostedStats = field(default_factory=HostedStats)
    in_flight: int = 0
    peak: int = 0
    # Eight bytes of SHA-256 as an int: two million calls meet by chance once in ten million runs.
    seen: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)

    def successor(self, now: float) -> "Stats":
        """Fresh counts, but for the calls still in flight."""
        return Stats(now, in_flight=self.in_flight, peak=self.in_flight)

    def arrived(self, now: float) -> None:
        """A request came in."""
        self.figures.requests += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        self.history.at(int(now - self.started))[1] += 1

    def left(self) -> None:
        """A request was answered, or its client went away."""
        self.in_flight -= 1

    def answered(self, status: int) -> None:
        """An answer with this status was sent, or begun."""
        self.statuses[status] += 1

    def asked(self, model: str) -> None:
        """A request proved to be well formed and for `model`."""
        self.of(model).requests += 1

    def accepted(self, model: str, now: float) -> None:
        """The limiter let a request in."""
        self.figures.accepted += 1
        self.of(model).accepted += 1
        self.history.at(int(now - self.started))[2] += 1

    def refused(self, model: str, now: float) -> None:
        """A request was answered with 429."""
        self.figures.refused += 1
        self.of(model).refused += 1
        self.history.at(int(now - self.started))[3] += 1

    def executed(self, model: str, digest: int) -> None:
        """A call ran and would be billed, whether or not its answer arrives."""
        self.figures.executed += 1
        self.of(model).executed += 1
        (self.repeated if digest in self.seen else self.seen).add(digest)

    def used(self, model: str, tokens_in: int, tokens_out: int, tokens_cached: int) -> None:
        """What an executed call used."""
        for figures in (self.figures, self.of(model)):
            figures.tokens_in += tokens_in
            figures.tokens_out += tokens_out
            figures.tokens_cached += tokens_cached

    def of(self, model: str) -> Figures:
        """The counts of one model."""
        figures = self.models.get(model)
        if figures is None:
            figures = self.models[model] = Figures()
        return figures

    def report(self, now: float) -> dict[str, Any]:
        """What `GET /_stats` answers."""
        return {
            "uptime_s": round(now - self.started, 3),
            **self.figures.as_dict(),
            "unique": len(self.seen),
            "repeated": len(self.repeated),
            "duplicates": self.figures.executed - len(self.seen),
            **self.hosted.report(now - self.started, self.seen),
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak,
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "faults": dict(sorted(self.faults.items())),
            "models": {name: figures.as_dict() for name, figures in sorted(self.models.items())},
            "per_second": self.history.until(int(now - self.started)),
        }
