"""Files that are there whole or not at all: a reader sees the old one or the new one, no half.

What is written goes into a draft beside the file, of a name that no other writer has, and onto the
disk; then it takes the file's place. A writer that fails (a full disk) leaves no draft.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAMED = 100
"""Bytes of its file's name that a draft's may hold: no name is longer than 255 in all."""
SECRET = 0o600
"""The mode of a file that only its owner may read."""


def draft_of(path: Path, ending: str = "part") -> Path:
    """A hidden name beside the path's, which nobody else has: for what is to take its place."""
    named = os.fsencode(path.name)[:_NAMED].decode("utf-8", "ignore")
    return path.with_name(f".{named}.{secrets.token_hex(6)}.{ending}")


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """The draft's path, for who writes by name; it replaces the file if the block ends well."""
    draft = draft_of(path)
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink()


def write_whole(path: Path, content: bytes | str, mode: int = 0o666) -> None:
    """Replaces the file in one move; text as UTF-8. `mode` is that of a new file, before umask."""
    with drafted(path) as draft:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
