"""Open stores of embedded documents: one copy per process, searched by name and by cosine."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from models.errors import BadInputError
from models.suites.microrna import MicroRna
from models.suites.retrieving import NameIndex, Ranked, names_of, ranked
from models.suites.schema import Evaluation
from models.vectors import Store, read_store
from worker.evaluating.nearest import Neighbours, best, cosines, cosines_of, neighbours

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

MOST_OPEN = 2
"""Stores that stay open: each is as large in memory as its file, or larger."""


class StoreProblemError(Exception):
    """The store cannot be searched; the text says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Library:
    """An open store. `names`: which of its documents name what, where that is looked at."""

    store: Store
    names: NameIndex
    neighbours: Neighbours | None = None
    """Says which documents may be near; None: all are compared."""

    def search(
        self, sought: Sequence[float], named: Sequence[MicroRna], top_k: int
    ) -> list[Ranked]:
        """The documents for a question, the best first. Takes milliseconds per 100,000."""
        direction = self._direction(sought)
        matching = self.names.matching(named)
        matrix = self.store.matrix
        near = self.neighbours.candidates(direction, top_k) if self.neighbours else []
        if len(near) < top_k:
            scores = cosines(matrix, direction)
            return ranked(matching, lambda at: float(scores[at]), best(scores, top_k), top_k)
        known = cosines_of(matrix, sorted({*near, *matching}), direction)
        near.sort(key=lambda at: (-known[at], at))
        return ranked(matching, known.__getitem__, near, top_k)

    def _direction(self, sought: Sequence[float]) -> "NDArray[numpy.float32]":
        """What is sought with length 1; zeros stay zeros, and are near to nothing."""
        import numpy as np  # noqa: PLC0415 # whoever evaluates without a store does without

        vector = np.asarray(sought, dtype=np.float32)
        if len(vector) != self.store.dimensions:
            raise StoreProblemError(
                f"its vectors have {self.store.dimensions} numbers, and {self.store.model} now "
                f"answers with {len(vector)}: embed the documents again"
            )
        length = float(np.linalg.norm(vector))
        return vector / np.float32(length) if length else vector


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which content of which file, and what its documents are looked through for."""

    path: str
    hash: str
    entity: str
    listed: str

    @classmethod
    def by(cls, evaluation: Evaluation) -> "Wanted":
        """What the evaluation searches; raises `StoreProblemError` where that is nothing."""
        told = evaluation.suite.retrieval
        if told is None or not evaluation.store:
            raise StoreProblemError("the evaluation names no store")
        return cls(evaluation.store, evaluation.store_hash, told.entity or "", told.entities)


class Stores:
    """The open stores of a process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._open: dict[Wanted, asyncio.Task[Library]] = {}

    async def library(self, wanted: Wanted) -> Library:
        """The store, opened by whoever asks first; raises `StoreProblemError`."""
        task = self._open.pop(wanted, None)
        if task is None or (task.done() and task.exception() is not None):
            task = asyncio.create_task(asyncio.to_thread(open_library, wanted))
        self._open[wanted] = task  # the last one asked for is the last to go
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]
        return await asyncio.shield(task)


def open_library(wanted: Wanted) -> Library:
    """Reads the file and looks through its documents; raises `StoreProblemError`."""
    try:
        store = read_store(Path(wanted.path))
    except BadInputError as problem:
        raise StoreProblemError(str(problem)) from None
    if store.hash != wanted.hash:
        raise StoreProblemError(
            f"{wanted.path} has another content ({store.hash[:12]}) than the one that the "
            f"evaluation was planned with ({wanted.hash[:12]})"
        )
    names = NameIndex()
    if wanted.entity:
        for place, doc in enumerate(store.docs):
            names.add(place, names_of(wanted.entity, orjson.loads(doc), wanted.listed))
    log.info("opened %s: %d documents embedded by %s", wanted.path, len(store.ids), store.model)
    return Library(store, names, neighbours(store, Path(wanted.path)))
