"""Writes a dataset's files into a folder that is not yet in its place."""

import json
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import IO

import orjson

from models.errors import BadInputError
from models.training.contents import ALL_PARTS, ContentHash
from models.whole_files import write_whole
from models.words import iso
from producers.datasets.counting import count_parts, lengths, tokenizer_for
from producers.datasets.folders import MANIFEST, REJECTS
from producers.datasets.left_out import LeftOut
from producers.datasets.manifest import Kind, Manifest, Part, Tokens
from producers.datasets.shaping import NotARowError, Row, asked_and_answered, kind_of_row
from producers.readers.rejects import EXCERPT_CHARS


class Writer:
    """The parts and the rejects of one dataset. Use it as a context: it closes its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.left_out = LeftOut()
        self.kinds: Counter[Kind] = Counter()
        self._hash = ContentHash()
        self._files: dict[str, IO[bytes]] = {}
        self._sizes: dict[str, array[int]] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def write(self, part: str, row: Row) -> None:
        """One row into its part."""
        self._file(part).write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self._hash.add(part, row)
        self.kinds[kind_of_row(row)] += 1
        characters = sum(map(len, asked_and_answered(row)))
        self._sizes.setdefault(part, array("q")).append(characters)

    def reject(self, place: str, why: NotARowError, row: object) -> None:
        """One row aside, with its reason and an excerpt."""
        self.left_out.add(place, why)
        text = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
        excerpt = text[:EXCERPT_CHARS]
        entry = {"place": place, "code": why.code, "message": str(why), "excerpt": excerpt}
        self._file("rejects").write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))

    def parts(self) -> dict[str, Part]:
        """What was written, part by part. Raises `BadInputError` for nothing or a mixture."""
        if not self._sizes:
            raise self.left_out.nothing_left()
        if len(self.kinds) > 1:
            raise BadInputError(
                f"{self.kinds['chat']:,} rows are conversations and {self.kinds['labels']:,} have "
                "labels: make two datasets, a model learns one or the other"
            )
        for file in self._files.values():
            file.flush()
        return {part: self._part(part) for part in ALL_PARTS if part in self._sizes}

    def hexdigest(self) -> str:
        """The content hash of what was written."""
        return self._hash.hexdigest()

    def count_tokens(self) -> Tokens:
        """Tokens of what was written, by Mistral's tokenizer."""
        return count_parts({part: self._read(part) for part in self.parts()}, tokenizer_for())

    def _part(self, part: str) -> Part:
        sizes = self._sizes[part]
        return Part(rows=len(sizes), bytes=self._files[part].tell(), characters=lengths(sizes))

    def _read(self, part: str) -> Iterator[Row]:
        with (self.folder / f"{part}.jsonl").open("rb") as lines:
            yield from map(orjson.loads, lines)

    def _file(self, part: str) -> IO[bytes]:
        if part not in self._files:
            path = self.folder / (REJECTS if part == "rejects" else f"{part}.jsonl")
            self._files[part] = self._open.enter_context(path.open("xb"))
        return self._files[part]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The manifest, readable for people too."""
    write_whole(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")


def stamp() -> dict[str, str]:
    """When a manifest is written, and by which version."""
    return {"created_at": iso(time.time()), "maestrale": version("maestrale")}
