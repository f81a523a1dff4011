"""The bytes of the input, hashed as they pass: a regular file or stdin, and nothing else."""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from models.errors import BadInputError, NotFoundError, RejectedFileError
from models.words import printable

CHUNK_BYTES = 1 << 20
STDIN = "-"
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
# O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever


class Source:
    """An opened input. Iterate `chunks()` to its end, then ask for `fingerprint()`."""

    def __init__(self, source: str | Path) -> None:
        self.from_stdin = str(source) == STDIN
        self.path = Path(source)
        self.name = "<stdin>" if self.from_stdin else printable(self.path.name)
        self.bytes_read = 0
        self._hash = hashlib.sha256()
        self.file: BinaryIO = sys.stdin.buffer if self.from_stdin else _open(self.path, self.name)
        self._before = self._state()

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if not self.from_stdin:
            self.file.close()

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The bytes as they lie, still packed, hashed on the way."""
        while chunk := self._read(size):
            self._hash.update(chunk)
            self.bytes_read += len(chunk)
            yield chunk

    def fingerprint(self) -> str:
        """SHA-256 of the whole input, reading what is left; raises if it changed meanwhile."""
        for _ in self.chunks():
            pass
        if self._state() != self._before or self._before[:1] not in ((), (self.bytes_read,)):
            raise RejectedFileError(
                f"{self.name} changed while it was read: wait until it is written, then try again"
            )
        return self._hash.hexdigest()

    def _read(self, size: int) -> bytes:
        try:
            return self.file.read(size)
        except OSError as error:
            raise RejectedFileError(f"{self.name} cannot be read: {error.strerror}") from error

    def _state(self) -> tuple[int, ...]:
        """(size, time of the last change in ns); nothing for stdin, which has neither."""
        if self.from_stdin:
            return ()
        status = os.fstat(self.file.fileno())
        return (status.st_size, status.st_mtime_ns)


def _open(path: Path, name: str) -> BinaryIO:
    try:
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise _unopened(name, error) from error
    if problem := _not_a_file(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInputError(f"{name} is {problem}: give a file, or `-` for stdin")
    return os.fdopen(descriptor, "rb", buffering=0)


def _unopened(name: str, error: OSError | ValueError) -> NotFoundError | BadInputError:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return NotFoundError(f"there is no file {name}: check the path")
        case PermissionError():
            return BadInputError(f"{name} may not be read by you: check its permissions")
        case OSError():
            return BadInputError(f"{name} cannot be opened: {error.strerror}")
        case _:
            return BadInputError("the path of the input holds a NUL: check it")


def _not_a_file(mode: int) -> str:
    """What stands at the path in place of a regular file, in words; empty if it is one."""
    if stat.S_ISREG(mode):
        return ""
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")
