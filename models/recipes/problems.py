"""What can be wrong with one row or one answer: values, never surprises."""

from dataclasses import dataclass

from models.states import FailureCode

MAX_DETAIL = 300
"""Characters of a detail that are kept; details quote answers, and those can be long."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an answer cannot be used, and whether one re-ask with `detail` may mend it."""

    code: FailureCode
    detail: str
    repairable: bool = False


class RowProblem(Exception):  # noqa: N818 # it fails a row by name; no user meets it as an error
    """A row that the recipe cannot work on; `code` and `detail` become the row's failure."""

    def __init__(self, code: FailureCode, detail: str) -> None:
        super().__init__(shorten(detail))
        self.code = code
        self.detail = shorten(detail)


def shorten(text: str, limit: int = MAX_DETAIL) -> str:
    """`text` in one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def invalid(detail: str) -> Problem:
    """An answer that does not fit; one re-ask may mend it."""
    return Problem(FailureCode.INVALID_ANSWER, shorten(detail), repairable=True)
