"""What tests of pipelines have in common: a client in a home of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.settings import Settings
from models.store import schema
from models.store.engine import open_store
from producers import Maestrale


@pytest.fixture
def maestrale(tmp_path: Path) -> Iterator[Maestrale]:
    """In a home of the test's own."""
    settings = Settings(_env_file=None, home=tmp_path / "home")
    store = open_store(settings)
    schema.migrate(store)
    store.close()
    with Maestrale(settings) as client:
        yield client
