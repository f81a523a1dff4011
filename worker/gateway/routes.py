"""Which server answers for a model that is served on this machine, as `models serve` noted it."""

import time
from collections.abc import Callable
from pathlib import Path

from models import served
from models.served import Served

LOOK_S = 1.0
"""A server that ended is known to have within this time; one that came is known at once."""


class Routes:
    """Reads the notes of one home when their folder changes, and once in `LOOK_S`, for a process
    that ends takes no note away. `clock`: seconds."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._home = home
        self._folder = home / served.FOLDER
        self._clock = clock
        self._looked_at: float | None = None
        self._changed_at = 0
        self._servers: dict[str, Served] = {}

    def server_of(self, model: str) -> Served | None:
        """Who answers for the model here; None: the API does."""
        now, changed_at = self._clock(), self._last_change()
        is_due = self._looked_at is None or now - self._looked_at >= LOOK_S
        if is_due or changed_at != self._changed_at:
            self._looked_at, self._changed_at = now, changed_at
            self._servers = served.by_model(served.serving(self._home))
        return self._servers.get(model)

    def _last_change(self) -> int:
        """When a note came or went; a question of two microseconds."""
        try:
            return self._folder.stat().st_mtime_ns
        except OSError:
            return 0
