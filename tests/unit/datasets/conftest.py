"""Datasets in a home of the test's own."""

from pathlib import Path

import pytest

from models.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose home is the test's."""
    return Settings(_env_file=None, home=tmp_path / "home")
