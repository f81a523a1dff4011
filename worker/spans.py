"""OpenTelemetry in a worker: a span for each shard's task, below it one for each API call.

Celery's and aiohttp's own instrumentations make them. What leaves the process is what stands in
`ALLOWED`: no header, query or body, no words of an exception; of a webhook's URL only the origin.
"""

import os
from collections.abc import Sequence
from typing import Any

from celery.signals import task_prerun
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from yarl import URL

from models.doorbell import RUN_SHARD
from models.settings import Settings
from worker.logs import ids_bound

SERVICE = "maestrale-worker"
EXPORT_TIMEOUT_S = 5.0
"""For one export; a collector that is away holds up the end of a worker no longer than this."""
ALLOWED = (
    "celery.",
    "messaging.",
    "http.",
    "net.",
    "server.",
    "network.",
    "url.full",
    "error.type",
)
NOT_ALLOWED = ("http.request.header.", "http.response.header.")
EXCEPTION_TYPE = "exception.type"


class Spans:
    """Traces of this process."""

    def __init__(self, provider: TracerProvider, settings: Settings) -> None:
        self._provider = provider
        self._api = URL(settings.base_url).origin()
        self._celery = CeleryInstrumentor()  # type: ignore[no-untyped-call] # theirs
        self._celery.instrument(tracer_provider=provider)
        AioHttpClientInstrumentor().instrument(tracer_provider=provider, url_filter=self._told_url)
        task_prerun.connect(_label, weak=False)  # after Celery's instrumentation: its span is there

    @classmethod
    def open(cls, settings: Settings, exporter: SpanExporter | None = None) -> "Spans":
        """Spans go over HTTP to the endpoint of the environment, or to the `exporter` given."""
        provider = TracerProvider(resource=Resource.create(_service()), shutdown_on_exit=False)
        provider.add_span_processor(_Labels())
        if exporter is None:
            exporter = OTLPSpanExporter(timeout=EXPORT_TIMEOUT_S)
        provider.add_span_processor(BatchSpanProcessor(Discreet(exporter)))
        return cls(provider, settings)

    def close(self) -> None:
        """Sends what waits and takes the instrumentation out."""
        task_prerun.disconnect(_label)
        self._celery.uninstrument()
        AioHttpClientInstrumentor().uninstrument()
        self._provider.shutdown()

    def _told_url(self, url: URL) -> str:
        """Of the API the path too; of all else (webhooks) the origin: paths may hold a secret."""
        origin = url.origin()
        return f"{origin}{url.path}" if origin == self._api else str(origin)


class Discreet(SpanExporter):
    """Lets through what may be told."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Exports the spans without what may hold data."""
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        """Closes the exporter."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Waits for what is under way."""
        return self._exporter.force_flush(timeout_millis)


class _Labels(SpanProcessor):
    """Spans below a shard carry its ids, as its lines in the log do."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        for name, value in ids_bound().items():
            span.set_attribute(f"maestrale.{name}", value)


def _label(task: Any = None, args: Sequence[Any] = (), **_: Any) -> None:
    """Ids of the shard on its task's span; the messages' arguments are ids only."""
    if task is not None and task.name == RUN_SHARD and len(args) == 2:
        span = trace.get_current_span()
        span.set_attribute("maestrale.job", str(args[0]))
        span.set_attribute("maestrale.shard", str(args[1]))


def _service() -> dict[str, str]:
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return {} if named else {"service.name": SERVICE}


def _discreet(span: ReadableSpan) -> ReadableSpan:
    attributes = {n: v for n, v in (span.attributes or {}).items() if _is_allowed(n)}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[_without_words(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _is_allowed(name: str) -> bool:
    return name.startswith((*ALLOWED, "maestrale.")) and not name.startswith(NOT_ALLOWED)


def _without_words(event: Event) -> Event:
    kind = (event.attributes or {}).get(EXCEPTION_TYPE)
    return Event(event.name, {EXCEPTION_TYPE: kind} if kind else {}, event.timestamp)
