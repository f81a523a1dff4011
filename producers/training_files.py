"""A dataset with another validation part: a folder of its own, with a hash of its own."""

import os
import shutil
from pathlib import Path

import orjson

from models.errors import BadInputError
from models.training import DatasetRef
from models.training.contents import content_hash

TRAIN, VALIDATION = "train.jsonl", "validation.jsonl"


def with_validation(dataset: DatasetRef, file: Path, home: Path) -> DatasetRef:
    """The training rows of `dataset` and the rows of `file` to validate on.

    Raises `BadInputError` naming the line that is no row of a dataset.
    """
    rows = _check(file)
    half = home / "training" / f"{os.getpid()}.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True, mode=0o700)
    shutil.copyfile(Path(dataset.folder) / TRAIN, half / TRAIN)
    shutil.copyfile(file, half / VALIDATION)
    found = content_hash(half)
    folder = home / "training" / found[:16]
    if folder.exists():
        shutil.rmtree(half)
    else:
        half.rename(folder)
    changes = {"hash": found, "folder": str(folder), "validation_rows": rows}
    return dataset.model_copy(update=changes)


def _check(file: Path) -> int:
    """How many rows there are."""
    count = 0
    try:
        with file.open("rb") as lines:
            for count, line in enumerate(lines, start=1):
                if not _is_row(line):
                    raise BadInputError(
                        f"--validation {file}, line {count}: a row is one JSON object with "
                        "`messages` (or `text` and `labels`), as in a dataset's train.jsonl"
                    )
    except OSError as error:
        raise BadInputError(f"--validation {file} cannot be read: {error.strerror}") from error
    if not count:
        raise BadInputError(f"--validation {file} is empty")
    return count


def _is_row(line: bytes) -> bool:
    try:
        row = orjson.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and ("messages" in row or {"text", "labels"} <= row.keys())
