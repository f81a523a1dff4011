"""Workers' logs: one line an event, pretty or JSON; secrets and prompts never reach them.

Job, shard and row are bound once (`with bound(job=..., shard=...)`) and stand in every line that is
written below: tasks inherit them, and so does work that is handed to the event loop.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import orjson

from models.settings import Settings

_EXTRA = ("job", "shard", "row")
_NOTHING: Mapping[str, Any] = {}
_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=_NOTHING)


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """While entered, lines logged in this context carry `ids` (of job, shard, row) too."""
    token = _bound.set({**_bound.get(), **ids})
    try:
        yield
    finally:
        _bound.reset(token)


def ids_bound() -> Mapping[str, Any]:
    """What is bound here."""
    return _bound.get()


def bind(record: logging.LogRecord) -> bool:
    """A logging filter that lets all through, with what is bound; a line's own ids go before."""
    for name, value in _bound.get().items():
        record.__dict__.setdefault(name, value)
    return True


class Discreet(logging.Formatter):
    """Tells where an exception came from and of which types it is, never its words.

    The words may hold a prompt, an answer or a key: pydantic, drivers and servers quote data.
    """

    def formatException(self, ei: Any) -> str:  # noqa: N802 # the library's name
        """Frames and types of the exception and its causes."""
        lines, error = [], ei[1]
        while error is not None:
            frames = "".join(traceback.format_tb(error.__traceback__))
            lines.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}")
            error = error.__cause__ or error.__context__
        return "\ncaused by\n".join(lines)


class Pretty(Discreet):
    """For people: the ids stand in brackets behind the logger's name."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname).1s %(name)s:%(ids)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """As `Discreet`; the ids are those bound or given with the line."""
        told = [f"{n}={getattr(record, n)}" for n in _EXTRA if hasattr(record, n)]
        record.ids = f" [{' '.join(told)}]" if told else ""
        return super().format(record)


class JsonLines(Discreet):
    """One JSON object a line, with job, shard and row where they are known."""

    def format(self, record: logging.LogRecord) -> str:
        """Exceptions are named by type and place only: their texts may hold data."""
        line: dict[str, Any] = {
            "at": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in _EXTRA if hasattr(record, name)},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(settings: Settings) -> None:
    """Sets the process's root logger up; Celery keeps its hands off it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(bind)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Pretty())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in (
        "celery.app.trace",
        "celery.worker.strategy",
        "aiohttp.access",
        "asyncio",
        "faiss",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
