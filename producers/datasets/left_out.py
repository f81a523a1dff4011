"""Rows that a dataset leaves out: how many for which reason, and when they are too many."""

from collections import Counter

from models.errors import BadInputError
from models.words import printable
from producers.datasets.shaping import BrokenRowError, NotARowError

_FILTERED = frozenset({"too_short", "too_long", "too_many_tokens", "forbidden", "missing_field"})
"""Codes of rows that a filter of the user's left out."""


class LeftOut:
    """Counts reasons, and keeps the first row of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._broken: Counter[str] = Counter()
        self._firsts: dict[str, tuple[str, NotARowError]] = {}

    def add(self, place: str, why: NotARowError) -> None:
        """One row, and where it was found."""
        self.counts[why.code] += 1
        self._broken[why.code] += isinstance(why, BrokenRowError)
        self._firsts.setdefault(why.code, (place, why))

    def check(self, rows: int, most_share: float) -> None:
        """Raises `BadInputError` if more of all `rows` are broken than may be.

        What a filter or a likeness left out does not count: that was asked for.
        """
        broken = self._broken.total()
        if broken <= rows * most_share:
            return
        place, why = self._first(self._broken)
        share = f"{broken / rows:.1%}; {most_share:.1%} are allowed"
        raise BadInputError(
            f"{broken:,} of {rows:,} rows are broken ({share}): {_told(+self._broken)}; the first, "
            f"{printable(place, 200)}: {printable(str(why), 400)}; mend them, or allow more with "
            "--max-rejected"
        )

    def nothing_left(self) -> BadInputError:
        """The error where no row is left: the commonest reason, and what to do about it."""
        if not self.counts:
            return BadInputError("no row is left (none came): choose another file")
        _, why = self._first(self.counts)
        advice = why.advice or (
            "loosen the filters" if why.code in _FILTERED else "mend the rows, or choose others"
        )
        told = f"{_told(self.counts)}; the first: {printable(why.message, 400)}"
        return BadInputError(f"no row is left ({told}): {advice}")

    def _first(self, counts: Counter[str]) -> tuple[str, NotARowError]:
        """The first row left out for the commonest reason."""
        ((code, _),) = counts.most_common(1)
        return self._firsts[code]


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {code}" for code, count in counts.most_common())
