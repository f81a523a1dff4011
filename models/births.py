"""When a process was started: tells it from a later one that got the same pid."""

import os
import subprocess
from pathlib import Path


def born(pid: int) -> str:
    """When the process was started, in the system's own words; empty if it is gone."""
    if not Path("/proc/self/stat").exists():
        return _born_by_ps(pid)
    try:
        # the name in parentheses may hold anything; state and start time stand behind it
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _born_by_ps(pid: int) -> str:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    plain = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}  # whoever asks hears the same words
    told = subprocess.run(  # noqa: S603 # our own command: a number is its only argument
        command, capture_output=True, text=True, check=False, env=plain
    )
    state, _, since = told.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else " ".join(since.split())
