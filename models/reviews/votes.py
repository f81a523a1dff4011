"""Judgements with the blinds taken off: who was preferred, by whom, and by most. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from models.reviews.blinding import Choice


class Preferred(StrEnum):
    """Whose answer was said to be better."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"


@dataclass(frozen=True, slots=True)
class Said:
    """One judgement, as it is stored."""

    no: int
    reviewer: str
    choice: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """One judgement without the blinds."""

    no: int
    reviewer: str
    choice: Choice
    preferred: Preferred
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often the review's first model won, tied, lost."""

    won: int
    tied: int
    lost: int

    @property
    def n(self) -> int:
        """Of how many."""
        return self.won + self.tied + self.lost

    @property
    def decided(self) -> int:
        """Those that are no ties."""
        return self.won + self.lost


def unblinded(said: Iterable[Said], left_is_first: Mapping[int, bool]) -> list[Vote]:
    """Votes for models, from judgements of sides."""
    return [
        Vote(
            one.no,
            one.reviewer,
            choice := Choice(one.choice),
            preferred(choice, left_is_first=left_is_first[one.no]),
            one.comment,
        )
        for one in said
    ]


def preferred(choice: Choice, *, left_is_first: bool) -> Preferred:
    """Whose answer stood where the reviewer pointed."""
    if choice == Choice.TIE:
        return Preferred.TIE
    return Preferred.FIRST if (choice == Choice.LEFT) == left_is_first else Preferred.SECOND


def by_pair(votes: Iterable[Vote]) -> dict[int, list[Vote]]:
    """The votes on each pair that has any."""
    found: dict[int, list[Vote]] = {}
    for vote in votes:
        found.setdefault(vote.no, []).append(vote)
    return dict(sorted(found.items()))


def majority(votes: Sequence[Vote]) -> Preferred:
    """What more than half of the reviewers said; where no word has more than half, a tie."""
    word, count = Counter(vote.preferred for vote in votes).most_common(1)[0]
    return word if count * 2 > len(votes) else Preferred.TIE


def is_split(votes: Sequence[Vote]) -> bool:
    """Whether no word has more than half."""
    return Counter(vote.preferred for vote in votes).most_common(1)[0][1] * 2 <= len(votes)


def tally(words: Iterable[Preferred]) -> Tally:
    """Counts."""
    counts = Counter(words)
    return Tally(counts[Preferred.FIRST], counts[Preferred.TIE], counts[Preferred.SECOND])
