"""Accepted rows on disk, so that memory does not grow with the input.

Rows go to an anonymous file in the staging folder: it is gone when the process is, even after
`kill -9`. Rejects go to a named file, made when the first one comes, which outlives a refusal.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from models.errors import SetupError
from producers.readers.rejects import Reject, RejectCode
from producers.readers.unpacking import buffered

FIRST_REJECTS = 20
HOPELESS_REJECTS = 100_000
"""So many rejects, and more than rows accepted: stop, before they fill the disk."""
_MAX_FIELDS, _MAX_FIELD_CHARS = 1000, 200
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class StagedRow:
    """An accepted row: its id (in NFC), its line in the input, and all its fields."""

    row_id: str
    line: int
    data: dict[str, Any]


@contextmanager
def disk_answers(folder: Path) -> Iterator[None]:
    """Turn what the staging disk refuses into a `SetupError`."""
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"the staging folder {folder} cannot be written ({error.strerror}): free some space "
            "or set MAESTRALE_HOME to another disk"
        ) from error


class Staging:
    """The two files of one reading, and what was counted while they were written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with disk_answers(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._rows = self.scratch_file()
        self._rejects: IO[bytes] | None = None
        self.rejects_path: Path | None = None
        self.first_rejects: list[Reject] = []
        self.accepted = 0
        self._rejected = 0
        self.codes: Counter[RejectCode] = Counter()
        self.fields: Counter[str] = Counter()

    def scratch_file(self) -> IO[bytes]:
        """An anonymous file in the staging folder."""
        return tempfile.TemporaryFile(dir=self.folder, buffering=_CHUNK_BYTES)

    def accept(self, staged: bytes, fields: Mapping[str, object]) -> None:
        """Keep a row's line as `RowChecker.check` gave it, and count its fields."""
        self._rows.write(staged + b"\n")
        self.accepted += 1
        if len(self.fields) < _MAX_FIELDS:
            self.fields.update(name for name in fields if len(name) <= _MAX_FIELD_CHARS)

    def reject(self, reject: Reject) -> None:
        """Count a refused row and write it aside."""
        self.codes[reject.code] += 1
        self._rejected += 1
        if len(self.first_rejects) < FIRST_REJECTS:
            self.first_rejects.append(reject)
        self._rejects_file().write(orjson.dumps(asdict(reject)) + b"\n")

    def is_hopeless(self) -> bool:
        """Whether reading on could only add to a heap of rejects."""
        return self._rejected >= max(HOPELESS_REJECTS, self.accepted + 1)

    def rows(self) -> Iterator[StagedRow]:
        """The accepted rows in order; may be run through again and at the same time."""
        for line in self.lines():
            row = orjson.loads(line)
            yield StagedRow(row["id"], row["line"], row["data"])

    def lines(self) -> Iterator[bytes]:
        """The accepted rows' staged lines."""
        self._rows.flush()
        return iter(buffered(_read_from_start(self._rows.fileno())))

    def keep_only(self, wanted: Callable[[bytes], Reject | None]) -> None:
        """Write the rows anew without those for which `wanted` gives a reject."""
        with disk_answers(self.folder):
            kept = self.scratch_file()
            for line in self.lines():
                if (refused := wanted(line)) is None:
                    kept.write(line)
                else:
                    self.accepted -= 1
                    self.reject(refused)
        self._rows.close()
        self._rows = kept

    def finish(self) -> None:
        """Bring everything to the disk, so that a full one is noticed now."""
        with disk_answers(self.folder):
            self._rows.flush()
            if self._rejects:
                self._rejects.close()

    def keep_rejects_as(self, name: str) -> Path | None:
        """Let the rejects outlive the reading under `name`; None if there are none."""
        self._rows.close()
        if self.rejects_path is None:
            return None
        return self.rejects_path.replace(self.folder / name)

    def close(self) -> None:
        """Delete both files."""
        self._rows.close()
        if self._rejects and self.rejects_path:
            self._rejects.close()
            self.rejects_path.unlink(missing_ok=True)

    def _rejects_file(self) -> IO[bytes]:
        if self._rejects is None:
            descriptor, path = tempfile.mkstemp(".jsonl", "rejects-", self.folder)
            self._rejects, self.rejects_path = os.fdopen(descriptor, "wb"), Path(path)
        return self._rejects


def _read_from_start(descriptor: int) -> Iterator[bytes]:
    """A file's chunks by position, so that readers do not disturb each other."""
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
        offset += len(chunk)
        yield chunk
