"""The list of metrics: named by Prometheus' rules, documented, and nothing else can be told."""

import re

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from models.exposition import Exposition
from models.metrics import DASHBOARD, METRICS, WORKER, Metric


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_name_follows_the_conventions(metric: Metric) -> None:
    """Ours, lower case, counters and only they end in `_total`, labels are words."""
    assert re.fullmatch(r"maestrale_[a-z_]+[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not {"job", "instance"} & {*metric.labels}, "Prometheus has these itself"
    assert all(re.fullmatch(r"[a-z_]+", label) for label in metric.labels)
    assert metric.help and not metric.help.endswith(".")
    for milli in ("_ms", "milli", "minute", "nano"):
        assert milli not in metric.name, "base units only"


def test_names_are_given_once() -> None:
    """Two exporters, one namespace."""
    assert len(METRICS) == len(WORKER) + len(DASHBOARD)


def test_only_listed_metrics_with_their_labels_can_be_told() -> None:
    """Another name, a label too few, or another kind is a bug that shows at once."""
    told = Exposition()
    with pytest.raises(KeyError):
        told.tell("maestrale_invented", 1)
    for wrong in ((), ("small", "extra")):
        with pytest.raises(AssertionError):
            told.tell("maestrale_worker_refusals_total", 1, *wrong)
    with pytest.raises(AssertionError):
        told.tell("maestrale_worker_call_duration_seconds", 1, "small")
    assert not any(family.samples for family in told.families())


def test_what_is_told_can_be_read_again() -> None:
    """Prometheus' own parser, hostile names of models included."""
    hostile = 'a"b\\c\n<script>{{7*7}}'
    told = Exposition()
    told.tell("maestrale_worker_refusals_total", 3, hostile)
    told.tell_sum("maestrale_worker_limiter_wait_seconds", 4, 2.5, hostile)
    name = "maestrale_worker_call_duration_seconds"
    told.tell_histogram(name, (0.1, 0.5), (2, 0, 1), 9.5, hostile)

    class Told(Collector):
        def collect(self):
            return told.families()

    registry = CollectorRegistry()
    registry.register(Told())
    text = generate_latest(registry).decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels["model"] for s in samples} == {hostile}
    found = {(s.name, s.labels.get("le")): s.value for s in samples}
    assert found["maestrale_worker_refusals_total", None] == 3
    assert found["maestrale_worker_limiter_wait_seconds_sum", None] == 2.5
    assert found["maestrale_worker_limiter_wait_seconds_count", None] == 4
    buckets = [found[f"{name}_bucket", edge] for edge in ("0.1", "0.5", "+Inf")]
    assert buckets == [2, 2, 3]
    assert (found[f"{name}_count", None], found[f"{name}_sum", None]) == (3, 9.5)
