"""Rows as they must stand in a dataset's files, and the reading of them."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from models.errors import BadInputError
from producers.datasets.shaping import Row, misshapen


def read_rows(path: Path, dataset: str) -> Iterator[Row]:
    """The rows of one part in the order of its file, in constant memory.

    Raises `BadInputError` with the file and the line where somebody broke one.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                row, why = _read(line)
                if why:
                    raise _unreadable(f"{path}, line {number}: {why}", dataset)
                yield row
    except OSError as error:
        raise _unreadable(f"{path} cannot be read ({error.strerror})", dataset) from error


def broken(row: object) -> str:
    """Why it is no row of a dataset, in words; empty for one that is."""
    if not isinstance(row, dict):
        return "it is no object"
    if not isinstance(row.get("id"), str | int):
        return "it has no `id`"
    if not isinstance(row.get("meta", {}), dict):
        return "its `meta` is no object"
    return misshapen(row)


def _read(line: bytes) -> tuple[Row, str]:
    try:
        row = orjson.loads(line)
    except ValueError:
        return {}, "it is no JSON"
    return row, broken(row)


def _unreadable(told: str, dataset: str) -> BadInputError:
    return BadInputError(
        f"{told}: `maestrale dataset validate {dataset}` says more; make the dataset anew"
    )
