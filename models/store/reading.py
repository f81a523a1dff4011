"""What a query found, as rows of a table."""

from typing import TypeVar

from sqlalchemy import Connection, Executable
from sqlmodel import SQLModel

T = TypeVar("T", bound=SQLModel)


def one(connection: Connection, query: Executable, kind: type[T]) -> T | None:
    """The first row that the query finds, or None."""
    found = connection.execute(query).mappings().first()
    return kind(**found) if found else None


def all_of(connection: Connection, query: Executable, kind: type[T]) -> list[T]:
    """All rows that the query finds."""
    return [kind(**found) for found in connection.execute(query).mappings()]
