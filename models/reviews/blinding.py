"""Which pair comes when, who stands left, and what a reviewer may say. Pure.

Sides are drawn by the review's seed, which reviewers never see. The order in which a reviewer sees
the pairs is drawn by names that they know anyway: so no order tells anything of the seed.
"""

import hashlib
import unicodedata
from enum import StrEnum

from models.errors import BadInputError

MOST_NAME = 60
MOST_COMMENT = 5_000
"""Characters."""


class Choice(StrEnum):
    """What a reviewer says of a pair."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"


_SAID = {
    **dict.fromkeys(("left", "l", "1"), Choice.LEFT),
    **dict.fromkeys(("right", "r", "2"), Choice.RIGHT),
    **dict.fromkeys(("tie", "t", "0"), Choice.TIE),
}


def rank(*parts: object) -> str:
    """Where something stands in a drawn order: SHA-256, so the same on every machine."""
    return hashlib.sha256("/".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()


def balanced_sides(count: int, seed: int) -> list[bool]:
    """For each pair whether the first model stands left: for half of them (of an odd number, one
    more or one less, by chance)."""
    spare = int(rank(seed, "spare"), 16) % 2 if count % 2 else 0
    lefts = set(
        sorted(range(count), key=lambda place: rank(seed, "side", place))[: count // 2 + spare]
    )
    return [place in lefts for place in range(count)]


def own_order(review_id: str, reviewer: str, total: int) -> list[int]:
    """The pairs' numbers, from 1, in the order in which this reviewer sees them."""
    key = reviewer.casefold()
    return sorted(range(1, total + 1), key=lambda no: rank(review_id, key, no))


def choice_of(word: str) -> Choice | None:
    """`left`, `right`, `tie`, or their first letters, or 1, 2, 0; None for anything else."""
    return _SAID.get(word.strip().casefold())


def reviewer_of(name: str) -> str:
    """A reviewer's name as it is kept: in NFC, spaces made single. Raises `BadInputError`."""
    kept = " ".join(unicodedata.normalize("NFC", name).split())
    if not kept:
        raise BadInputError("a reviewer needs a name: give one")
    if len(kept) > MOST_NAME or not kept.isprintable():
        raise BadInputError(
            f"a reviewer's name is at most {MOST_NAME} letters long, and has no control characters"
        )
    return kept


def comment_of(text: str) -> str:
    """A comment as it is kept: lines by newlines, without what no database takes, cut."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return lines.encode("utf-8", "replace").decode().strip()[:MOST_COMMENT]
