"""Workers' logs: one line an event, pretty or JSON; secrets and prompts never reach them."""

import logging
import sys
import time
import traceback
from typing import Any

import orjson

from models.settings import Settings

_EXTRA = ("job", "shard", "row")


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
    plain = Discreet("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S")
    plain.converter = time.localtime
    handler.setFormatter(JsonLines() if settings.log_format == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("celery.app.trace", "celery.worker.strategy", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
