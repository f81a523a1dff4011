"""The one runtime of a worker process: started by its hooks, found by its tasks."""

import os
import threading

from celery import Celery

from models.settings import Settings
from worker.runtime import Runtime

_lock = threading.Lock()
_runtime: Runtime | None = None
_made_for: tuple[Settings, Celery] | None = None


def start(settings: Settings, app: Celery) -> None:
    """Starts this process's runtime (a worker's hook; after a fork each child makes its own)."""
    global _made_for  # noqa: PLW0603 # one runtime per process is the point of this module
    _made_for = (settings, app)
    runtime()


def runtime() -> Runtime:
    """This process's runtime, started on first use."""
    global _runtime  # noqa: PLW0603 # as above
    with _lock:
        if _runtime is None or _runtime.pid != os.getpid():
            assert _made_for is not None, "start comes first"
            _runtime = Runtime(*_made_for).start()
        return _runtime


def drain() -> None:
    """The worker was told to stop."""
    if _runtime is not None:
        _runtime.drain()


def close() -> None:
    """The worker's threads are idle: wait for calls, commit, close."""
    global _runtime  # noqa: PLW0603 # as above
    if _runtime is not None and _runtime.pid == os.getpid():
        _runtime.close()
        _runtime = None
