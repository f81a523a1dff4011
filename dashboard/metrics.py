"""`/metrics` of the dashboard: Flower's own, and what the database and the broker say."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from dashboard.frame import View
from models.doorbell import queued
from models.errors import MaestraleError
from models.exposition import Exposition
from models.nano import NANO
from models.states import DeliveryState, EndpointState, JobState
from models.store.views.board import Standing
from models.store.views.overview import JobNumbers, Overview, overview
from models.words import is_unknown_cost

log = logging.getLogger(__name__)


BROKER_PATIENCE_S = 3.0
"""Less than any scrape's time-out: a broker that is away must be told in time."""


class Broker:
    """Asked on a thread of its own and once at a time: a black hole takes that thread alone."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="broker")
        self._asking: asyncio.Future[int | None] | None = None

    async def queued(self, app: Any) -> int | None:
        """Messages that wait for workers; None if Redis does not answer soon."""
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._thread, queued, app)
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking), BROKER_PATIENCE_S)
        except TimeoutError:
            return None
        except Exception as error:  # whatever a broken broker makes of the libraries
            log.warning("metrics without the broker: %s", type(error).__name__)
            return None


class MetricsView(View):
    """Replaces Flower's handler, which asks nobody for a password."""

    async def get(self) -> None:
        """Answers also while the database or the broker is away, and says so."""
        found, waiting = await asyncio.gather(self._overview(), self._queued())
        registry = CollectorRegistry()
        registry.register(_Told(expose(found, waiting)))
        self.application.purge_offline_worker_metrics()
        self.set_header("Content-Type", prometheus_client.CONTENT_TYPE_LATEST)
        self.write(prometheus_client.generate_latest())
        self.write(prometheus_client.generate_latest(registry))

    async def _overview(self) -> Overview | None:
        try:
            return await self.database.read(overview)
        except MaestraleError as error:
            log.warning("metrics without the database: %s", error)
            return None

    async def _queued(self) -> int | None:
        broker: Broker = self.settings["maestrale_broker"]
        return await broker.queued(self.application.capp)


def expose(found: Overview | None, waiting: int | None) -> list[Metric]:
    """All metrics of the dashboard; `waiting`: messages in the queue, None if Redis is away."""
    told = Exposition()
    told.tell("maestrale_up", found is not None)
    told.tell("maestrale_broker_up", waiting is not None)
    if waiting is not None:
        told.tell("maestrale_queue_messages", waiting)
    if found is not None:
        _tell_work(told, found)
        _tell_messages(told, found)
        for job in found.unfinished:
            _tell_job(told, job)
        in_use = sorted((s for s in found.models if s.processes), key=lambda s: s.model)
        for model, standings in groupby(in_use, key=lambda s: s.model):
            _tell_model(told, model, found.now, list(standings))
    return told.families()


def _tell_work(told: Exposition, found: Overview) -> None:
    told.tell_all("maestrale_jobs", ((state, found.jobs.get(state, 0)) for state in JobState))
    told.tell_all("maestrale_rows", found.rows.items())
    told.tell_all("maestrale_shards", found.shards.items())
    told.tell("maestrale_lease_overdue_seconds", found.lease_overdue_s)
    told.tell("maestrale_workers", found.workers)
    told.tell("maestrale_spool_bytes", found.spool_bytes)
    told.tell("maestrale_backlog_items", found.backlog)
    for model, spent in found.spent.items():
        if not is_unknown_cost(calls=spent.calls, unpriced=spent.unpriced):
            told.tell("maestrale_spending_usd", spent.cost_nano / NANO, model)
        told.tell("maestrale_calls", spent.calls, model)
        told.tell("maestrale_calls_unpriced", spent.unpriced, model)


def _tell_messages(told: Exposition, found: Overview) -> None:
    told.tell("maestrale_events_unrelayed", found.unrelayed)
    told.tell("maestrale_events_unrelayed_oldest_seconds", found.unrelayed_oldest_s)
    numbers = ((state, found.deliveries.get(state, 0)) for state in DeliveryState)
    told.tell_all("maestrale_deliveries", numbers)
    told.tell("maestrale_deliveries_late_seconds", found.deliveries_late_s)
    endpoints = ((state, found.endpoints.get(state, 0)) for state in EndpointState)
    told.tell_all("maestrale_endpoints", endpoints)


def _tell_job(told: Exposition, job: JobNumbers) -> None:
    ids = (job.id, job.kind, job.name)
    left = job.rows_total - job.rows_done - job.rows_failed
    for state, rows in (("done", job.rows_done), ("failed", job.rows_failed), ("open", left)):
        told.tell("maestrale_job_rows", rows, *ids, state)
    told.tell("maestrale_job_calls_total", job.calls_made, *ids)
    told.tell("maestrale_job_refusals_total", job.calls_refused, *ids)
    told.tell("maestrale_job_calls_unpriced_total", job.calls_unpriced, *ids)
    if not is_unknown_cost(calls=job.calls_made, unpriced=job.calls_unpriced):
        told.tell("maestrale_job_cost_usd", job.cost_nano / NANO, *ids)
    if job.budget_nano is not None:
        told.tell("maestrale_job_budget_usd", job.budget_nano / NANO, *ids)


def _tell_model(told: Exposition, model: str, now: float, accounts: Sequence[Standing]) -> None:
    """How all accounts together stand with a model; unpaced in one is unpaced."""
    rates = [standing.rate_per_s for standing in accounts]
    if None not in rates:
        allowed = sum(rate or 0.0 for rate in rates)
        told.tell("maestrale_limiter_allowed_calls_per_second", allowed, model)
    used = sum(standing.calls_per_s for standing in accounts)
    held = max((standing.hold_until or now) - now for standing in accounts)
    told.tell("maestrale_limiter_used_calls_per_second", used, model)
    told.tell("maestrale_limiter_hold_seconds", max(0.0, held), model)
    told.tell("maestrale_limiter_waiting", sum(s.waiting for s in accounts), model)


class _Told(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        return self._families
