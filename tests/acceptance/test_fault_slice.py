"""The part of the fault campaign that each run of the tests plays; `make faults` plays all."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 420.0
"""It takes about a minute; with two neighbours on two cores, several."""


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE_S + 20)
def test_the_slice_of_the_fault_campaign_holds(tmp_path: Path) -> None:
    """Several faults in one world, on both databases: I1 to I6 hold of what was seen."""
    done = subprocess.run(
        [sys.executable, "-m", "faults", "--slice", "--jobs=2", f"--keep={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all hold" in done.stdout
    judged = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if " holds " in line}
    assert {"I1", "I2", "I3", "I4", "I5", "I6", "also"} <= judged
    for database in ("SQLite", "PostgreSQL"):
        assert re.search(rf"{database} +\d+ s  held", done.stdout), done.stdout
