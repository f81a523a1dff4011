"""Opens what commands work with, and says in words what cannot be opened."""

from contextlib import AbstractContextManager

from models.settings import read_settings
from producers.client import Maestrale

__all__ = ["client", "read_settings"]


def client() -> AbstractContextManager[Maestrale]:
    """The client, closed when the context ends."""
    return Maestrale(read_settings())
