"""A worker that cannot work says why, and ends; it does not stay up and fail every task."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_worker_on_a_database_without_tables_names_the_remedy_and_ends(tmp_path: Path) -> None:
    """`maestrale migrate` was forgotten: one line, no traceback, an exit code."""
    environment = {**os.environ, "MAESTRALE_HOME": str(tmp_path)}
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path / 'empty.db'}"
    command = [sys.executable, "-m", "celery", "-A", "worker", "--quiet", "worker"]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "maestrale migrate" in ended.stderr
    assert "Traceback" not in ended.stderr
