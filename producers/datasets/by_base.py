"""Tokens of a dataset as a base's own training reads them, by the interpreter that trains.

`python -m worker.training.counting` counts; its answer is kept beside the rows that it is of.
"""

import hashlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import orjson
from pydantic import ValidationError

from models import extras
from models.errors import BadInputError
from models.settings import Settings
from models.training import DatasetRef, libraries
from models.training.counts import Answer, Counts
from models.whole_files import write_whole
from models.words import printable
from producers import training_python

TRAINED = ("train", "validation")
"""The parts that a training reads."""
_TELLING = frozenset({".json", ".jinja", ".gguf", ".model"})
"""What says of a model's folder which tokenizer it has."""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """Nothing could be counted here, although a training may do well."""

    why: str


def counts_of(
    dataset: DatasetRef,
    base: str,
    seq_len: int,
    settings: Settings,
    parts: Sequence[str] = TRAINED,
) -> Counts | Uncounted:
    """The counts of the parts, from beside the dataset if they were taken before.

    Raises `BadInputError` for what a training would surely fail for as well.
    """
    base = place_of(base)
    kept = Path(dataset.folder) / f"counts-{_mark(dataset, base, seq_len, parts)}.json"
    with suppress(OSError, ValidationError):
        return Counts.model_validate_json(kept.read_bytes())
    found = _counted(dataset, base, seq_len, settings, parts)
    if isinstance(found, Counts):
        _keep(kept, found)
    return found


def as_trained(dataset: DatasetRef, counts: Counts) -> DatasetRef:
    """The dataset with the rows and tokens that are trained on.

    Raises `BadInputError` if a part has none: a training would fail.
    """
    for part, found in counts.parts.items():
        if not found.rows:
            raise BadInputError(
                f"no row of {dataset.name}'s part {part} has an answer that begins within "
                f"{counts.seq_len} tokens: raise --seq-len, or shorten the prompts"
            )
    train = counts.parts["train"]
    return dataset.model_copy(update={"train_rows": train.rows, "train_tokens": train.tokens})


def place_of(base: str) -> str:
    """The base, a folder or GGUF here by its whole path: a worker runs in another folder.

    Raises `BadInputError` for a path that cannot be one.
    """
    try:
        path = Path(base).expanduser()
        is_here = path.is_dir() or (path.suffix == ".gguf" and path.is_file())
        return str(path.resolve()) if is_here else base
    except (OSError, RuntimeError) as error:  # nobody's home, a loop of links, too long a name
        why = getattr(error, "strerror", None) or error
        raise BadInputError(f"no base can be at {printable(base, 200)!r}: {why}") from error


def parts_of(dataset: DatasetRef) -> tuple[str, ...]:
    """Those that a training of it reads."""
    return TRAINED if dataset.validation_rows else TRAINED[:1]


# -- beside the dataset ----------------------------------------------------------------------------


def _mark(dataset: DatasetRef, base: str, seq_len: int, parts: Sequence[str]) -> str:
    """Of all that the counts depend on: a base's files may change under its name."""
    about = [version("maestrale"), dataset.hash, base, _files_of(base), seq_len, list(parts)]
    return hashlib.sha256(orjson.dumps(about)).hexdigest()[:16]


def _files_of(base: str) -> list[tuple[str, int, int]]:
    path = Path(base)
    files = [path] if path.is_file() else [p for p in path.glob("*") if p.suffix in _TELLING]
    try:
        stats = [(file.name, file.stat()) for file in sorted(files)]
    except OSError as error:
        raise BadInputError(
            f"a file of the base cannot be read ({error.strerror}): {error.filename}: mend it, or "
            "take it away if it is a link to what is gone"
        ) from error
    return [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]


def _keep(path: Path, found: Counts) -> None:
    """Best done, but a folder that cannot be written is no reason to fail."""
    with suppress(OSError):
        write_whole(path, found.model_dump_json() + "\n")


# -- the child -------------------------------------------------------------------------------------


def _counted(
    dataset: DatasetRef, base: str, seq_len: int, settings: Settings, parts: Sequence[str]
) -> Counts | Uncounted:
    if not settings.train_python and extras.missing(libraries.COUNTING):
        return Uncounted("the extra `train` is not installed here")
    command = _command(dataset, base, seq_len, settings, parts)
    try:
        done = training_python.ask(command)
    except OSError as error:
        return Uncounted(f"{command[0]} does not start ({error.strerror})")
    return _read(done)


def _command(
    dataset: DatasetRef, base: str, seq_len: int, settings: Settings, parts: Sequence[str]
) -> list[str]:
    python = settings.train_python or sys.executable
    told = ["--base", base, "--home", str(settings.home), "--seq-len", str(seq_len)]
    asked = [word for part in parts for word in ("--part", part)]
    return [python, "-m", "worker.training.counting", dataset.folder, *told, *asked]


def _read(done: training_python.Answered) -> Counts | Uncounted:
    """What the child answered. Raises `BadInputError` for a problem that training has too."""
    try:
        said = Answer.model_validate_json(done.stdout)
    except ValidationError:
        last = training_python.last_words(done)
        said_last = f", saying: {last}" if last else ""
        return Uncounted(f"the counting ended with code {done.returncode}{said_last}")
    if said.problem is not None and said.problem.is_sure:
        raise BadInputError(said.problem.detail)
    if said.counts is None:
        return Uncounted(said.problem.detail if said.problem else "the counting said nothing")
    return said.counts
