"""Stores of embedded documents: written from a finished job, registered, found by name or file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
from sqlalchemy import Connection

from models.embedding import Embedding
from models.errors import BadInputError
from models.states import JobState
from models.store import rows, vectors
from models.tables import Job, VectorStore
from models.vectors import Embedded, StoreFacts, describe, from_text, write_store
from producers.client import Maestrale

FOLDER = "stores"
WRITABLE = (JobState.SUCCEEDED, JobState.FAILED)


@dataclass(frozen=True, slots=True)
class Found:
    """A store that can be searched: its file, and what that says of itself."""

    path: Path
    facts: StoreFacts


def write(maestrale: Maestrale, job: Job, told: Embedding, path: Path | None) -> VectorStore:
    """The job's store in its file and under its name; the same documents give the same hash.

    Raises `BadInputError` for a job that is not over, or has no done row.
    """
    if job.state not in WRITABLE:
        raise BadInputError(f"{job.id} is {job.state}: its store is written when it is over")
    if not job.rows_done:
        raise BadInputError(f"{job.id} has no done row: there is nothing to store")
    place = path or place_of(maestrale, told)
    with maestrale.store.read() as connection:
        told_hash = write_store(place, embedded(connection, job.id), told.model)
    facts = describe(place)
    store = VectorStore(
        name=told.store,
        path=str(place),
        model=told.model,
        dimensions=facts.dimensions,
        documents=facts.documents,
        hash=told_hash,
        job_id=job.id,
        created_at=0.0,
    )
    with maestrale.store.write() as connection:
        return vectors.put(connection, store)


def place_of(maestrale: Maestrale, told: Embedding) -> Path:
    """Where its file belongs: where it was asked for, else below the home."""
    home = maestrale.settings.home
    return Path(told.path) if told.path else (home / FOLDER / f"{told.store}.parquet").resolve()


def embedded(connection: Connection, job_id: str) -> Iterator[Embedded]:
    """The job's documents with their vectors, in the order of its rows."""
    for row_id, data, records in rows.with_records(connection, job_id):
        packed = from_text(records[0]["vector"])
        yield Embedded(row_id, orjson.dumps(data).decode(), packed)


def newest(maestrale: Maestrale, limit: int) -> list[VectorStore]:
    """The newest stores first."""
    with maestrale.store.read() as connection:
        return vectors.newest(connection, limit=limit)


def find(maestrale: Maestrale, named: str) -> Found:
    """The store of this name, or in this file. Raises `BadInputError` if it is not there, or its
    file is another than the one that was registered."""
    with maestrale.store.read() as connection:
        known = vectors.by_name(connection, named)
    if known is None and not Path(named).is_file():
        raise BadInputError(
            f"there is no store {named!r}: `maestrale stores` lists them, `maestrale embed` makes "
            "one"
        )
    path = Path(known.path if known else named).resolve()
    facts = describe(path)
    if known is not None and known.hash != facts.hash:
        raise BadInputError(
            f"{path} is not what the job {known.job_id} wrote there: write it again by "
            f"`maestrale export {known.job_id}`"
        )
    return Found(path, facts)
