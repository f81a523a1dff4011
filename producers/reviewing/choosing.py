"""Which rows are judged, in which order, and who stands left. Pure.

Rows are chosen by a hash of seed and id: the same seed chooses the same rows, in whatever order
they come, and one answer more changes no other row's luck.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from models.reviews import balanced_sides, rank
from models.tables import ReviewPair


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that both models answered."""

    row_id: str
    asked: str
    first: str
    second: str

    @property
    def is_alike(self) -> bool:
        """Whether both said the same: then there is nothing to judge."""
        return self.first.strip() == self.second.strip()


@dataclass(slots=True)
class Seen:
    """What was met on the way."""

    both: int = 0
    """Rows that both models answered."""
    alike: int = 0
    """Of these, where both said the same."""


def choose(candidates: Iterable[Candidate], count: int, seed: int) -> tuple[list[ReviewPair], Seen]:
    """Up to `count` pairs of answers that differ, with their sides; memory stays at `count`."""
    seen = Seen()
    chosen = heapq.nsmallest(
        count, _differing(candidates, seen), key=lambda one: rank(seed, "row", one.row_id)
    )
    sides = balanced_sides(len(chosen), seed)
    places = enumerate(zip(chosen, sides, strict=True), 1)
    return [_pair(no, one, left_is_first=side) for no, (one, side) in places], seen


def _differing(candidates: Iterable[Candidate], seen: Seen) -> Iterator[Candidate]:
    for candidate in candidates:
        seen.both += 1
        if candidate.is_alike:
            seen.alike += 1
        else:
            yield candidate


def _pair(no: int, one: Candidate, *, left_is_first: bool) -> ReviewPair:
    left, right = (one.first, one.second) if left_is_first else (one.second, one.first)
    return ReviewPair(
        review_id="",
        no=no,
        row_id=one.row_id,
        asked=one.asked,
        left=left,
        right=right,
        left_is_first=left_is_first,
    )
