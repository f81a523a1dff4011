"""Points at which a test can let a process die: named once in the code, and nothing when unset."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from faults.scenarios.crash_points import DYING
from faults.scenarios.registry import by_number
from models.crashing import EXIT_CODE, POINTS, VARIABLE

ROOT = Path(__file__).parents[3]
CODE = ("models", "producers", "worker", "dashboard", "simulator")
DIE = "from models.crashing import crash_point as p; p('call.spooled'); p('call.spooled'); print(1)"


def said() -> Iterator[str]:
    """The name at each call of `crash_point` in the code."""
    for folder in CODE:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_point":
                    (name,) = node.args
                    assert isinstance(name, ast.Constant), path
                    yield str(name.value)


def run(**told: str) -> subprocess.CompletedProcess[str]:
    """A process that comes to a point twice."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    return subprocess.run(
        [sys.executable, "-c", DIE],
        env={**environment, **told},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_is_the_code():
    """Every point of the table stands in the code, once, and no other does."""
    assert Counter(said()) == Counter(POINTS.keys())


def test_the_campaign_dies_at_every_point():
    """Some scenario dies at each of them, and none twice."""
    assert Counter(point for points in DYING.values() for point in points) == Counter(POINTS.keys())
    assert DYING.keys() <= {one.name for one in by_number()}


def test_unset_it_is_nothing():
    """Without the variable (or with an empty one) a process passes all points, and says nothing."""
    for told in ({}, {VARIABLE: ""}, {VARIABLE: "call.answered"}):
        done = run(**told)
        assert (done.returncode, done.stdout) == (0, "1\n")
    assert run().stderr == ""


def test_it_dies_there_the_time_it_is_told():
    """At once, or the so manieth time; with the code that a kill shows."""
    for told in ("call.spooled", "call.spooled:2"):
        done = run(**{VARIABLE: told})
        assert (done.returncode, done.stdout) == (EXIT_CODE, "")
        assert "dead at call.spooled" in done.stderr
    assert run(**{VARIABLE: "call.spooled:3"}).returncode == 0


def test_a_slip_ends_the_process_at_its_start():
    """A name that is no point, and a count that is none."""
    for told in ("call.spoiled", "call.spooled:often", "call.spooled:0"):
        done = run(**{VARIABLE: told})
        assert done.returncode == 1
        assert "for tests only" in done.stderr
