"""An append-only log of what reached the simulator, for those who check a history from outside."""

import os
import time
from itertools import count
from pathlib import Path

import orjson


class Journal:
    """One JSON object a line, each written at once: whoever reads it sees what has happened.

    `arrived` (n, peer, cuts: no whole answer will be sent), `executed` (n, digest, model, tokens),
    `answered` (n, status, whole), `left` (n); of batches `executed` with the batch's id instead of
    a number; `created` (kind, id, metadata) of remote jobs. Times are seconds since the epoch.
    Without a path it writes nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        self._file = None if path is None else os.open(path, flags, 0o600)
        size = 0 if self._file is None else os.fstat(self._file).st_size
        self._numbers = count(size + 1)  # who writes the file further uses no number again

    def number(self) -> int:
        """The number of the next call."""
        return next(self._numbers)

    def note(self, what: str, **facts: object) -> None:
        """Append a line, as of now."""
        if self._file is not None:
            line = {"at": time.time(), "by": "simulator", "what": what, **facts}
            os.write(self._file, orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Write no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
