"""`make`: sources -> shaped, filtered, deduplicated rows -> a dataset in its place.

Rows pass through an anonymous file below the home, so that memory holds about 250 bytes a row
(ids, fingerprints and places), and the boilerplate's sample of a thousand rows.
"""

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from models.errors import BadInputError
from producers.client import Maestrale
from producers.datasets import folders
from producers.datasets.counting import tokenizer_for
from producers.datasets.dataset import Dataset
from producers.datasets.filtering import Sieve
from producers.datasets.likeness import Boilerplate, Likeness, fingerprint, normalised
from producers.datasets.manifest import Dedupe, Filters, Manifest, Shape, Split
from producers.datasets.rules import check_row, library_check
from producers.datasets.shaping import (
    NotARowError,
    Row,
    Shaper,
    content_id,
)
from producers.datasets.sources import Found, Sources
from producers.datasets.writing import Writer, stamp, write_manifest
from producers.readers import KEEP_ONE, OnDuplicate, ReadOptions

_LOOSEST = 0.5
"""Below this, likeness means little and everything is compared with everything."""


@dataclass(frozen=True)
class Wish:
    """What a dataset shall be made of, and how."""

    sources: Sequence[str]
    filters: Filters = field(default_factory=Filters)
    shape: Shape = field(default_factory=Shape)
    dedupe: Dedupe = "near"
    threshold: float = 0.9
    max_rejected_share: float = 0.05
    """Of each file unreadable, and of all rows unreadable or broken."""
    on_duplicate: OnDuplicate = "stop"
    """Ids that occur twice in one file; in two files they are two rows."""
    count_tokens: bool = True
    overwrite: bool = False


def make(maestrale: Maestrale, name: str, wish: Wish, folder: Path | None = None) -> Dataset:
    """Makes the dataset `name` below the home, or in `folder`.

    Raises `BadInputError` for a bad name, wish or source, before anything is written.
    """
    folders.checked_name(name)
    home = folders.datasets_home(maestrale.settings)
    place = (folder or home / name).expanduser().resolve()
    folders.check_free(place, overwrite=wish.overwrite)
    if not _LOOSEST <= wish.threshold <= 1:
        raise BadInputError(f"--threshold {wish.threshold:g} must be {_LOOSEST:g} to 1")
    options = ReadOptions(
        max_rejected_share=wish.max_rejected_share,
        on_duplicate=wish.on_duplicate,
        on_stop=KEEP_ONE,
    )
    sources = Sources(maestrale, options)
    with sources, folders.replacing(place, overwrite=wish.overwrite) as draft:
        for source in wish.sources:
            sources.add(source)
        with Writer(draft) as writer, _Staged(draft) as staged:
            for where, why, excerpt in sources.unread():
                writer.reject(where, why, excerpt)
            _Making(wish, writer, staged).run(sources.rows())
            manifest = _manifest(name, wish, writer, sources)
        write_manifest(draft, manifest)
    return Dataset(place, manifest)


def _manifest(name: str, wish: Wish, writer: Writer, sources: Sources) -> Manifest:
    by_field = Split(by="field", field=wish.shape.split_field)
    found = writer.hexdigest()
    return Manifest(
        name=name,
        parts=writer.parts(),
        hash=found,
        checked=found if library_check() else "",
        kind=next(iter(writer.kinds)),
        tokens=writer.count_tokens() if wish.count_tokens else None,
        origin=sources.origins,
        shape=wish.shape,
        filters=wish.filters,
        dedupe=wish.dedupe,
        threshold=wish.threshold,
        left_out=dict(writer.left_out.counts),
        split=by_field if wish.shape.split_field else None,
        **stamp(),
    )


class _Staged:
    """Rows on disk, to be read again in order or by place. Eight bytes a row in memory."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 # closed with what owns it
        self._offsets = array("q")

    def __enter__(self) -> "_Staged":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, part: str, place: str, row: Row) -> None:
        """One row with its part and where it was found."""
        self._offsets.append(self._file.seek(0, 2))
        self._file.write(orjson.dumps([part, place, row], option=orjson.OPT_APPEND_NEWLINE))

    def __iter__(self) -> Iterator[tuple[str, str, Row]]:
        self._file.seek(0)
        for line in self._file:
            part, place, row = orjson.loads(line)
            yield part, place, row

    def row(self, number: int) -> Row:
        """One row by its place; not while the rows are run through."""
        self._file.seek(self._offsets[number])
        row: Row = orjson.loads(self._file.readline())[2]
        return row


class _Making:
    """One dataset in the making, step by step."""

    def __init__(self, wish: Wish, writer: Writer, staged: _Staged) -> None:
        self._wish, self._writer, self._staged = wish, writer, staged
        self._shaper = Shaper(wish.shape)
        self._sieve = Sieve(wish.filters, lambda row: tokenizer_for().count(row)[0])
        self._ids: set[int] = set()
        self._fingerprints: set[bytes] = set()
        self._boilerplate = Boilerplate()

    def run(self, found: Iterator[Found]) -> None:
        """Take every row or name why not, find near duplicates, write what is left."""
        self._take_all(found)
        like = self._near_duplicates() if self._wish.dedupe == "near" else {}
        for number, (part, place, row) in enumerate(self._staged):
            if number in like:
                why = NotARowError("near_duplicate", f"nearly the same as row {like[number]}")
                self._writer.reject(place, why, row)
            else:
                self._writer.write(part, row)

    def _take_all(self, found: Iterator[Found]) -> None:
        """Raises `BadInputError` where too many are broken, unless all are: that is told later."""
        rows = self._writer.left_out.counts.total()
        for one in found:
            rows += 1
            try:
                self._take(one)
            except NotARowError as why:
                self._writer.reject(one.place, why, one.data)
        if self._ids:
            self._writer.left_out.check(rows, self._wish.max_rejected_share)

    def _take(self, found: Found) -> None:
        part = self._shaper.part_of(found.data)
        row = self._shaper.shaped(found.data, found.origin)
        self._sieve.check(row)
        check_row(row)
        if self._wish.dedupe != "none":
            self._check_new(row)
        self._staged.add(part, found.place, self._named(row))

    def _check_new(self, row: Row) -> None:
        texts = normalised(row)
        mark = fingerprint(texts)
        if mark in self._fingerprints:
            raise NotARowError("duplicate", "another row says exactly the same")
        self._fingerprints.add(mark)
        if self._wish.dedupe == "near":
            self._boilerplate.look_at(texts)

    def _named(self, row: Row) -> Row:
        """The row under an id of its own; its first id still says which input it comes from."""
        mark = hash(row["id"])
        if mark not in self._ids:
            self._ids.add(mark)
            return row
        meta: dict[str, Any] = {**row.get("meta", {})}
        meta.setdefault("row", row["id"])
        unique = f"{row['id']}~{content_id(row)[4:12]}"
        number = 1
        while hash(unique) in self._ids:
            number += 1
            unique = f"{row['id']}~{content_id(row)[4:12]}-{number}"
        self._ids.add(hash(unique))
        return {**row, "id": unique, "meta": meta}

    def _near_duplicates(self) -> dict[int, str]:
        """Rows to leave out, with the id of the row that is kept in their place."""
        likeness = Likeness(self._wish.threshold, self._boilerplate.grams(), self._writer.folder)
        try:
            for _, _, row in self._staged:
                likeness.add(normalised(row))
            return self._compared(likeness)
        finally:
            likeness.close()

    def _compared(self, likeness: Likeness) -> dict[int, str]:
        kept_for: dict[int, int] = {}
        for number, candidates in likeness.candidates():
            texts = normalised(self._staged.row(number))
            for one in sorted({kept_for.get(c, c) for c in candidates}):
                if likeness.are_alike(texts, normalised(self._staged.row(one))):
                    kept_for[number] = one
                    break
        return {number: str(self._staged.row(one)["id"]) for number, one in kept_for.items()}
