"""Reviews as sheets: out for whoever prefers one, checked on the way back in."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from models.errors import BadInputError
from models.reviews import Choice, choice_of, comment_of
from models.reviews.votes import Said
from models.store.reviews import Blinded
from models.words import counted, printable
from producers.exports import check_target, replacing
from producers.readers import ReadOptions, read
from producers.spreadsheets import disarmed, rearmed

COLUMNS = ("id", "question", "left", "right", "choice", "comment")
MOST_COMPLAINTS = 10
_OPTIONS = ReadOptions(
    required=frozenset({"id"}),
    max_rejected_share=0.0,
    undone="No line of it was taken in.",
    on_stop="leave one line of each",
)
_OF_ANOTHER = re.compile(r"(rev_[0-9a-z]+)-\d{1,8}")
"""The id of a pair, by which its review is known."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a filled sheet says."""

    said: Sequence[Said]
    blank: int
    """Lines without a choice: not judged."""


def write(
    path: str | Path,
    review_id: str,
    pairs: Sequence[Blinded],
    said: Mapping[int, Said],
    *,
    overwrite: bool = False,
) -> Path:
    """Writes the pairs in this order, with what was said of them already; whole or not at all.

    UTF-8 with a byte order mark, without which spreadsheets take it for something else.
    """
    target = check_target(path, overwrite=overwrite)
    with replacing(target, overwrite=overwrite) as file:
        text = TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        for pair in pairs:
            writer.writerow(_cells(review_id, pair, said.get(pair.no)))
        text.flush()
        text.detach()
    return target


def read_filled(
    path: str | Path, review_id: str, total: int, reviewer: str, staging: Path
) -> Sheet:
    """The judgements of a filled sheet, in CSV as spreadsheets save it (or in any form that rows
    are read in). `BadInputError` names each line that cannot be taken; then none is."""
    with read(path, _OPTIONS, staging) as found:
        missing = [name for name in ("choice",) if name not in found.fields]
        if missing:
            raise BadInputError(
                f"{found.name} has no column `choice`: a sheet has {', '.join(COLUMNS)}"
            )
        lines = [_Line(row.line, row.row_id, row.data) for row in found.rows()]
        _check_ours(found.name, lines, review_id)
        complaints = [told for line in lines if (told := line.complaint(review_id, total))]
        if complaints:
            raise BadInputError(_refusal(found.name, complaints))
    judged = [line.said(review_id, reviewer) for line in lines if line.word]
    _check_once(judged, found.name)
    return Sheet(judged, len(lines) - len(judged))


def cell_id(review_id: str, no: int) -> str:
    """A pair's id in a sheet; it tells sheets of several reviews apart."""
    return f"{review_id}-{no}"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a filled sheet."""

    line: int
    id: str
    data: Mapping[str, Any]

    @property
    def word(self) -> str:
        """What stands as choice."""
        return str(self.data.get("choice") or "").strip()

    def complaint(self, review_id: str, total: int) -> str:
        """What is wrong with it; empty: nothing."""
        if self.number(review_id) not in range(1, total + 1):
            return f"line {self.line}: {printable(self.id, 60)!r} is no pair of {review_id}"
        if self.word and choice_of(self.word) is None:
            return (
                f"line {self.line}: {printable(self.word, 40)!r} is no choice: "
                f"write {', '.join(Choice)}, or nothing"
            )
        return ""

    def number(self, review_id: str) -> int:
        """The pair's number; 0 for what is none."""
        digits = self.id.strip().removeprefix(f"{review_id}-")
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0

    def said(self, review_id: str, reviewer: str) -> Said:
        """The judgement; the line has been checked."""
        choice = choice_of(self.word)
        assert choice is not None
        comment = comment_of(rearmed(str(self.data.get("comment") or "")))
        return Said(self.number(review_id), reviewer, choice, comment)


def _cells(review_id: str, pair: Blinded, said: Said | None) -> Iterator[str]:
    choice, comment = (said.choice, said.comment) if said else ("", "")
    texts = (cell_id(review_id, pair.no), pair.asked, pair.left, pair.right, choice, comment)
    return (disarmed(text) for text in texts)


def _refusal(name: str, complaints: Sequence[str]) -> str:
    shown = "; ".join(complaints[:MOST_COMPLAINTS])
    more = len(complaints) - MOST_COMPLAINTS
    rest = f"; and {counted(more, 'more line')}" if more > 0 else ""
    return f"{name} was not taken in, nor any line of it: {shown}{rest}"


def _check_ours(name: str, lines: "Sequence[_Line]", review_id: str) -> None:
    """Another review's sheet is wrong as a whole: its lines need not be named."""
    found = [match.group(1) for one in lines if (match := _OF_ANOTHER.fullmatch(one.id.strip()))]
    others = sorted(set(found))
    if lines and len(found) == len(lines) and review_id not in others:
        told = ", ".join(others[:MOST_COMPLAINTS])
        raise BadInputError(f"{name} is a sheet of {told}, not of {review_id}. {_OPTIONS.undone}")


def _check_once(judged: Sequence[Said], name: str) -> None:
    """Two spellings of an id may mean one pair."""
    numbers = [one.no for one in judged]
    twice = sorted({no for no in numbers if numbers.count(no) > 1})
    if twice:
        raise BadInputError(f"{name} judges pair {twice[0]} twice: leave one of the two lines")
