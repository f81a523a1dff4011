"""What a checker says, and how it picks lines of a history. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from faults.history import Line


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of an invariant, or of something else that a scenario expects."""

    name: str
    holds: bool
    words: str


def of(lines: Iterable[Line], by: str, *whats: str) -> list[Line]:
    """What one party wrote of these kinds."""
    return [line for line in lines if line.by == by and line.what in whats]


def some(words: str, names: Iterable[str]) -> str:
    """`; 7 missing: r1, r2, r3, r4, r5`, or nothing where there is none."""
    named = sorted(names)
    return f"; {len(named)}{words}: {', '.join(named[:5])}" if named else ""


def last_by_job(lines: Iterable[Line]) -> dict[str, Line]:
    """How each job ended: who was looked at twice is known by the last look."""
    return {line["job"]: line for line in of(lines, "producer", "ended")}
