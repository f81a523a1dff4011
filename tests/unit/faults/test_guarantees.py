"""docs/guarantees.md names scenarios that there are, all of them, and every point of death."""

import re
from pathlib import Path

from faults import scenarios  # noqa: F401 # registers them
from faults.scenarios.registry import SCENARIOS
from models.crashing import POINTS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guarantees.md").read_text()


def test_each_scenario_shows_a_promise_of_the_page():
    """No scenario is missing from the page."""
    missing = [name for name in SCENARIOS if f"`{name}`" not in PAGE]
    assert not missing


def test_what_the_page_is_shown_by_is_there():
    """Every last column names scenarios, benchmarks or tests that exist."""
    shown = [line.rsplit("|", 2)[1] for line in PAGE.split("\n") if line.startswith("| ")]
    named = {name for cell in shown for name in re.findall(r"`([^`]+)`", cell)} - set(POINTS)
    for name in named:
        path = name.removeprefix("python -m ").replace("benchmarks.", "benchmarks/") + ".py"
        there = name in SCENARIOS or (ROOT / name).is_file() or (ROOT / path).is_file()
        assert there, name


def test_each_point_of_death_stands_in_the_page_as_in_the_code():
    """Its line says after what and before what, in the code's words."""
    for name, (after, before) in POINTS.items():
        assert f"| `{name}` | {after} | {before} |" in PAGE
