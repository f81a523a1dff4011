"""A process that cannot work says why, and ends; it does not stay up and fail every task."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


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


@pytest.mark.parametrize(
    "command",
    [
        ["celery", "-A", "worker", "--quiet", "worker"],
        ["celery", "-A", "worker", "--quiet", "beat"],
        ["producers.pipelines"],
    ],
    ids=["worker", "beat", "conductor"],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [("MAESTRALE_LEASE", "1"), ("MAESTRALE_LIMITS", "often"), ("DATABASE_URL", "secret@nowhere")],
)
def test_a_bad_setting_is_named_in_a_line(
    tmp_path: Path, command: list[str], name: str, value: str
) -> None:
    """No traceback, and exit code 2, as commands have it; beat opens no database."""
    if "beat" in command and name == "DATABASE_URL":
        return
    environment = {**os.environ, "MAESTRALE_HOME": str(tmp_path), name: value}
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert len([line for line in ended.stderr.splitlines() if name in line]) == 1
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr
