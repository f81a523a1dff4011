"""When a process was started, where the system has no `/proc` to say it."""

import os
from pathlib import Path

import pytest

from models import births


def test_ps_is_asked_in_one_language_and_one_time_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes of different surroundings would take a living one for another."""
    ps = tmp_path / "ps"
    ps.write_text('#!/bin/sh\necho "S $LC_ALL $TZ"\n')
    ps.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TZ", "Europe/Rome")
    monkeypatch.setenv("LC_ALL", "it_IT.UTF-8")
    assert births._born_by_ps(1) == "C UTC"
