"""Turns figures into what Prometheus reads: only metrics of the list, only with their labels."""

from collections.abc import Iterable, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from models.metrics import METRICS


class Exposition:
    """One scrape's samples. `tell` takes the labels in the order of the list."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}

    def tell(self, name: str, value: float, *labels: object) -> None:
        """A counter's or gauge's value."""
        family = self._family(name, labels)
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily), name
        family.add_metric([str(label) for label in labels], value)

    def tell_all(self, name: str, values: Iterable[tuple[object, float]]) -> None:
        """Values of a metric with one label."""
        for label, value in values:
            self.tell(name, value, label)

    def tell_sum(self, name: str, count: int, total: float, *labels: object) -> None:
        """A summary's count and sum."""
        family = self._family(name, labels)
        assert isinstance(family, SummaryMetricFamily), name
        family.add_metric([str(label) for label in labels], count, total)

    def tell_histogram(
        self,
        name: str,
        edges: Sequence[float],
        bins: Sequence[int],
        total: float,
        *labels: object,
    ) -> None:
        """A histogram of counts per bin; the last bin has no edge."""
        family = self._family(name, labels)
        assert isinstance(family, HistogramMetricFamily), name
        buckets, below = [], 0
        for edge, count in zip((*edges, float("inf")), bins, strict=True):
            below += count
            buckets.append(("+Inf" if edge == float("inf") else repr(float(edge)), float(below)))
        family.add_metric([str(label) for label in labels], buckets, total)

    def families(self) -> list[Metric]:
        """What a collector yields."""
        return list(self._families.values())

    def _family(self, name: str, labels: Sequence[object]) -> Metric:
        listed = METRICS[name]
        assert len(labels) == len(listed.labels), (name, labels)
        if name not in self._families:
            self._families[name] = _KINDS[listed.kind](name, listed.help, labels=listed.labels)
        return self._families[name]


_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
    "summary": SummaryMetricFamily,
}
