"""Exit codes: the list of them, for help, for the reference, and for commands that give one.

What an error ends with stands in `models.errors`, and is one of these.
"""

from collections.abc import Mapping
from typing import Final

DONE: Final = 0
NEEDS_ATTENTION: Final = 1
WRONG_INPUT: Final = 2
NOT_DONE: Final = 3
BUG: Final = 70
"""`EX_SOFTWARE` of sysexits.h: not the user's fault."""
INTERRUPTED: Final = 130

EXIT_CODES: Final[Mapping[int, str]] = {
    DONE: "done",
    NEEDS_ATTENTION: "something needs attention (maestrale doctor)",
    WRONG_INPUT: "wrong input",
    NOT_DONE: "the job failed, was cancelled or is paused",
    BUG: "a bug",
    INTERRUPTED: "Ctrl-C",
}
"""What each says."""


def in_a_line() -> str:
    """All of them, for the end of help."""
    told = "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items())
    return f"Exit codes: {told}."
