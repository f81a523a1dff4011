"""A dataset with another validation part: a folder of its own, with a hash of its own."""

import os
import shutil
from pathlib import Path

from models.training import DatasetRef
from models.training.advice import validation_too_large
from models.training.contents import content_hash
from producers.datasets.before_training import take_file
from producers.datasets.manifest import Kind

TRAIN, VALIDATION = "train.jsonl", "validation.jsonl"


def with_validation(dataset: DatasetRef, kind: Kind, file: Path, home: Path) -> DatasetRef:
    """The training rows of `dataset` and the rows of `file` to validate on.

    Raises `BadInputError` naming the first line that is no row of this kind to a trainer.
    """
    half = home / "training" / f"{os.getpid()}.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True, mode=0o700)
    try:
        rows = take_file(file, kind, half / VALIDATION, home / "staging")
        shutil.copyfile(Path(dataset.folder) / TRAIN, half / TRAIN)
    except BaseException:
        shutil.rmtree(half)
        raise
    found = content_hash(half)
    folder = home / "training" / found[:16]
    if folder.exists():
        shutil.rmtree(half)
    else:
        half.rename(folder)
    changes = {"hash": found, "folder": str(folder), "validation_rows": rows}
    return dataset.model_copy(update=changes)


def file_too_large(dataset: DatasetRef) -> str:
    """What the provider's trainer says to the file to validate on, as `dataset validate` does;
    empty: it takes it, or there is none."""
    if not (dataset.folder and dataset.validation_rows):
        return ""
    sizes = [(Path(dataset.folder) / one).stat().st_size for one in (TRAIN, VALIDATION)]
    return validation_too_large(*sizes)
