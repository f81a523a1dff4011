"""What is deployed for Prometheus and Grafana asks for metrics that exist, and rings in time."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.metrics import METRICS, Metric

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
ENDINGS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}


def read(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text())


RULES = [rule for group in read(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((GRAFANA / "dashboards" / "maestrale.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
SAMPLES = {
    name + ending: metric
    for name, metric in METRICS.items()
    for ending in ENDINGS.get(metric.kind, ("",))
}
"""Every name that a query may ask for."""


def asked(query: str) -> list[tuple[Metric, set[str]]]:
    """The metrics of a query, with the labels it selects by. Raises KeyError for an unknown one."""
    found = re.findall(r"\b(maestrale_\w+)(?:\{([^}]*)\})?", query)
    return [(SAMPLES[name], set(re.findall(r"(\w+)\s*[=!]~?\"", given))) for name, given in found]


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in RULES), *QUERIES])
def test_every_query_asks_for_metrics_of_the_list(query: str) -> None:
    """By labels that they have; a misspelt name would be a chart that stays empty for ever."""
    metrics = asked(query)
    assert metrics or query.startswith("up{")
    for metric, labels in metrics:
        assert labels <= {*metric.labels}, metric.name
    labels = {label for metric, _ in metrics for label in metric.labels}
    for grouping in re.findall(r"\bby \(([^)]*)\)", query):
        assert set(re.split(r", *", grouping)) <= labels | {"le", "instance"}
    for metric, _ in metrics:
        if metric.kind == "counter":
            assert re.search(r"(rate|increase)\(" + metric.name, query), "counters only grow"


def test_every_alarm_says_what_is_wrong_and_where_to_read_on() -> None:
    """A summary, a severity, a paragraph of its own; all of them stand at the top of the file."""
    head = (PROMETHEUS / "alerts.yml").read_text().split("groups:")[0]
    for rule in RULES:
        anchor = f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["annotations"]["runbook"] == anchor
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]
        assert re.search(rf"{rule['alert']} +{rule['labels']['severity']} +{anchor}", head)


def test_every_alarm_has_its_paragraph() -> None:
    """In docs/operations.md, as a heading with its name."""
    document = (ROOT / "docs" / "operations.md").read_text()
    headings = set(re.findall(r"^#+ `?(Maestrale\w+)`?$", document, re.MULTILINE))
    assert headings == {rule["alert"] for rule in RULES}


def test_every_alarm_is_tested_both_ways() -> None:
    """One case in which it rings, and silence in good health."""
    healthy, *cases = read(PROMETHEUS / "alerts_test.yml")["tests"]
    names = [rule["alert"] for rule in RULES]
    assert [case["alertname"] for case in healthy["alert_rule_test"]] == names
    assert not any(case["exp_alerts"] for case in healthy["alert_rule_test"])
    rings = [test["alertname"] for case in cases for test in case["alert_rule_test"]]
    assert rings == names
    assert all(test["exp_alerts"] for case in cases for test in case["alert_rule_test"])


@pytest.mark.skipif(not PROMTOOL, reason="promtool is not on PATH ($PROMTOOL)")
@pytest.mark.parametrize(
    "command",
    [
        ["check", "rules", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ],
)
def test_promtool_agrees(command: list[str]) -> None:
    """Prometheus' own tool reads the files and runs the rules' tests."""
    done = subprocess.run(
        [str(PROMTOOL), *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_whole() -> None:
    """Ids once, panels side by side and not over each other, and the provisioned source."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][name] for name in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert x + w <= 24 and not cells & taken
        taken |= cells
    (source,) = read(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    used = [panel["datasource"]["uid"] for panel in panels]
    used += [target["datasource"]["uid"] for panel in panels for target in panel["targets"]]
    assert set(used) == {source["uid"]}
    (provider,) = read(GRAFANA / "provisioning" / "dashboards" / "maestrale.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def test_what_is_scraped_is_what_compose_runs() -> None:
    """Services by their names, ports and the password's file."""
    services = read(ROOT / "docker-compose.yml")["services"]
    scrapes = {s["job_name"]: s for s in read(PROMETHEUS / "prometheus.yml")["scrape_configs"]}
    (flower,) = scrapes["maestrale-dashboard"]["static_configs"][0]["targets"]
    assert flower.split(":")[0] in services
    (found,) = scrapes["maestrale-worker"]["dns_sd_configs"]
    (worker,) = found["names"]
    address = services[worker]["environment"]["MAESTRALE_METRICS"]
    assert address == f"0.0.0.0:{found['port']}"
    secret = Path(scrapes["maestrale-dashboard"]["basic_auth"]["password_file"]).name
    assert secret in services["prometheus"]["secrets"]
