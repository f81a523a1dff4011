"""Workers' logs: one line an event, pretty or JSON; secrets and prompts never reach them."""

import logging
import sys
import time
from typing import Any

import orjson

from models.settings import Settings

_EXTRA = ("job", "shard", "row")


class JsonLines(logging.Formatter):
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
    plain = logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S")
    plain.converter = time.localtime
    handler.setFormatter(JsonLines() if settings.log_format == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for noisy in ("celery.app.trace", "celery.worker.strategy", "aiohttp.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
