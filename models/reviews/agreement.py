"""Whether reviewers agree: Cohen's kappa for two, Krippendorff's alpha for more. Pure.

Two: statsmodels, over the pairs that both judged, with its asymptotic interval (Fleiss, Cohen &
Everitt 1969). More: alpha for nominal words (Krippendorff 2011, "Computing Krippendorff's
Alpha-Reliability"), which takes in every pair that two or more of them judged, where Fleiss' kappa
would need all of them on each; its interval is the percentile bootstrap over pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

from models.reviews.votes import Preferred, Vote

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

FEWEST = 5
"""Of fewer pairs an interval says nothing."""
DRAWS = 2_000
COHEN, KRIPPENDORFF = "Cohen's kappa", "Krippendorff's alpha"
ALIKE = "all said the same word every time, so chance cannot be told from agreement"


@dataclass(frozen=True, slots=True)
class Agreement:
    """`value` None: it cannot be had, as `why` says. 1: always the same word; 0: as by chance."""

    method: str
    value: float | None
    low: float | None
    high: float | None
    pairs: int
    """Judged by two reviewers or more."""
    same: int
    """Of these, where all said the same."""
    why: str = ""


def agreement(pairs: Mapping[int, Sequence[Vote]]) -> Agreement | None:
    """How well the reviewers agree; None: no pair was judged by two."""
    shared = [votes for votes in pairs.values() if len(votes) > 1]
    if not shared:
        return None
    same = sum(len({vote.preferred for vote in votes}) == 1 for votes in shared)
    two = len({vote.reviewer for votes in shared for vote in votes}) == 2
    method = COHEN if two else KRIPPENDORFF
    if len({vote.preferred for votes in shared for vote in votes}) == 1:
        return Agreement(method, None, None, None, len(shared), same, ALIKE)
    value, low, high = (_cohen if two else _krippendorff)(shared)
    return Agreement(method, value, low, high, len(shared), same)


def coincidences(units: Sequence[Sequence[str]], words: Sequence[str]) -> "Numbers":
    """(units, words, words): how often two words meet in a unit, each of its m reviewers counting
    for one in all."""
    import numpy as np  # noqa: PLC0415 # the extra `evaluate`

    found = np.zeros((len(units), len(words), len(words)))
    for place, unit in enumerate(units):
        for one, other in permutations(unit, 2):
            found[place, words.index(one), words.index(other)] += 1 / (len(unit) - 1)
    return found


def alpha(sums: "Numbers") -> Any:
    """Krippendorff's alpha for nominal words of one or many tables of coincidences, summed over
    units; NaN where there is but one word."""
    import numpy as np  # noqa: PLC0415 # the extra `evaluate`

    said = sums.sum(axis=-1)
    n = said.sum(axis=-1)
    differing = n - np.trace(sums, axis1=-2, axis2=-1)
    expected = n**2 - (said**2).sum(axis=-1)
    parts = np.divide(
        (n - 1) * differing, expected, out=np.full(n.shape, np.nan), where=expected > 1e-9
    )
    return 1 - parts


Found = tuple[float, float | None, float | None]


def _cohen(shared: Sequence[Sequence[Vote]]) -> Found:
    from statsmodels.stats.inter_rater import (  # noqa: PLC0415 # the extra `evaluate`
        cohens_kappa,
    )

    words = list(Preferred)
    counts = [[0] * len(words) for _ in words]
    for votes in shared:
        one, other = sorted(votes, key=lambda vote: vote.reviewer)
        counts[words.index(one.preferred)][words.index(other.preferred)] += 1
    found = cohens_kappa(counts)
    value = float(found.kappa)
    if len(shared) < FEWEST or found.std_kappa < 1e-9:  # no spread: it would be a point
        return value, None, None
    return value, max(-1.0, float(found.kappa_low)), min(1.0, float(found.kappa_upp))


def _krippendorff(shared: Sequence[Sequence[Vote]]) -> Found:
    import numpy as np  # noqa: PLC0415 # the extra `evaluate`

    tables = coincidences([[v.preferred for v in votes] for votes in shared], list(Preferred))
    value = float(alpha(tables.sum(axis=0)))
    if len(tables) < FEWEST:
        return value, None, None
    low, high = np.nanquantile(alpha(_drawn(tables)), [0.025, 0.975])
    return value, float(low), float(high)


def _drawn(tables: "Numbers") -> "Numbers":
    """(draws, words, words): sums over units drawn again. One draw after the other, as how often
    each unit is in it: all at once, 5,000 pairs would take 720 MB of the dashboard's process."""
    import numpy as np  # noqa: PLC0415 # the extra `evaluate`

    rng, units, flat = np.random.default_rng(0), len(tables), tables.reshape(len(tables), -1)
    sums = np.empty((DRAWS, *tables.shape[1:]))
    for place in range(DRAWS):
        times = np.bincount(rng.integers(0, units, units), minlength=units)
        sums[place] = (times @ flat).reshape(tables.shape[1:])
    return sums
