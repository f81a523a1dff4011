"""The child's standard output: our events alone, whatever libraries print."""

import os
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel

from worker.training.events import to_line


class Teller:
    """Writes events where only events go."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def tell(self, event: BaseModel) -> None:
        """Writes one line; a parent that is gone is no reason to fail here (`die_with` sees it)."""
        try:
            self._out.write(to_line(event))
            self._out.flush()
        except BrokenPipeError:
            pass


def take_over_output(log: Path) -> Teller:
    """Keeps standard output for events; all else that is printed goes to `log` from here on."""
    ours = os.fdopen(os.dup(1), "wb", buffering=0)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return Teller(ours)
