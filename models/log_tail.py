"""What a process said last: the end of its log, for the message that tells of its end."""

from pathlib import Path

from models.words import printable

_TAIL = 4096
"""Bytes from the end that are read."""


def last_line(log: Path) -> str:
    """The last line of a log that says anything, made harmless to show; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            said = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return printable(next((line.strip() for line in reversed(said) if line.strip()), ""))
