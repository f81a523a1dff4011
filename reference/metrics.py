"""`metrics.md`: every metric, by who tells it."""

from models.metrics import DASHBOARD, WORKER, Metric
from reference.markdown import code, table

_INTRODUCTION = """\
# Metrics

Made from `models/metrics.py`, the one list of metrics, by `make reference`: change it there. A test
holds what is served against the same list.

* **Workers**: `MAESTRALE_METRICS=127.0.0.1:9464` makes every worker process serve `/metrics`, on
  the first free of 32 ports from there (its log says which). Counters begin at zero with it.
  Beside these stand Python's usual `process_*`. There is no password on it: bind it to loopback or
  to a network of your own.
* **Dashboard**: `/metrics` of Flower tells what the database and the broker know, together with
  Flower's own `flower_*`. It asks for Flower's password where Flower has one. It answers also while
  the database (`maestrale_up 0`) or Redis (`maestrale_broker_up 0`) is away.

Labels hold ids and names only: no prompt, no row, no URL. Single jobs are told while they are
unfinished, the newest 100; the sums are of all. A price that is not known is counted in
`..._unpriced...` and never adds zero to a cost.

`deploy/prometheus/` has a configuration and alert rules, `deploy/grafana/` a dashboard;
[operations](../operations.md#what-each-alarm-means) says what to do about each alert.

"""


def page() -> str:
    """The whole page."""
    exporters = {
        "Worker processes (`MAESTRALE_METRICS`)": WORKER,
        "The dashboard (`/metrics` of Flower)": DASHBOARD,
    }
    parts = (f"## {title}\n\n{_listed(served)}" for title, served in exporters.items())
    return _INTRODUCTION + "\n".join(parts)


def _listed(metrics: tuple[Metric, ...]) -> str:
    rows = ([code(m.name), m.kind, ", ".join(map(code, m.labels)), m.help] for m in metrics)
    return table(("metric", "type", "labels", "what it tells"), rows)
