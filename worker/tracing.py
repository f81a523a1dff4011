"""Traces for who asks for them, by OpenTelemetry's own environment variables.

Nothing of OpenTelemetry is imported unless `OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_TRACES_EXPORTER` is set.
"""

import importlib.util
import logging
import os
from collections.abc import Mapping
from typing import Protocol

from models.settings import Settings

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NEEDED = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.celery",
    "opentelemetry.instrumentation.aiohttp_client",
)


class Tracing(Protocol):
    """Traces that are on."""

    def close(self) -> None:
        """Sends what waits and takes the instrumentation out."""


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the operator asked for traces."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none":
        return False
    return bool(exporter or any(environment.get(name) for name in ENDPOINTS))


def open_tracing(settings: Settings) -> Tracing | None:
    """Switches traces on if they are wanted and can be had; says so if they cannot."""
    if not is_wanted(os.environ):
        return None
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if exporter != "otlp":
        log.warning("no traces: OTEL_TRACES_EXPORTER=%s is not otlp or none", exporter)
        return None
    if missing := [name for name in NEEDED if not _is_there(name)]:
        log.warning("no traces: install the extra, maestrale[otel] (%s is missing)", missing[0])
        return None
    try:
        from worker.spans import Spans  # noqa: PLC0415 # the extra may not be installed

        return Spans.open(settings)
    except Exception:  # a worker runs without traces rather than not at all
        log.exception("no traces: OpenTelemetry does not open")
        return None


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent is not there
        return False
