"""Property tests: hypothesis under the one profile, over databases of their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import drawn  # noqa: F401 # the profile, before any test is collected
import pytest

from models.settings import Settings
from models.store.engine import Store, open_store


@pytest.fixture
def sqlite_store(tmp_path: Path, _migrated_sqlite: Path) -> Iterator[Store]:
    """A migrated, empty SQLite database; examples share it, and each brings its own rows."""
    path = tmp_path / "maestrale.db"
    shutil.copyfile(_migrated_sqlite, path)
    store = open_store(Settings(_env_file=None, DATABASE_URL=f"sqlite:///{path}"))
    yield store
    store.close()
