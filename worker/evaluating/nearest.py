"""The nearest documents of a large store: an index (faiss) says which may be near, their exact
cosines decide.

The index sorts the documents into lists by likeness and keeps a byte per number: a quarter of the
matrix. It lies in a file beside the store, so that all workers and later runs get the same
documents, and only the first one builds it.
"""

import fcntl
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.vectors import Store
from models.whole_files import drafted

if TYPE_CHECKING:
    import faiss
    import numpy
    from numpy.typing import NDArray

    Vectors = NDArray[numpy.float32]

log = logging.getLogger(__name__)

LARGE = 100_000
"""Documents from which on an index is worth its building. Measured on two busy cores with 20,000,
100,000 and 300,000 vectors of 1,024 numbers, a query against all takes 10 to 18, 31 and 128 ms;
by the index 5, 7 and 9 ms (vectors without any likeness: 17 ms of 26 at 100,000), once it was
built in 2, 6 and 20 s: after some 200 queries that is less. A model's answer takes a second."""
BLOCK = 65_536
"""Documents whose cosines are computed at a time: between two blocks other threads get a turn."""
GATHERED = 4_096
"""Rows copied at a time where only some are compared: 16 MB of usual vectors."""
SPARE = 10
"""Candidates per document wanted: bytes are less exact than the cosines that decide."""
LEARNT = 40
"""Documents per list that the lists are made from: faiss warns of fewer than 39."""
ROUNDS = 10
"""Of k-means; faiss's 25 find the same documents."""
TRIED, TRIED_FOR, ENOUGH = 32, 50, 0.99
"""A new index is tried with as many queries for as many documents each; it looks through more
lists until it finds this share of them."""
FEWEST_LISTS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """An index in memory."""

    index: "faiss.IndexIVFScalarQuantizer"

    def candidates(self, sought: "Vectors", count: int) -> list[int]:
        """Places of documents that may be the `count` nearest, several times as many; fewer only
        where the lists looked through hold no more."""
        _, found = self.index.search(sought[None], count * SPARE)
        return [int(place) for place in found[0] if place >= 0]


def neighbours(store: Store, path: Path) -> Neighbours | None:
    """The index of a large store, built if it is not kept beside it. None for other stores, and
    where faiss is not installed: whoever gets none compares with every document."""
    if len(store.ids) < LARGE:
        return None
    try:
        import faiss  # noqa: F401, PLC0415 # the extra `evaluate`; only large stores need it
    except ImportError:
        log.info("%s is searched without an index: pip install 'maestrale[evaluate]'", path)
        return None
    kept = path.with_name(f"{path.name}.{store.hash[:16]}.ivf")
    with _alone(path):
        index = _read(kept, store)
        if index is None:
            index = _built(store.matrix)
            _keep(index, kept, path.name)
    return Neighbours(index)


def cosines(matrix: "Vectors", sought: "Vectors") -> "Vectors":
    """Of every row. `sought` has length 1, or 0."""
    import numpy as np  # noqa: PLC0415 # whoever evaluates without a store does without

    blocks = [matrix[at : at + BLOCK] @ sought for at in range(0, len(matrix), BLOCK)]
    return np.concatenate(blocks)


def cosines_of(matrix: "Vectors", places: Sequence[int], sought: "Vectors") -> dict[int, float]:
    """Of these rows."""
    found: dict[int, float] = {}
    for at in range(0, len(places), GATHERED):
        some = places[at : at + GATHERED]
        found.update(zip(some, (matrix[some] @ sought).tolist(), strict=True))
    return found


def best(scores: "Vectors", count: int) -> list[int]:
    """Places of the highest scores, the highest first; the first of equals first."""
    import numpy as np  # noqa: PLC0415 # as above

    last = min(count, len(scores)) - 1
    least = -np.partition(-scores, last)[last]
    above, equal = np.flatnonzero(scores > least), np.flatnonzero(scores == least)
    some = [*above, *equal[:count]][:count]
    return sorted(map(int, some), key=lambda at: (-scores[at], at))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody else builds an index of this store. The lock goes with the process."""
    with path.open("rb") as held:
        with suppress(OSError):  # a file system without locks: then two may build the same index
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _read(kept: Path, store: Store) -> "faiss.IndexIVFScalarQuantizer | None":
    import faiss  # noqa: PLC0415 # as above

    if not kept.exists():
        return None
    try:
        index = faiss.read_index(str(kept))
    except RuntimeError as error:  # all that faiss raises for a file that it cannot read
        log.warning("%s is built again: %s", kept, str(error).splitlines()[0])
        return None
    fits = (index.ntotal, index.d) == (len(store.ids), store.dimensions)
    return index if fits and isinstance(index, faiss.IndexIVFScalarQuantizer) else None


def _built(matrix: "Vectors") -> "faiss.IndexIVFScalarQuantizer":
    import faiss  # noqa: PLC0415 # as above

    faiss.omp_set_num_threads(1)  # this thread's: sums in one order, the same index each time
    documents, dimensions = matrix.shape
    lists = math.isqrt(documents)
    centres, kind = faiss.IndexFlatIP(dimensions), faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(
        centres, dimensions, lists, kind, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = ROUNDS
    index.train(matrix[:: max(1, documents // (lists * LEARNT))])
    for at in range(0, documents, BLOCK):
        index.add(matrix[at : at + BLOCK])
    _widen(index, matrix)
    return index


def _widen(index: "faiss.IndexIVFScalarQuantizer", matrix: "Vectors") -> None:
    """Sets through how many lists a search looks: as many as it takes for queries halfway between
    two documents, which are harder than questions; all of them if need be."""
    import numpy as np  # noqa: PLC0415 # as above

    one, other = np.random.default_rng(0).integers(len(matrix), size=(2, TRIED))
    queries = (matrix[one] + matrix[other]) / 2
    wanted = [set(best(cosines(matrix, query), TRIED_FOR)) for query in queries]
    index.nprobe = min(FEWEST_LISTS, index.nlist)
    while index.nprobe < index.nlist:
        _, found = index.search(queries, TRIED_FOR * SPARE)
        hits = sum(len(want & set(got)) for want, got in zip(wanted, found.tolist(), strict=True))
        if hits >= ENOUGH * sum(map(len, wanted)):
            break
        index.nprobe = min(2 * index.nprobe, index.nlist)
    log.info("indexed %d documents; %d of %d lists", len(matrix), index.nprobe, index.nlist)


def _keep(index: "faiss.IndexIVFScalarQuantizer", kept: Path, store: str) -> None:
    """Writes the file whole or not at all, and removes those of the store's earlier contents.
    Where that cannot be, each process builds its own: the same on the same kind of machine."""
    import faiss  # noqa: PLC0415 # as above

    try:
        with drafted(kept) as draft:
            faiss.write_index(index, str(draft))
    except (OSError, RuntimeError) as error:
        log.warning("%s cannot be kept: %s", kept, str(error).splitlines()[0])
        return
    for other in kept.parent.glob("*.ivf"):
        if other != kept and other.stem.rpartition(".")[0] == store:
            with suppress(OSError):
                other.unlink()
