"""Histories: append-only logs of what each party saw, one JSON object a line.

Three parties write: the producer (what it handed in and what it was given back), the simulator
(which calls reached it, ran, were answered) and the webhook sink. The campaign adds what it did to
them. Nothing here reads a table of ours: a history is what somebody outside could have written.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was seen."""

    at: float
    """Seconds since the epoch, by the clock of this machine, which all parties share."""
    by: str
    what: str
    facts: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:  # whatever was written
        return self.facts[name]


class Log:
    """One party's log. A line is one `write` on a file opened for appending: a process that is
    killed leaves whole lines, and at worst half a last one."""

    def __init__(self, folder: Path, by: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{by}.jsonl"
        self._by = by
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, what: str, **facts: Any) -> None:  # JSON
        """Appends a line, as of now."""
        line = {"at": time.time(), "by": self._by, "what": what, **facts}
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def close(self) -> None:
        """No more lines."""
        os.close(self._file)


def read(folder: Path) -> list[Line]:
    """All lines of all parties, oldest first; of equal times, in the order of their logs."""
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in _lines(path)]
    return sorted(lines, key=lambda line: line.at)


def _lines(path: Path) -> Iterator[Line]:
    for raw in path.read_bytes().split(b"\n")[:-1]:  # what has no end was never written whole
        facts = json.loads(raw)
        yield Line(facts.pop("at"), facts.pop("by"), facts.pop("what"), facts)
