"""What a worker process tells Prometheus, on a small server of its own (`MAESTRALE_METRICS`)."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from models.exposition import Exposition
from models.nano import NANO
from models.settings import parse_address
from models.store.pulses import LATENCY_EDGES_MS
from worker.call_counts import CallCounts, OfModel
from worker.ledger.ledger import Ledger
from worker.limiter import Limiter, ModelUse
from worker.shards import Shards
from worker.webhooks.deliverer import Deliverer

log = logging.getLogger(__name__)

PORTS = 32
"""So many ports are tried from the one given: for several workers of one machine."""
EDGES_S = tuple(edge / 1000 for edge in LATENCY_EDGES_MS)


@dataclass(frozen=True, slots=True)
class Sources:
    """What the figures are read from; belongs to the process's event loop."""

    figures: CallCounts
    limiter: Limiter
    shards: Shards
    ledger: Ledger
    deliverer: Deliverer


class Exporter:
    """A server that is open; every scrape reads the figures as they are then."""

    def __init__(self, server: WSGIServer, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread
        self.port = int(server.server_port)

    @classmethod
    def open(cls, address: str, scrape: Callable[[], list[Metric]]) -> "Exporter | None":
        """Serves `scrape` on the first free port; None (and a line in the log) if there is none."""
        host, first = parse_address(address)
        registry = CollectorRegistry()
        registry.register(_Scraped(scrape))
        ProcessCollector(registry=registry)
        for port in range(first, min(first + PORTS, 65_536)):
            try:
                server, thread = start_http_server(port, host, registry)
            except OSError:
                continue
            log.info("metrics are served on %s", f"http://{host}:{port}/metrics")
            return cls(server, thread)
        log.error("no metrics: no port from %s on is free, or the address is not ours", address)
        return None

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def expose(sources: Sources) -> list[Metric]:
    """All of the process's metrics. Call it on the event loop."""
    told = Exposition()
    for model, counts in sources.figures.models.items():
        _tell_calls(told, model, counts)
    for use in sources.limiter.snapshot():
        _tell_limiter(told, use)
    told.tell("maestrale_worker_rows_in_flight", sources.shards.places.taken)
    told.tell("maestrale_worker_shards_held", len(sources.shards.held))
    told.tell("maestrale_worker_spool_bytes", sources.ledger.spool_bytes)
    told.tell("maestrale_worker_backlog_items", sources.ledger.writer.backlog)
    told.tell("maestrale_worker_may_call", sources.ledger.writer.healthy.is_set())
    attempted = sources.deliverer.attempted.items()
    told.tell_all("maestrale_worker_webhook_attempts_total", attempted)
    return told.families()


def _tell_calls(told: Exposition, model: str, counts: OfModel) -> None:
    for outcome, number in counts.outcomes.items():
        told.tell("maestrale_worker_calls_total", number, model, outcome)
    prompt, completion, cached = counts.usage
    told.tell("maestrale_worker_refusals_total", counts.refusals, model)
    told.tell("maestrale_worker_tokens_total", prompt, model, "prompt")
    told.tell("maestrale_worker_tokens_total", completion, model, "completion")
    told.tell("maestrale_worker_cached_tokens_total", cached, model)
    told.tell("maestrale_worker_cost_usd_total", counts.cost_nano / NANO, model)
    told.tell("maestrale_worker_calls_unpriced_total", counts.unpriced, model)
    seconds = counts.latency_ms / 1000
    name = "maestrale_worker_call_duration_seconds"
    told.tell_histogram(name, EDGES_S, counts.bins, seconds, model)


def _tell_limiter(told: Exposition, use: ModelUse) -> None:
    model = use.model
    told.tell("maestrale_worker_calls_in_flight", use.in_flight, model)
    told.tell_sum("maestrale_worker_limiter_wait_seconds", use.granted, use.waited_s, model)
    told.tell("maestrale_worker_limiter_waiting", use.waiting, model)
    told.tell("maestrale_worker_limiter_hold_seconds", use.hold_s, model)
    told.tell("maestrale_worker_limiter_redis_away", use.redis_away, model)
    if use.rate is not None:
        told.tell("maestrale_worker_limiter_rate_calls_per_second", use.rate, model)
    if use.limit is None:
        return
    limits = (
        ("calls", use.limit.requests_per_minute),
        ("tokens", use.limit.tokens_per_minute),
    )
    for what, per_minute in limits:
        if per_minute is not None:
            name = f"maestrale_worker_limit_{what}_per_second"
            told.tell(name, per_minute / 60, model, use.limit.source)


class _Scraped(Collector):
    def __init__(self, scrape: Callable[[], list[Metric]]) -> None:
        self._scrape = scrape

    def collect(self) -> Iterable[Any]:
        return self._scrape()
