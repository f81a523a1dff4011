"""Traces are on for who asks for them, and never stand in a worker's way."""

import logging
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode
from yarl import URL

from models.settings import Settings
from worker import tracing
from worker.spans import Discreet, Spans

CANARY = "PROMPT CANARY"
ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
    ],
)
def test_the_operator_asks_by_opentelemetrys_own_variables(
    environment: dict[str, str], wanted: bool
) -> None:
    """And can say no by them."""
    assert tracing.is_wanted(environment) == wanted


def test_who_does_not_ask_pays_nothing() -> None:
    """A worker's modules import no instrumentation."""
    look = (
        "import sys, worker.app; print([m for m in sys.modules if 'instrumentation.celery' in m])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_asked_for_and_not_installed_is_one_clear_line(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The worker goes on without traces."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(tracing, "NEEDED", ("no_such_package.at.all",))
    with caplog.at_level(logging.WARNING):
        assert tracing.open_tracing(make_settings()) is None
    assert "maestrale[otel]" in caplog.text


def test_an_exporter_we_do_not_have_is_named(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Rather than silently another one."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    with caplog.at_level(logging.WARNING):
        assert tracing.open_tracing(make_settings()) is None
    assert "zipkin" in caplog.text


def exported(**attributes: str) -> Any:
    """A failed span with a talkative exception, as it leaves the process."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Discreet(memory)))
    span = provider.get_tracer("test").start_span("POST", attributes=attributes)
    span.record_exception(ValueError(CANARY))
    span.set_status(Status(StatusCode.ERROR, CANARY))
    span.end()
    (told,) = memory.get_finished_spans()
    return told


def test_only_what_is_allowed_leaves_the_process() -> None:
    """No header, query or body, and no words of an exception: its type only."""
    good = {"http.status_code": "503", "celery.queue": "shards", "maestrale.job": "job_a"}
    bad = ("http.request.header.authorization", "url.query", "gen_ai.prompt", "exception.message")
    told = exported(**good, **dict.fromkeys(bad, CANARY))
    assert dict(told.attributes) == good
    assert CANARY not in told.to_json()
    assert told.events[0].attributes == {"exception.type": "ValueError"}
    assert told.status.status_code == StatusCode.ERROR


def test_a_url_is_told_as_far_as_it_holds_no_secret() -> None:
    """The API's path, without its query; of a webhook only the origin."""
    spans: Any = SimpleNamespace(_api=URL("https://api.example"))
    tell = Spans._told_url
    assert tell(spans, URL("https://api.example/v1/chat?key=x#y")) == "https://api.example/v1/chat"
    assert tell(spans, URL("https://me:pw@hooks.example/T0/secret?k=v")) == "https://hooks.example"
    assert tell(spans, URL("https://api.example.evil/T0/secret")) == "https://api.example.evil"
    assert tell(spans, URL("https://api.exam/T0/secret")) == "https://api.exam"
