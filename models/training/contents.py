"""The hash of a dataset's content: producers store it, and a run checks it before it starts."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

PARTS = ("train", "validation", "test")
UNSPLIT = "rows"
"""The one part of a dataset before it is split."""
ALL_PARTS = (*PARTS, UNSPLIT)


class ContentHash:
    """SHA-256 over the sorted hashes of all rows with their parts: order does not matter.

    Each row costs about 65 bytes of memory, a million of them 65 MB.
    """

    def __init__(self) -> None:
        self._rows: list[bytes] = []

    def add(self, part: str, row: Mapping[str, Any]) -> None:
        """One row of a part; spaces and the order of its keys do not count."""
        canonical = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
        self._rows.append(hashlib.sha256(part.encode() + b"\n" + canonical).digest())

    def hexdigest(self) -> str:
        """64 hexadecimal characters."""
        whole = hashlib.sha256()
        for row in sorted(self._rows):
            whole.update(row)
        return whole.hexdigest()


def content_hash(folder: Path) -> str:
    """The content hash of the dataset in `folder` as its files are now, read line by line.

    Raises `OSError` or `ValueError` where a part cannot be read or is no JSON lines.
    """
    found = ContentHash()
    for part, path in parts_in(folder).items():
        with path.open("rb") as lines:
            for line in lines:
                found.add(part, orjson.loads(line))
    return found.hexdigest()


def parts_in(folder: Path) -> dict[str, Path]:
    """The parts that lie in a dataset's folder, in their order."""
    paths = {part: folder / f"{part}.jsonl" for part in ALL_PARTS}
    return {part: path for part, path in paths.items() if path.is_file()}
