"""The one list of metrics: what Prometheus may be told, by whom, and under which labels.

Both exporters serve what stands here and nothing else; `docs/reference/metrics.md` is made from
it (a test holds all three together). Labels hold ids, kinds and names of models and recipes:
never data.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "summary"]
JOB = ("job_id", "kind", "recipe")  # Prometheus itself has a label `job`


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Its name has the unit; counters end in `_total`."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


def _worker(name: str, kind: Kind, meaning: str, *labels: str) -> Metric:
    return Metric(f"maestrale_worker_{name}", kind, meaning, labels)


def _dashboard(name: str, kind: Kind, meaning: str, *labels: str) -> Metric:
    return Metric(f"maestrale_{name}", kind, meaning, labels)


WORKER = (
    _worker(
        "calls_total",
        "counter",
        "API calls that ended; outcome: answered, or the kind of fault",
        "model",
        "outcome",
    ),
    _worker("refusals_total", "counter", "Calls that the API refused with 429", "model"),
    _worker("tokens_total", "counter", "Tokens: prompt, completion", "model", "direction"),
    _worker("cached_tokens_total", "counter", "Prompt tokens the API had cached", "model"),
    _worker("cost_usd_total", "counter", "Price of the calls whose price is known", "model"),
    _worker("calls_unpriced_total", "counter", "Answers of unknown price", "model"),
    _worker("call_duration_seconds", "histogram", "How long answered calls took", "model"),
    _worker("calls_in_flight", "gauge", "Calls sent and not answered", "model"),
    _worker("limiter_wait_seconds", "summary", "How long calls waited for a permit", "model"),
    _worker("limiter_waiting", "gauge", "Calls that wait for a permit", "model"),
    _worker("limiter_hold_seconds", "gauge", "How long nobody sends, from now", "model"),
    _worker(
        "limiter_rate_calls_per_second",
        "gauge",
        "What the processes share now; absent: unpaced",
        "model",
    ),
    _worker(
        "limiter_redis_away",
        "gauge",
        "1: Redis does not answer, and this process limits itself",
        "model",
    ),
    _worker(
        "limit_calls_per_second",
        "gauge",
        "The limit; source: told, header, found",
        "model",
        "source",
    ),
    _worker("limit_tokens_per_second", "gauge", "The limit on tokens", "model", "source"),
    _worker("rows_in_flight", "gauge", "Rows in hand"),
    _worker("shards_held", "gauge", "Shards leased by this process"),
    _worker("spool_bytes", "gauge", "Size of the spool on disk"),
    _worker("backlog_items", "gauge", "What waits for the next group commit"),
    _worker("may_call", "gauge", "0: the database or the disk is in trouble; nothing is paid for"),
    _worker("webhook_attempts_total", "counter", "Webhook attempts: delivered, failed", "outcome"),
)

DASHBOARD = (
    _dashboard("up", "gauge", "1: the database answers; 0: only this and the broker are told"),
    _dashboard("broker_up", "gauge", "1: Redis answers"),
    _dashboard("jobs", "gauge", "Jobs by state", "state"),
    _dashboard("rows", "gauge", "Rows of unfinished jobs: done, failed, open", "state"),
    _dashboard("job_rows", "gauge", "Rows of the newest unfinished jobs", *JOB, "state"),
    _dashboard("job_calls_total", "counter", "Answers paid for by a job", *JOB),
    _dashboard("job_refusals_total", "counter", "How often the API said 429 to a job", *JOB),
    _dashboard(
        "job_cost_usd",
        "gauge",
        "What a job has spent, as far as prices are known; absent: no price is",
        *JOB,
    ),
    _dashboard("job_calls_unpriced_total", "counter", "A job's answers of unknown price", *JOB),
    _dashboard("job_budget_usd", "gauge", "What a job may spend; absent: no budget", *JOB),
    _dashboard(
        "spending_usd",
        "gauge",
        "Spent on a model, by all on record; absent: no known price",
        "model",
    ),
    _dashboard("calls", "gauge", "Answers paid for, as far as on record", "model"),
    _dashboard("calls_unpriced", "gauge", "Answers of unknown price on record", "model"),
    _dashboard("queue_messages", "gauge", "Shard messages waiting in Redis"),
    _dashboard("shards", "gauge", "Shards of unfinished jobs: open, leased", "state"),
    _dashboard("lease_overdue_seconds", "gauge", "How long ago the oldest lease ran out; else 0"),
    _dashboard("events_unrelayed", "gauge", "Events not handed to deliveries yet"),
    _dashboard("events_unrelayed_oldest_seconds", "gauge", "Age of the oldest of them; else 0"),
    _dashboard("deliveries", "gauge", "Webhook deliveries by state", "state"),
    _dashboard(
        "deliveries_late_seconds", "gauge", "How long the oldest delivery has been due; else 0"
    ),
    _dashboard("endpoints", "gauge", "Webhook endpoints by state", "state"),
    _dashboard("workers", "gauge", "Worker processes alive"),
    _dashboard("spool_bytes", "gauge", "Size of all workers' spools"),
    _dashboard("backlog_items", "gauge", "What waits for commits in all workers"),
    _dashboard(
        "limiter_allowed_calls_per_second",
        "gauge",
        "What all workers may send now; absent: unpaced",
        "model",
    ),
    _dashboard("limiter_used_calls_per_second", "gauge", "What all workers send now", "model"),
    _dashboard("limiter_hold_seconds", "gauge", "How long nobody sends, from now", "model"),
    _dashboard("limiter_waiting", "gauge", "Calls that wait for a permit, all workers", "model"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*WORKER, *DASHBOARD)}
