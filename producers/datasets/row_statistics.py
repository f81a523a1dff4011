"""What `show` tells of a dataset's rows: samples and histograms. Rows in, numbers out."""

import heapq
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from producers.datasets.shaping import Row, asked_and_answered

_BUCKETS = 10
_LABELS = 12
_FEW_ANSWERS = 60
"""Answers up to so many characters are looked at as labels of a classification."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows with `start <= characters < end`."""

    start: int
    end: int
    rows: int


@dataclass
class Figures:
    """What a look at all rows of one part gives; memory: forty bytes a row, and the samples."""

    lengths: list[Bucket] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    """The most frequent answers or labels, where rows share few; else empty."""
    turns: dict[int, int] = field(default_factory=dict)
    """Messages in a row -> rows."""
    samples: list[Row] = field(default_factory=list)


def figures_of(rows: Iterable[Row], *, samples: int, seed: int = 0) -> Figures:
    """Looks at rows once; the samples are the same for the same rows and seed."""
    chance = random.Random(seed)  # noqa: S311 # which rows are shown is no secret
    chosen: list[tuple[float, int, Row]] = []
    sizes: list[int] = []
    answers: Counter[str] = Counter()
    turns: Counter[int] = Counter()
    for place, row in enumerate(rows):
        asked, answered = asked_and_answered(row)
        sizes.append(len(asked) + len(answered))
        turns[len(row.get("messages") or ())] += 1
        if len(answers) <= _LABELS:
            answers[answered[:_FEW_ANSWERS].strip()] += 1
        ticket = (chance.random(), place, row)
        (heapq.heappush if len(chosen) < samples else heapq.heappushpop)(chosen, ticket)
    return Figures(
        lengths=histogram(sizes),
        answers=dict(answers.most_common()) if len(answers) <= _LABELS else {},
        turns=dict(sorted(turns.items())),
        samples=[row for _, _, row in sorted(chosen, key=lambda ticket: ticket[1])],
    )


def histogram(sizes: list[int]) -> list[Bucket]:
    """Ten buckets of equal, round width from the shortest to the longest."""
    if not sizes:
        return []
    low, high = min(sizes), max(sizes)
    width = _round_width((high - low + 1) / _BUCKETS)
    first = low // width
    counts = Counter(size // width - first for size in sizes)
    return [
        Bucket((first + place) * width, (first + place + 1) * width, counts[place])
        for place in range(high // width - first + 1)
    ]


def _round_width(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 ... that is enough."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= least:
                return digit * power
        power *= 10
