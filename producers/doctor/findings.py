"""What a check finds, and how a check that cannot be made becomes a finding."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from models.errors import MaestraleError

OURSELVES = ": `maestrale doctor`"
"""Ends messages whose advice is to ask the doctor."""


class Verdict(StrEnum):
    """How a check came out."""

    GOOD = "good"
    NOTE = "note"
    """Nothing is wrong, but worth knowing."""
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing checked. `advice` says what to do; empty if nothing is."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether something will not work until somebody acts."""
        return self.verdict is Verdict.BAD

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def good(what: str, found: str) -> Finding:
    """All is as it should be."""
    return Finding(what, Verdict.GOOD, found)


def note(what: str, found: str, advice: str = "") -> Finding:
    """Nothing is wrong, but worth knowing."""
    return Finding(what, Verdict.NOTE, found, advice)


def bad(what: str, found: str, advice: str = "") -> Finding:
    """Something will not work until somebody acts."""
    return Finding(what, Verdict.BAD, found, advice)


def guarded(
    what: str, check: Callable[[Any], Iterator[Finding]], subject: Any, advice: str = ""
) -> list[Finding]:
    """A check that cannot even be made is a finding, too; `advice` goes with it."""
    try:
        return list(check(subject))
    except MaestraleError as error:
        return [bad(what, str(error).removesuffix(OURSELVES), advice)]
    except OSError as error:
        found = f"{error.filename} cannot be used ({error.strerror})"
        return [bad(what, found, "set MAESTRALE_HOME to a folder of yours")]
