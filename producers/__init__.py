"""What asks: the client (one door), readers, the command line, one script per kind of job."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from producers.client import Maestrale
    from producers.planning import Plan

__all__ = ["Maestrale", "Plan"]


def __getattr__(name: str) -> Any:
    """Loads the client on first use: `maestrale --help` does not pay for it."""
    if name in __all__:
        return getattr(import_module("producers.client"), name)
    raise AttributeError(name)
