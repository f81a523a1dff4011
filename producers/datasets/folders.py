"""Where datasets lie, and how one takes another's place: whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.crashing import crash_point
from models.errors import BadInputError, NotFoundError, SetupError
from models.settings import Settings
from models.words import printable

MANIFEST = "dataset.json"
REJECTS = "rejects.jsonl"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def datasets_home(settings: Settings) -> Path:
    """The folder that holds the datasets called by name."""
    return settings.home / "datasets"


def checked_name(name: str) -> str:
    """The name, if a dataset may be called so. Raises `BadInputError`."""
    if not _NAME.fullmatch(name):
        raise BadInputError(
            f"a dataset cannot be called {printable(name, 80)!r}: take small letters, digits, "
            "dots, dashes and underscores, 64 at most, a letter or digit first"
        )
    return name


def find(settings: Settings, name_or_path: str | Path) -> Path:
    """The folder of a dataset, by its name or its path. Raises `NotFoundError`."""
    text = str(name_or_path)
    named = datasets_home(settings) / text if _NAME.fullmatch(text) else None
    for folder in (named, Path(text).expanduser()):
        if folder is not None:
            place = folder.resolve()
            _undo_half_a_swap(place)
            if (place / MANIFEST).is_file():
                return place
    names = sorted(path.parent.name for path in datasets_home(settings).glob(f"[!.]*/{MANIFEST}"))
    raise NotFoundError(
        f"there is no dataset {printable(text, 200)!r} (there are: "
        f"{', '.join(names[:20]) or 'none'}): make one with `maestrale dataset make NAME FILE`"
    )


@contextmanager
def replacing(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when the block ends well, else vanishes.

    Raises `BadInputError` if a dataset is there and may not be overwritten, or something else is.
    """
    check_free(folder, overwrite=overwrite)
    draft = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}.part")
    try:
        draft.mkdir(parents=True, mode=0o700)
        yield draft
        _swap(draft, folder, overwrite=overwrite)
    except OSError as error:
        raise SetupError(
            f"{folder} cannot be written ({error.strerror or error}): free some space or choose "
            "another folder (--out)"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_free(folder: Path, *, overwrite: bool) -> None:
    """Refuses a place that another thing has taken. Ask before the work is done."""
    _undo_half_a_swap(folder.resolve())
    if not folder.exists():
        return
    if not (folder / MANIFEST).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"{folder} is there and holds no dataset: choose another folder")
    if not overwrite and (folder / MANIFEST).is_file():
        raise BadInputError(
            f"the dataset {folder.name} is there already: choose another name, or --overwrite it"
        )


def _swap(draft: Path, folder: Path, *, overwrite: bool) -> None:
    """Two renames; a death between them is undone by whoever looks next."""
    check_free(folder, overwrite=overwrite)
    for path in draft.iterdir():
        _to_disk(path)
    _to_disk(draft)
    before = _before(folder)
    if folder.exists():
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
        crash_point("dataset.swapping")
    draft.rename(folder)
    _to_disk(folder.parent)
    shutil.rmtree(before, ignore_errors=True)


def _undo_half_a_swap(folder: Path) -> None:
    if folder.exists():  # also a root, which has nothing beside it
        return
    before = _before(folder)
    if before.is_dir():
        before.rename(folder)


def _before(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.before")


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
