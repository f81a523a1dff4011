"""The files of the account, on disk and without a name there: they go with the process."""

import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

_BLOCK = 256 * 1024


@dataclass(slots=True)
class StoredFile:
    """One file. `created` is in seconds since 1970; `num_lines` counts what ends or is left."""

    filename: str
    purpose: str
    sample_type: str
    source: str
    created: float
    handle: IO[bytes] = field(repr=False)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    size: int = 0
    _ends: int = 0
    _open: bool = False

    @property
    def num_lines(self) -> int:
        """Lines, the last one also without its end."""
        return self._ends + self._open

    def write(self, chunk: bytes) -> None:
        """Append `chunk`."""
        if not chunk:
            return
        self.handle.write(chunk)
        self.size += len(chunk)
        self._ends += chunk.count(b"\n")
        self._open = not chunk.endswith(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """The content, in blocks; readers do not disturb each other. Ends if it is removed."""
        if not self.handle.closed:
            self.handle.flush()
        place = 0
        while not self.handle.closed and (block := os.pread(self.handle.fileno(), _BLOCK, place)):
            place += len(block)
            yield block

    def lines(self) -> Iterator[bytes]:
        """The lines that are not blank, without their ends."""
        kept = b""
        for block in self.blocks():
            *whole, kept = (kept + block).split(b"\n")
            yield from (line for line in whole if line.strip())
        if kept.strip():
            yield kept

    def card(self) -> dict[str, Any]:
        """`FileSchema` of the specification."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": int(self.created),
            "filename": self.filename,
            "purpose": self.purpose,
            "sample_type": self.sample_type,
            "num_lines": self.num_lines,
            "mimetype": "application/jsonl",
            "source": self.source,
            "signature": None,
            "expires_at": None,
            "visibility": "workspace",
        }


class Files:
    """All files by id, in the order of their arrival."""

    def __init__(self) -> None:
        self._kept: dict[str, StoredFile] = {}

    def begin(self, filename: str, purpose: str, sample_type: str, now: float) -> StoredFile:
        """A file to be written, which nobody sees before it is kept."""
        source = "upload" if sample_type in ("batch_request", "instruct") else "mistral"
        handle = tempfile.TemporaryFile(prefix="maestrale-simulator-")  # noqa: SIM115 # `close`
        return StoredFile(filename, purpose, sample_type, source, now, handle)

    def keep(self, file: StoredFile) -> StoredFile:
        """From now on it can be found."""
        self._kept[file.id] = file
        return file

    def find(self, file_id: str) -> StoredFile | None:
        """The file, unless there is none."""
        return self._kept.get(file_id)

    def newest_first(self) -> list[StoredFile]:
        """All of them."""
        return list(reversed(self._kept.values()))

    def remove(self, file_id: str) -> None:
        """Forget a file and its content."""
        self._kept.pop(file_id).handle.close()

    def close(self) -> None:
        """Forget all."""
        for file_id in list(self._kept):
            self.remove(file_id)
