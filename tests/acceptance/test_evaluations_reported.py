"""Evaluations from the command line to their reports: real workers, the simulator."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from test_cli import Terminal

from proving.stage import Stage

pytestmark = pytest.mark.slow
SMALL, LARGE = "mistral-small-latest", "mistral-large-latest"
ROWS = 40


@pytest.fixture
def queries(tmp_path: Path) -> Path:
    """Queries with their labels."""
    path = tmp_path / "queries.jsonl"
    labels = ("news_related", "not_news_related")
    rows = [
        {"id": f"q{no}", "query": f"query number {no}, please", "label": labels[no % 4 > 0]}
        for no in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_from_a_suite_to_its_report(on_stage: Callable[..., Stage], tmp_path: Path, queries: Path):
    """Asked again it makes no call; one more model pays for that one alone; the report is there."""
    on = on_stage(workers=1)
    user = Terminal(tmp_path, on.url, on.home)
    evaluate = ("evaluate", "tak", "--data", str(queries), "--attempts", "2", "--report", "out")

    words = user.run(*evaluate, "-m", SMALL)
    assert f"{2 * ROWS} paid" in words
    assert "Accuracy" in words
    assert "out/report.html" in words

    again = user.facts(*evaluate, "-m", SMALL, "--again")
    assert again["job"]["calls"]["paid"] == 0
    assert again["job"]["calls"]["from_ledger"] == 2 * ROWS

    both = user.facts(*evaluate, "-m", f"{SMALL},{LARGE}")
    assert both["job"]["calls"]["paid"] == 2 * ROWS
    assert both["report"]["figures"].keys() == {SMALL, LARGE}
    alone, beside = (told["report"]["figures"][SMALL]["accuracy"] for told in (again, both))
    assert alone == beside
    compared = {(one["first"], one["second"]) for one in both["report"]["comparisons"]}
    assert compared == {(SMALL, LARGE)}

    page = (tmp_path / "out" / "report.html").read_text()
    assert both["job"]["id"] in page
    assert "n=80" in page
    assert "http" not in page.replace("http-equiv", "")
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {(tmp_path / "out" / name).is_file() for name in told["files"]} == {True}
    assert f"--data {queries}" in told["repeat"]
    shown = user.run("show", both["job"]["id"])
    assert "tak, classification" in shown
    assert LARGE in shown
