"""Rows that say the same: exactly (normalised), or nearly (MinHash, banded, then compared).

A row is nearly another if both what it asks and what it answers are: two questions about one long
text are not. What stands in most rows' prompts is a template's text and counts for nothing.
"""

import hashlib
import random
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from producers.datasets.shaping import asked_and_answered

Hashes = npt.NDArray[np.uint64]
Texts = tuple[str, str]
_GRAM_BYTES = 5
_ANSWER = np.uint64(1 << 63)
"""Marks grams of answers, so that a prompt never looks like an answer."""
_PERMUTATIONS = 128
_BATCH = 512
_SAMPLE = 1000
_FEWEST = 8
"""Below so many rows nothing is taken for a template's text."""
_RECALL = 0.99
_CANDIDATES = 64
"""Compared with each row at most; rows that look alike come first."""


def normalised(row: Mapping[str, Any]) -> Texts:
    """What a row asks and answers, without differences of case, width and spaces."""
    asked, answered = asked_and_answered(row)
    return _normal(asked), _normal(answered)


def fingerprint(texts: Texts) -> bytes:
    """16 bytes that rows share only if they say exactly the same."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=16).digest()


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def grams(text: str) -> Hashes:
    """The distinct runs of five bytes of a text, as sorted numbers."""
    raw = np.frombuffer(text.encode().ljust(_GRAM_BYTES, b"\0"), dtype=np.uint8)
    count = len(raw) - _GRAM_BYTES + 1
    found = np.zeros(count, dtype=np.uint64)
    for place in range(_GRAM_BYTES):
        found |= raw[place : place + count].astype(np.uint64) << np.uint64(8 * place)
    return np.unique(found)


def jaccard(one: Hashes, other: Hashes) -> float:
    """The share that two sets have in common; 1 for two empty ones."""
    both = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - both
    return both / union if union else 1.0


class Boilerplate:
    """Learns from a sample of rows what most prompts hold."""

    def __init__(self) -> None:
        self._sample: list[Hashes] = []
        self._seen = 0
        self._chance = random.Random(0)  # noqa: S311 # which rows are sampled is no secret

    def look_at(self, texts: Texts) -> None:
        """One row; a thousand of all are kept (reservoir)."""
        self._seen += 1
        if len(self._sample) < _SAMPLE:
            self._sample.append(grams(texts[0]))
        elif (place := self._chance.randrange(self._seen)) < _SAMPLE:
            self._sample[place] = grams(texts[0])

    def grams(self) -> Hashes:
        """What stands in more than half of the prompts; nothing where there are few rows."""
        if len(self._sample) < _FEWEST:
            return np.empty(0, dtype=np.uint64)
        found, counts = np.unique(np.concatenate(self._sample), return_counts=True)
        return found[counts > len(self._sample) / 2]


class Likeness:
    """Finds near duplicates among rows added in order. Memory: 128 bytes a row, on disk."""

    def __init__(self, threshold: float, boilerplate: Hashes, scratch: Path) -> None:
        self._threshold, self._boilerplate = threshold, boilerplate
        self._bands = bands_for(threshold)
        self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 # closed with what owns it
        self._batch: list[Hashes] = []
        self._count = 0

    def close(self) -> None:
        """Forgets everything."""
        self._file.close()

    def add(self, texts: Texts) -> None:
        """The next row."""
        asked, answered = self._sets(texts)
        self._batch.append(np.concatenate([asked, answered | _ANSWER]))
        if len(self._batch) == _BATCH:
            self._flush()

    def candidates(self) -> Iterator[tuple[int, list[int]]]:
        """Rows with earlier rows that may be like them, both by place, in order."""
        self._flush()
        found = np.empty((0, 2), dtype=np.int64)
        for band in range(self._bands):
            found = np.unique(np.concatenate([found, self._pairs(band)]), axis=0)
        bounds = np.flatnonzero(np.diff(found[:, 0], prepend=-1, append=-1))
        for start, end in pairwise(bounds):
            yield int(found[start, 0]), [int(one) for one in found[start:end, 1][:_CANDIDATES]]

    def are_alike(self, one: Texts, other: Texts) -> bool:
        """Whether both prompts and answers have so much in common, counted exactly."""
        pairs = zip(self._sets(one), self._sets(other), strict=True)
        return all(jaccard(a, b) >= self._threshold for a, b in pairs)

    def _sets(self, texts: Texts) -> tuple[Hashes, Hashes]:
        asked = grams(texts[0])
        if len(self._boilerplate):
            asked = np.setdiff1d(asked, self._boilerplate, assume_unique=True)
        return asked, grams(texts[1])

    def _flush(self) -> None:
        """Signs the batch and keeps one hash per band and row."""
        if not self._batch:
            return
        signed = _signatures(self._batch).reshape(len(self._batch), self._bands, -1)
        odd = np.random.default_rng(7).integers(1, 2**63, signed.shape[2], dtype=np.uint64) * 2 + 1
        mixed = (signed.astype(np.uint64) + np.uint64(1)) * odd
        mixed ^= mixed >> np.uint64(29)
        self._file.write(mixed.sum(axis=2, dtype=np.uint64).tobytes())
        self._count += len(self._batch)
        self._batch = []

    def _pairs(self, band: int) -> npt.NDArray[np.int64]:
        """(row, earlier row) of rows that share a band: the row before it, and the first."""
        if not self._count:
            return np.empty((0, 2), dtype=np.int64)
        self._file.flush()
        shape = (self._count, self._bands)
        column = np.array(np.memmap(self._file, np.uint64, "r", shape=shape)[:, band])
        order = np.argsort(column, kind="stable")
        again = np.flatnonzero(column[order][1:] == column[order][:-1]) + 1
        starts = np.arange(self._count)
        starts[again] = 0
        first = np.maximum.accumulate(starts)
        rows = order[again]
        return np.unique(
            np.concatenate(
                [
                    np.stack([rows, order[again - 1]], axis=1),
                    np.stack([rows, order[first[again]]], axis=1),
                ]
            ),
            axis=0,
        )


def bands_for(threshold: float) -> int:
    """The fewest bands of 128 that find 99% of the pairs exactly at the threshold."""
    for bands in (8, 16, 32, 64):
        if 1 - (1 - threshold ** (_PERMUTATIONS // bands)) ** bands >= _RECALL:
            return bands
    return _PERMUTATIONS


def _signatures(sets: Iterable[Hashes]) -> npt.NDArray[np.uint32]:
    from rensa import RMinHash  # noqa: PLC0415 # only those who look for near duplicates need it

    sets = list(sets)
    ends = np.cumsum([0, *map(len, sets)]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.concatenate(sets), ends, _PERMUTATIONS, 42
    )
    return np.array(matrix.to_rows(), dtype=np.uint32)
