"""Opens what commands work with, and says in words what cannot be opened."""

from contextlib import AbstractContextManager

from pydantic import ValidationError

from models.errors import BadInputError
from models.settings import Settings
from producers.client import Maestrale


def read_settings() -> Settings:
    """The settings of the environment. Raises `BadInputError` naming the one that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"the setting {name} cannot be used: {first['msg']}") from error


def client() -> AbstractContextManager[Maestrale]:
    """The client, closed when the context ends."""
    return Maestrale(read_settings())
