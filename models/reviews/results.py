"""The result of a review as figures: who was preferred, how surely, by whom. Pure.

Shares have Wilson's 95% interval (statsmodels). The sign test (scipy, exact) asks whether won and
lost could be heads and tails; ties say nothing to it. A pair that several people judged counts
once, by what more than half of them said, and as a tie where no word has more than half.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models import extras
from models.errors import BadInputError
from models.reviews.agreement import Agreement, agreement
from models.reviews.blinding import Choice
from models.reviews.votes import (
    Said,
    Tally,
    Vote,
    by_pair,
    is_split,
    majority,
    tally,
    unblinded,
)
from models.words import counted as counted_of

ALPHA = 0.05
FEWEST_DECIDED = 6
"""Of fewer, even if all go one way, chance does as much: 2 (1/2)^5 > 5%."""
Z, Z_POWER = 1.959964, 0.841621
"""Normal quantiles of a two-sided 5% and of a power of 80%."""
_LIBRARIES = ("numpy", "scipy", "statsmodels")


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many, with Wilson's interval; None where there are none."""

    count: int
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """Won, tied and lost, for the review's first model."""

    won: Share
    tied: Share
    lost: Share
    won_of_decided: Share
    """Won, of those that are no ties."""
    p: float | None
    """The sign test's; None: nothing is decided."""


@dataclass(frozen=True, slots=True)
class ByReviewer:
    """What one reviewer said."""

    reviewer: str
    judged: int
    counted: Counted
    left: Share
    """How often the left answer was preferred, of those that are no ties: a leaning to one side,
    as both models stand there equally often."""
    left_p: float | None
    """Whether chance leans as much (exact binomial test against one half)."""


@dataclass(frozen=True, slots=True)
class PairFound:
    """What became of one pair."""

    no: int
    preferred: str
    """`first`, `tie` or `second`, by most."""
    split: bool
    votes: Sequence[Vote]


@dataclass(frozen=True, slots=True)
class Result:
    """All that a review found out. Figures are the first model's."""

    review_id: str
    name: str
    question: str
    first: str
    second: str
    pairs_total: int
    pairs_judged: int
    pairs_by_several: int
    pairs_split: int
    """Judged by several, no word having more than half: counted as ties."""
    rows_both: int
    rows_alike: int
    counted: Counted
    reviewers: Sequence[ByReviewer]
    agreement: Agreement | None
    verdict: str
    notes: Sequence[str]
    """What a reader has to know besides."""
    pairs: Sequence[PairFound]

    @property
    def comments(self) -> list[Vote]:
        """Votes with something to say."""
        return [vote for pair in self.pairs for vote in pair.votes if vote.comment]


@dataclass(frozen=True, slots=True)
class About:
    """What a result tells of its review (a row of the table `reviews`)."""

    id: str
    name: str
    question: str
    first: str
    second: str
    pairs_total: int
    rows_both: int
    rows_alike: int


def require_libraries() -> None:
    """`BadInputError` (exit code 2) if the extra is not installed."""
    extras.require("a review's figures", _LIBRARIES, "evaluate")


def result_of(about: About, said: Sequence[Said], left_is_first: Mapping[int, bool]) -> Result:
    """Takes the blinds off and counts. `BadInputError` where nobody has judged yet."""
    if not said:
        raise BadInputError(f"nobody has judged a pair of {about.id} yet: there is no result")
    require_libraries()
    votes = unblinded(said, left_is_first)
    pairs = by_pair(votes)
    words = {no: majority(some) for no, some in pairs.items()}
    together = counted(tally(words.values()))
    split = sum(is_split(some) for some in pairs.values())
    return Result(
        review_id=about.id,
        name=about.name,
        question=about.question,
        first=about.first,
        second=about.second,
        pairs_total=about.pairs_total,
        pairs_judged=len(pairs),
        pairs_by_several=sum(len(some) > 1 for some in pairs.values()),
        pairs_split=split,
        rows_both=about.rows_both,
        rows_alike=about.rows_alike,
        counted=together,
        reviewers=[_by_reviewer(name, votes) for name in sorted({v.reviewer for v in votes})],
        agreement=agreement(pairs),
        verdict=verdict(about, together),
        notes=_notes(about, len(pairs), split),
        pairs=[PairFound(no, words[no], is_split(some), some) for no, some in pairs.items()],
    )


def counted(found: Tally) -> Counted:
    """The figures of a tally."""
    return Counted(
        won=share(found.won, found.n),
        tied=share(found.tied, found.n),
        lost=share(found.lost, found.n),
        won_of_decided=share(found.won, found.decided),
        p=sign_test(found.won, found.decided),
    )


def share(count: int, n: int) -> Share:
    """A share with Wilson's interval."""
    from statsmodels.stats.proportion import (  # noqa: PLC0415 # the extra `evaluate`
        proportion_confint,
    )

    if not n:
        return Share(count, n)
    low, high = proportion_confint(count, n, alpha=ALPHA, method="wilson")
    return Share(count, n, count / n, float(low), float(high))


def sign_test(won: int, decided: int) -> float | None:
    """The exact two-sided p; None where nothing is decided."""
    from scipy.stats import binomtest  # noqa: PLC0415 # the extra `evaluate`

    return float(binomtest(won, decided).pvalue) if decided else None


def verdict(about: About, found: Counted) -> str:
    """What can be said of it, in words; also that it is too little."""
    decided, p = found.won_of_decided, found.p
    told = f"{found.won.count} won, {found.tied.count} tied, {found.lost.count} lost"
    if p is None:
        return f"{told}: every pair is a tie, so neither is preferred."
    if decided.n < FEWEST_DECIDED:
        return (
            f"{told}: too few to tell. {FEWEST_DECIDED} pairs that are no ties, all of them won by "
            "one model, are the fewest that can."
        )
    if p < ALPHA:
        better = about.first if decided.count * 2 > decided.n else about.second
        return f"{told}: {better} is preferred ({_p(p)}, sign test)."
    needed = pairs_needed(found)
    more = (
        f"; a preference of this size would take about {needed:,} pairs to tell" if needed else ""
    )
    return f"{told}: no preference can be told from chance ({_p(p)}, sign test){more}."


def pairs_needed(found: Counted) -> int | None:
    """About how many pairs would tell the share that was seen from one half, with a power of 80%;
    None: there is no difference to tell (Lehr's formula for one proportion)."""
    part = found.won_of_decided.value
    if part is None or abs(part - 0.5) < 1e-9:
        return None
    spread = Z * 0.5 + Z_POWER * math.sqrt(part * (1 - part))
    decided = (spread / (part - 0.5)) ** 2
    return math.ceil(decided * found.won.n / found.won_of_decided.n)


def to_json(result: Result) -> dict[str, Any]:
    """The result as JSON."""
    return asdict(result)


def _by_reviewer(name: str, votes: Sequence[Vote]) -> ByReviewer:
    own = [vote for vote in votes if vote.reviewer == name]
    decided = [vote for vote in own if vote.choice != Choice.TIE]
    lefts = sum(vote.choice == Choice.LEFT for vote in decided)
    return ByReviewer(
        reviewer=name,
        judged=len(own),
        counted=counted(tally(vote.preferred for vote in own)),
        left=share(lefts, len(decided)),
        left_p=sign_test(lefts, len(decided)),
    )


def _notes(about: About, judged: int, split: int) -> list[str]:
    notes = []
    if judged < about.pairs_total:
        notes.append(f"{judged} of {about.pairs_total} pairs are judged so far.")
    if split:
        notes.append(
            f"Reviewers are split on {counted_of(split, 'pair')}, no word having more than half: "
            "counted as ties."
        )
    if about.rows_alike:
        notes.append(
            f"Of {about.rows_both:,} rows that both answered, {about.rows_alike:,} have the same "
            "answer twice. They were not shown and are not counted: figures are of the others."
        )
    return notes


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
