"""Inserts that may meet what is there already, in the dialect of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite


def once(connection: Connection, table: Any, key: Sequence[str]) -> Any:
    """An INSERT that leaves alone what is there under `key`; its `rowcount`: what was new."""
    statement = _insert(connection, table).on_conflict_do_nothing(index_elements=key)
    # SQLAlchemy forgets the count of an INSERT on PostgreSQL unless told otherwise
    return statement.execution_options(preserve_rowcount=True)


def adding(connection: Connection, table: Any, key: Sequence[str], sums: Sequence[str]) -> Any:
    """An INSERT that adds its `sums` to those that are there under `key`."""
    statement = _insert(connection, table)
    added = {name: table.c[name] + statement.excluded[name] for name in sums}
    return statement.on_conflict_do_update(index_elements=key, set_=added)


def replace(
    connection: Connection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    """Puts `values` under `key`, whether something is there or not."""
    statement = _insert(connection, table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def _insert(connection: Connection, table: Any) -> Any:
    return (insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql)(table)
