"""Rows against the trainer's rules before a training starts: what it refuses costs nothing."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from models.errors import BadInputError, NotFoundError
from producers.datasets.by_base import TRAINED
from producers.datasets.dataset import Dataset
from producers.datasets.manifest import Kind
from producers.datasets.rules import Problem, problems_of
from producers.datasets.shaping import kind_of_row
from producers.readers import ReadOptions, read

_NO_ROW = Problem(
    "not_an_object",
    "a row is one JSON object with `messages` (or `text` and `labels`)",
    "write it as in a dataset's train.jsonl",
)
_MIXED = "mixed_kinds"
_KINDS: dict[Kind, str] = {"chat": "conversations", "labels": "texts with labels"}

Placed = tuple[str, object]
"""Where a row stands, and the row."""


def check_dataset(dataset: Dataset, called: str) -> None:
    """Raises `BadInputError` naming the first row that breaks a rule, and how many do.

    Not read again if all rows were checked when it was made. `called`: by its user.
    """
    if not dataset.is_checked():
        _check(_of_parts(dataset), dataset.manifest.kind, called)


def take_file(file: Path, kind: Kind, target: Path, staging: Path) -> int:
    """Writes the rows of a file of any form that is read, all of this kind, as a part of a dataset;
    answers how many. Ids mean nothing to trainers, and may be anything. Raises `BadInputError` as
    `check_dataset` and reading do."""
    options = ReadOptions(id_field=None, max_rejected_share=0.0, undone="Nothing was begun.")
    try:
        with read(file, options, staging) as found:
            rows = ((f"--validation {file}, line {row.line}", row.data) for row in found.rows())
            count = _check(rows, kind, str(file))
            with target.open("wb") as out:
                out.writelines(orjson.dumps(row.data) + b"\n" for row in found.rows())
    except (BadInputError, NotFoundError) as error:
        told = str(error)
        named = told if told.startswith("--validation ") else f"--validation: {told}"
        raise type(error)(named) from None
    return count


def _of_parts(dataset: Dataset) -> Iterator[Placed]:
    for part in TRAINED:
        if part in dataset.parts:
            path = dataset.path(part)
            for number, row in enumerate(dataset.rows(part), start=1):
                yield f"{path}, line {number}", row


def _check(rows: Iterable[Placed], kind: Kind, called: str) -> int:
    """How many rows there are. Raises `BadInputError` if one breaks a rule."""
    first: tuple[str, Problem] | None = None
    broken = count = 0
    for place, row in rows:
        count += 1
        if problem := _problem(row, kind):
            broken += 1
            first = first or (place, problem)
    if first is not None:
        told = f"{broken:,} of {count:,} rows break the trainer's rules{_advice(first[1], called)}"
        raise BadInputError(f"{first[0]}: {first[1].message} ({first[1].advice}); {told}")
    return count


def _advice(problem: Problem, called: str) -> str:
    """`validate` knows nothing of the other rows' kind."""
    if problem.code == _MIXED:
        return ""
    return f": `maestrale dataset validate {shlex.quote(called)}` lists them"


def _problem(row: object, kind: Kind) -> Problem | None:
    if not isinstance(row, dict):
        return _NO_ROW
    if (found := kind_of_row(row)) != kind:
        told = f"the dataset has {_KINDS[kind]}, and this row is one of {_KINDS[found]}"
        return Problem(_MIXED, told, "a model learns one or the other")
    return next(iter(problems_of(row)), None)
