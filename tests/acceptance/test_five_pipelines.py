"""`maestrale demo --all` as users run it: five pipelines end to end, and again for nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

MAESTRALE = str(Path(sys.executable).with_name("maestrale"))
ROWS = 24
PAGES = {
    "amira": {"exam.html", "report.html"},
    "tak": {"exam.html", "report.html"},
    "cleo": {"samples.html", "report.html"},
    "bsard": {"judges.html", "general.html", "exam.html", "report.html"},
    "eurlex": {"samples.html", "report.html"},
}
pytestmark = pytest.mark.slow


def demo_all(here: Path) -> dict[str, dict[str, Any]]:
    """A run of all, few rows each; facts by recipe."""
    theirs = {"MAESTRALE_HOME": str(here / "theirs"), "DATABASE_URL": "sqlite:////nowhere/at/all"}
    done = subprocess.run(
        [MAESTRALE, "demo", "--all", "--limit", str(ROWS), "--json"],
        cwd=here,
        env={**os.environ, **theirs},
        check=False,
        capture_output=True,
        text=True,
        timeout=540,
    )
    assert done.returncode == 0, done.stderr
    return {run["recipe"]: run for run in json.loads(done.stdout)["runs"]}


def left_in(here: Path) -> list[psutil.Process]:
    """Whatever still runs in the folder."""
    found = psutil.process_iter(["cmdline", "cwd", "status"])
    return [
        process
        for process in found
        if str(here) in f"{process.info['cmdline']} {process.info['cwd']}"
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The folder that the demo is run in; kills what a failed test may have left."""
    yield tmp_path
    for process in left_in(tmp_path):
        process.kill()


@pytest.mark.timeout(900)  # two whole runs, a minute each on a machine that has nothing else to do
def test_five_pipelines_run_end_to_end_and_again_for_nothing(here: Path) -> None:
    """Every stage is done, every evaluation has its page; the second time all is taken over."""
    first = demo_all(here)
    assert left_in(here) == []
    for name, pages in PAGES.items():
        run = first[name]
        assert run["state"] == "succeeded"
        assert set(run["stages"].values()) == {"done"}
        assert run["cost_usd"] > 0
        assert set(run["pages"]) == pages
        for page in pages:
            text = (Path(run["reports"]) / page).read_text("utf-8")
            assert text.lower().startswith("<!doctype html>")
            assert name in text

    second = demo_all(here)
    for name, pages in PAGES.items():
        run = second[name]
        assert run["state"] == "succeeded"
        assert set(run["stages"].values()) == {"reused"}
        assert run["cost_usd"] == 0
        assert set(run["pages"]) == pages
