"""Embedded stores by name: on SQLite and on PostgreSQL alike."""

from typing import Any

from models.store import vectors
from models.store.engine import Store
from models.tables import VectorStore


def a_vector_store(**changes: Any) -> VectorStore:
    values = {
        "name": "papers",
        "path": "/home/stores/papers.parquet",
        "model": "mistral-embed",
        "dimensions": 1024,
        "documents": 9_839,
        "hash": "a" * 64,
        "job_id": "job_a",
        "created_at": 0.0,
    }
    return VectorStore(**{**values, **changes})


def put(store: Store, told: VectorStore) -> VectorStore:
    with store.write() as connection:
        return vectors.put(connection, told)


def test_a_store_is_found_by_its_name(store: Store) -> None:
    """With the database's time, and under no other name."""
    told = put(store, a_vector_store(name="pápers 'x'"))
    assert told.created_at > 0
    with store.read() as connection:
        assert vectors.by_name(connection, "pápers 'x'") == told
        assert vectors.by_name(connection, "papers") is None


def test_the_newest_under_a_name_stands(store: Store) -> None:
    """Embedded again, a store takes the place of the one before; another name is another."""
    first = put(store, a_vector_store())
    other = put(store, a_vector_store(name="other", job_id="job_b"))
    second = put(store, a_vector_store(hash="b" * 64, job_id="job_c", documents=1))
    with store.read() as connection:
        assert vectors.by_name(connection, "papers") == second
        assert vectors.newest(connection) == [second, other]
        assert vectors.newest(connection, limit=1) == [second]
    assert second.created_at >= first.created_at
