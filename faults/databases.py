"""A fresh database for each scenario: a file in its home, or one of a PostgreSQL of our own."""

from types import TracebackType
from typing import cast

from faults.scenarios.registry import POSTGRESQL
from proving.servers import Postgres, start


class Databases:
    """Starts PostgreSQL when it is first wanted, and ends it with the block."""

    def __init__(self) -> None:
        self._server: Postgres | None = None

    def __enter__(self) -> "Databases":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.remove()

    def new(self, name: str) -> dict[str, str]:
        """The setting of an empty database of this kind."""
        if name != POSTGRESQL:
            return {}
        self._server = self._server or cast("Postgres", start(Postgres))
        return {"DATABASE_URL": self._server.database()}
