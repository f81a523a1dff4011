"""Answers that come from elsewhere: two files whose rows have the same ids."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import BadInputError
from models.words import printable
from producers.readers import ReadOptions, ReadResult, read
from producers.reviewing.choosing import Candidate

ANSWERS = ("answer", "text", "output", "response", "completion")
QUESTIONS = ("question", "asked", "prompt", "input", "instruction")
_OPTIONS = ReadOptions(
    required=frozenset({"id"}), max_rejected_share=0.0, on_stop="leave one row of each"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A row of such a file. `asked` may be empty in one of the two."""

    asked: str
    answer: str


def candidates(left: str | Path, right: str | Path, staging: Path) -> Iterator[Candidate]:
    """The rows that are in both files, in the first one's order. `BadInputError` and its like for
    files that cannot be used."""
    with read(right, _OPTIONS, staging) as found:
        others = {row.row_id: answered(found, row.line, row.data) for row in found.rows()}
    with read(left, _OPTIONS, staging) as found:
        for row in found.rows():
            if (other := others.get(row.row_id)) is not None:
                own = answered(found, row.line, row.data)
                yield Candidate(row.row_id, own.asked or other.asked, own.answer, other.answer)


def answered(found: ReadResult, line: int, row: Mapping[str, Any]) -> Answered:
    """What the row asks and answers, by its fields' names. `BadInputError` without an answer."""
    messages = row.get("messages")
    if isinstance(messages, list) and messages:
        told = _of_conversation(messages)
    else:
        told = Answered(_first(row, QUESTIONS), _first(row, ANSWERS))
    if not told.answer.strip():
        raise BadInputError(
            f"{found.name}, line {line}: the row has no answer. Give it one as `answer` (or "
            f"{', '.join(ANSWERS[1:])}), or as the last of its `messages`"
        )
    return told


def names_of(left: str | Path, right: str | Path) -> tuple[str, str]:
    """What the two are called unless the user says it: their files, in as few words as differ."""
    one, other = Path(left), Path(right)
    for told in ((one.stem, other.stem), (one.name, other.name), (str(one), str(other))):
        if told[0] != told[1]:
            return printable(told[0]), printable(told[1])
    raise BadInputError(f"{printable(one.name)} is compared with itself: give two files")


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if isinstance(row.get(name), str) and row[name]), "")


def _of_conversation(messages: list[Any]) -> Answered:
    said = [
        one for one in messages if isinstance(one, dict) and isinstance(one.get("content"), str)
    ]
    asked = "\n\n".join(one["content"] for one in said if one.get("role") == "user")
    answers = [one["content"] for one in said if one.get("role") == "assistant"]
    return Answered(asked, answers[-1] if answers else "")
