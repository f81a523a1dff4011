"""Ids that occur twice: noticed by hash while reading, settled exactly over the staged rows."""

from typing import Any

import orjson

from models.errors import RejectedFileError
from models.words import printable
from producers.readers.options import ReadOptions
from producers.readers.rejects import Reject, RejectCode, Row, reject_row
from producers.readers.staging import Staging

_EXAMPLES = 3


class Ids:
    """Remembers 64-bit hashes (Python's keyed SipHash) of ids already normalised to NFC.

    A row costs about 70 bytes. Equal hashes are only a suspicion until `settle` compares the ids.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._suspects: set[int] = set()

    def note(self, row_id: str) -> None:
        """Remember one accepted row's id."""
        mark = hash(row_id)
        if mark in self._seen:
            self._suspects.add(mark)
        self._seen.add(mark)

    def settle(self, name: str, staging: Staging, options: ReadOptions) -> None:
        """Leave one row of each id, or raise `RejectedFileError` naming both lines."""
        if not self._suspects:
            return
        if options.on_duplicate == "stop":
            self._stop(name, staging, options)
            return
        kept: dict[str, int] = {}
        for line in staging.lines():
            self._choose(kept, orjson.loads(line), last=options.on_duplicate == "last")
        staging.keep_only(lambda line: _beaten(orjson.loads(line), kept))

    def _choose(self, kept: dict[str, int], row: dict[str, Any], *, last: bool) -> None:
        if hash(row["id"]) in self._suspects and (last or row["id"] not in kept):
            kept[row["id"]] = row["line"]

    def _stop(self, name: str, staging: Staging, options: ReadOptions) -> None:
        first: dict[str, int] = {}
        clashes: list[str] = []
        for staged in staging.rows():
            row_id = staged.row_id
            if hash(row_id) not in self._suspects:
                continue
            if (line := first.setdefault(row_id, staged.line)) != staged.line:
                clashes.append(f"`{printable(row_id, 60)}` in lines {line} and {staged.line}")
            if len(clashes) == _EXAMPLES:
                break
        if clashes:
            raise RejectedFileError(
                f"{name} has rows with the same {options.id_field}: {', '.join(clashes)}"
                f"{' ...' if len(clashes) == _EXAMPLES else ''}; {options.on_stop}. "
                f"{options.undone}"
            )


def _beaten(row: dict[str, Any], kept: dict[str, int]) -> Reject | None:
    """The reject of a row that another of the same id was preferred to."""
    line = kept.get(row["id"], row["line"])
    if line == row["line"]:
        return None
    return reject_row(
        Row(row["line"], row["offset"], row["data"]),
        RejectCode.DUPLICATE_ID,
        f"the id `{printable(row['id'], 60)}` is also in line {line}, which was kept",
    )
