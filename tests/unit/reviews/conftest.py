"""A client over a database of the test's own, without any service."""

from collections.abc import Callable, Iterator

import pytest

from models.settings import Settings
from producers.client import Maestrale


@pytest.fixture
def maestrale(make_settings: Callable[..., Settings]) -> Iterator[Maestrale]:
    """The client."""
    with Maestrale(make_settings()) as client:
        yield client
