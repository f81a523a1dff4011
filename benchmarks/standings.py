"""The figures of `benchmarks.peers`, and the table they make. No input, no output."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.racers.track import Answer

NONE = "–"
REFUSAL = "I'm sorry, but I can't help"


@dataclass(frozen=True)
class Losses:
    """Rows without an answer, and rows whose answer is useless and was taken for good."""

    without: int
    useless: int

    def __str__(self) -> str:
        return f"{self.without} + {self.useless}"


def is_useless(answer: Answer) -> bool:
    """Empty, a refusal, or cut short: what the simulator makes of a text that it spoils."""
    text = answer.text or ""
    return not text.strip() or text.startswith(REFUSAL) or answer.finish == "length"


def losses(ids: Collection[str], answers: Iterable[Answer]) -> Losses:
    """Every row is looked for, whatever the racer counted itself."""
    answered = {answer.id: answer for answer in answers if answer.text is not None}
    useless = sum(is_useless(answered[row]) for row in ids if row in answered)
    return Losses(sum(row not in answered for row in ids), useless)


@dataclass(frozen=True)
class Share:
    """What was used of a limit from the first request to the last granted one."""

    used: float
    refused: float
    lost: int

    def __str__(self) -> str:
        return f"{self.used:.0%}, {self.refused:.1%}, {self.lost}"


def share(seconds: Sequence[Mapping[str, int]], rate: int, lost: int) -> Share:
    """From the simulator's counts per second. The first and the last second are not whole."""
    busy = [slot for slot in seconds if slot["arrivals"]]
    granted = [slot["second"] for slot in busy if slot["accepted"]]
    whole = range(granted[0] + 1, granted[-1]) if granted else range(0)
    used = sum(slot["accepted"] for slot in busy if slot["second"] in whole)
    refused = sum(slot["refused"] for slot in busy) / sum(slot["arrivals"] for slot in busy)
    return Share(used / (rate * len(whole)) if whole else 0, refused, lost)


def twice(stats: Mapping[str, Any]) -> int:
    """Calls paid though the very same one was paid before."""
    return int(stats["executed"] - stats["unique"])


def table(columns: Sequence[str], rows: Mapping[str, Mapping[str, str]]) -> str:
    """A Markdown table with its columns aligned; what a racer has no figure for is a dash."""
    lines = [["", *columns]]
    lines += [[name, *(cells.get(key, NONE) for key in columns)] for name, cells in rows.items()]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns) + 1)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )
