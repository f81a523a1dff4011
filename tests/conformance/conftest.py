"""The conformance tier: no statement of the store may make a move that its map does not have."""

from collections.abc import Iterator

import pytest
from moves import Move, prepare_postgres, watched

from proving.servers import Postgres


@pytest.fixture(scope="session")
def _migrated_postgres(_migrated_postgres: str, postgres_server: Postgres) -> str:
    """One that tells its moves."""
    url = postgres_server.database(_migrated_postgres)
    prepare_postgres(url)
    return url.rsplit("/", 1)[1]


@pytest.fixture(autouse=True)
def unmapped_moves() -> Iterator[list[Move]]:
    """Fails the test in which the store makes one; a test that means it clears the list."""
    with watched() as found:
        yield found
    assert found == []
