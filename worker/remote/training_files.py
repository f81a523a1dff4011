"""The rows of a dataset as the provider's trainer takes them: nothing but what it knows."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

MOST_VALIDATION_BYTES = 1_000_000
VALIDATION_SHARE = 0.05
"""A validation file is refused above 1 MB, or above this share of the training file."""
MOST_TRAINING_BYTES = 512_000_000
_KEPT = ("messages", "text", "labels", "tools")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The files to upload; `validation` is None if no row of it fits."""

    folder: Path
    train: Path
    validation: Path | None

    def by_role(self) -> Iterator[tuple[str, Path]]:
        """As they are noted with the operation."""
        yield "input", self.train
        if self.validation is not None:
            yield "validation", self.validation

    def remove(self) -> None:
        """They are read again from the dataset if need be."""
        shutil.rmtree(self.folder, ignore_errors=True)


def prepare(dataset: Path, folder: Path) -> Prepared:
    """Writes them into `folder`. Raises `OSError`, or `ValueError` if the dataset will not do."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    train = folder / "train.jsonl"
    size, is_whole = _copy(dataset / "train.jsonl", train, MOST_TRAINING_BYTES)
    if not is_whole:
        raise ValueError("its training rows are more than 512 MB, which the provider refuses")
    source, validation = dataset / "validation.jsonl", folder / "validation.jsonl"
    if not source.is_file():
        return Prepared(folder, train, None)
    most = min(MOST_VALIDATION_BYTES, int(size * VALIDATION_SHARE))
    kept, _ = _copy(source, validation, most)
    return Prepared(folder, train, validation if kept else None)


def _copy(source: Path, target: Path, most_bytes: int) -> tuple[int, bool]:
    """The first rows of `source` that fit; answers their bytes, and whether they are all."""
    total = 0
    with source.open("rb") as lines, target.open("wb") as out:
        for line in lines:
            kept = _line(orjson.loads(line))
            if total + len(kept) > most_bytes:
                return total, False
            total += out.write(kept)
    return total, True


def _line(row: dict[str, Any]) -> bytes:
    return orjson.dumps({name: row[name] for name in _KEPT if name in row}) + b"\n"
