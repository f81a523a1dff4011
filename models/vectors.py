"""Embedded documents in a Parquet file: written once, read into one matrix. Vectors as text.

Columns `id`, `doc` (the row's JSON) and `vector` (float32, all of one length); the file's metadata
`maestrale` says who embedded them. The same documents and vectors of the same model give the same
hash, whatever the file is called.
"""

import base64
import hashlib
import json
import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.errors import BadInputError
from models.whole_files import drafted

if TYPE_CHECKING:
    import numpy
    import pyarrow
    from numpy.typing import NDArray
    from pyarrow import parquet

METADATA = b"maestrale"
GROUP = 1_000
"""Rows written at a time: 4 MB of usual vectors."""
FLOAT_BYTES = 4


class Embedded(NamedTuple):
    """A document with its vector. `doc`: JSON; a vector in bytes is float32, little-endian."""

    id: str
    doc: str
    vector: Sequence[float] | bytes


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What a store's file says of itself."""

    model: str
    hash: str
    documents: int
    dimensions: int


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """A store in memory. `matrix`: a row of length 1 per document, so that a product with a query
    of length 1 is the cosine (a vector of zeros stays one, and is near to nothing)."""

    ids: list[str]
    docs: list[str]
    """As JSON; `doc` reads one."""
    matrix: "NDArray[numpy.float32]"
    model: str
    hash: str

    def doc(self, place: int) -> dict[str, Any]:
        """The document at this place."""
        found: dict[str, Any] = json.loads(self.docs[place])
        return found

    @property
    def dimensions(self) -> int:
        """Length of its vectors."""
        return int(self.matrix.shape[1])


def pack(vector: Iterable[float]) -> bytes:
    """float32, little-endian; raises `OverflowError` for numbers that are none then."""
    packed = array("f", vector)
    if not math.isfinite(sum(packed)):
        raise OverflowError("a number of it is not finite, or too large for float32")
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def to_text(vector: Iterable[float] | bytes) -> str:
    """A vector as it is stored in JSON: base64 of `pack`, a quarter of the digits' length."""
    packed = vector if isinstance(vector, bytes) else pack(vector)
    return base64.b64encode(packed).decode()


def from_text(text: str) -> bytes:
    """What `to_text` made of a vector, packed; `ValueError` for anything else."""
    packed = base64.b64decode(text, validate=True)
    if len(packed) % FLOAT_BYTES:
        raise ValueError("not a vector of float32")
    return packed


def unpack(packed: bytes) -> list[float]:
    """The numbers of a packed vector."""
    numbers = array("f", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def write_store(path: Path, rows: Iterable[Embedded], model: str) -> str:
    """Writes the file whole or not at all, in constant memory; answers the hash of its content.

    Raises `BadInputError` where there are no rows, or their vectors are not of one length.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with drafted(path) as draft:
        return _write(draft, iter(rows), model)


def describe(path: Path) -> StoreFacts:
    """What the file says of itself, without reading its vectors; `BadInputError` if it is none."""
    with _opened(path) as file:
        return _facts(file, path)


def read_store(path: Path) -> Store:
    """The whole store; `BadInputError` if the file is none."""
    import numpy as np  # noqa: PLC0415 # as below

    with _opened(path) as file:
        facts = _facts(file, path)
        table = file.read(["id", "doc", "vector"]).combine_chunks()
    values = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if len(table) != facts.documents or len(values) != facts.documents * facts.dimensions:
        raise BadInputError(f"{path} is damaged: embed its documents again")
    matrix = np.array(values, dtype=np.float32).reshape(facts.documents, facts.dimensions)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    np.divide(matrix, lengths, out=matrix, where=lengths > 0)
    ids, docs = table["id"].to_pylist(), table["doc"].to_pylist()
    return Store(ids, docs, matrix, facts.model, facts.hash)


class _Digest:
    """The hash of a store's content, and what its file will say of itself."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._hash = hashlib.sha256()
        self.documents = 0
        self.size = 0
        self._add(model.encode())

    def add(self, row: Embedded) -> bytes:
        """Takes one row in; answers its vector, packed."""
        packed = row.vector if isinstance(row.vector, bytes) else pack(row.vector)
        if not packed or (self.documents and len(packed) != self.size):
            raise BadInputError(
                f"the vector of {row.id} has {len(packed) // FLOAT_BYTES} numbers where others "
                f"have {self.size // FLOAT_BYTES}: they are not of one model"
            )
        self.size = len(packed)
        self.documents += 1
        for part in (row.id.encode(), row.doc.encode(), packed):
            self._add(part)
        return packed

    def _add(self, part: bytes) -> None:
        self._hash.update(len(part).to_bytes(8, "little"))
        self._hash.update(part)

    def told(self) -> dict[str, Any]:
        """The metadata."""
        return {
            "model": self._model,
            "hash": self._hash.hexdigest(),
            "documents": self.documents,
            "dimensions": self.size // FLOAT_BYTES,
        }


def _write(path: Path, rows: Iterator[Embedded], model: str) -> str:
    import pyarrow  # noqa: PLC0415 # 0.3 s that other uses of this module need not pay for
    from pyarrow import parquet  # noqa: PLC0415 # as above

    vectors = pyarrow.list_(pyarrow.float32())
    text = pyarrow.string()
    schema = pyarrow.schema([("id", text), ("doc", text), ("vector", vectors)])
    digest = _Digest(model)
    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as file:
        while group := list(islice(rows, GROUP)):
            file.write_batch(_batch(group, digest, schema))
        if not digest.documents:
            raise BadInputError("there are no documents to store")
        told = digest.told()
        file.add_key_value_metadata({METADATA.decode(): json.dumps(told)})
    return str(told["hash"])


def _batch(
    group: Sequence[Embedded], digest: _Digest, schema: "pyarrow.Schema"
) -> "pyarrow.RecordBatch":
    import numpy as np  # noqa: PLC0415 # as above
    import pyarrow  # noqa: PLC0415 # as above

    packed = b"".join([digest.add(row) for row in group])
    length = digest.size // FLOAT_BYTES
    offsets = np.arange(len(group) + 1, dtype=np.int32) * length
    vectors = pyarrow.ListArray.from_arrays(offsets, np.frombuffer(packed, dtype="<f4"))
    columns = [pyarrow.array([row.id for row in group]), pyarrow.array([row.doc for row in group])]
    return pyarrow.RecordBatch.from_arrays([*columns, vectors], schema=schema)


def _opened(path: Path) -> "parquet.ParquetFile":
    import pyarrow  # noqa: PLC0415 # as above
    from pyarrow import parquet  # noqa: PLC0415 # as above

    try:
        return parquet.ParquetFile(path)
    except FileNotFoundError:
        raise BadInputError(f"there is no embedded store in {path}: `maestrale stores`") from None
    except (OSError, pyarrow.ArrowException) as error:
        raise BadInputError(f"{path} is no embedded store: {type(error).__name__}") from error


def _facts(file: "parquet.ParquetFile", path: Path) -> StoreFacts:
    try:
        return StoreFacts(**json.loads((file.metadata.metadata or {})[METADATA]))
    except (KeyError, ValueError, TypeError):
        raise BadInputError(
            f"{path} is Parquet, but no embedded store: make one by `maestrale embed`"
        ) from None
