"""Embedded stores by name: put there when they are written, found, listed."""

from sqlalchemy import Connection, select

from models.store import inserts, reading
from models.store.engine import now_s
from models.tables import VectorStore, table_of

stores = table_of(VectorStore)


def put(connection: Connection, store: VectorStore) -> VectorStore:
    """The store under its name, in place of what had the name before; answers it as it stands."""
    values = store.model_dump(exclude={"name", "created_at"})
    inserts.replace(connection, stores, {"name": store.name}, {**values, "created_at": now_s()})
    stored = by_name(connection, store.name)
    assert stored is not None
    return stored


def by_name(connection: Connection, name: str) -> VectorStore | None:
    """The store of this name, or None."""
    query = select(stores).where(stores.c.name == name)
    return reading.one(connection, query, VectorStore)


def newest(connection: Connection, *, limit: int = 50) -> list[VectorStore]:
    """The newest stores first."""
    query = select(stores).order_by(stores.c.created_at.desc(), stores.c.name).limit(limit)
    return reading.all_of(connection, query, VectorStore)
