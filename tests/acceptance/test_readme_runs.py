"""The README's own commands, run as they stand, against the simulator."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import simulator

README = Path("README.md").read_text("utf-8")
SUITES = Path("docs/suites.md").read_text("utf-8")
BIN = Path(".venv/bin").resolve()


@pytest.fixture
def user(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user's shell: a home of its own, the simulator as the API, a file of papers."""
    with simulator.spawn() as api:
        lines = Path("recipes/amira/sample.jsonl").read_text("utf-8").splitlines()[:30]
        (tmp_path / "papers.jsonl").write_text("\n".join(lines))
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        home = {"MAESTRALE_HOME": str(tmp_path / "home"), "MISTRAL_BASE_URL": api.url}
        environment = {**os.environ, **home, "PATH": path}
        yield environment
        subprocess.run(["maestrale", "down"], env=environment, cwd=tmp_path, check=True)


def blocks(language: str, page: str = README) -> list[str]:
    """A page's fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.slow
def test_the_commands_and_the_python_lines_work_as_printed(
    user: dict[str, str], tmp_path: Path
) -> None:
    """`up`, `doctor`, a dry run, a run, and the client: line by line, nothing changed."""
    use = next(block for block in blocks("sh") if "maestrale up" in block)
    commands = use.replace("maestrale up ", "maestrale up --no-flower ")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env=user,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 90
    assert (tmp_path / "pairs.provenance.jsonl").exists()
    (lines,) = blocks("python")
    told = subprocess.run(
        [str(BIN / "python"), "-c", lines],
        env=user,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert len(told.stdout.splitlines()) == 30
    assert shutil.which("maestrale", path=user["PATH"])


@pytest.mark.slow
def test_without_a_key_the_suite_of_the_guide_runs_as_printed(
    user: dict[str, str], tmp_path: Path
) -> None:
    """In a folder that has only what was cloned: the lines of "Try it without a key", the commands
    above them but the first, then the whole suite of docs/suites.md."""
    (tmp_path / "papers.jsonl").unlink()
    (tmp_path / "recipes").symlink_to(Path("recipes").resolve())
    told = next(block for block in blocks("sh") if "maestrale simulator" in block)
    use = next(block for block in blocks("sh") if "maestrale up" in block)
    above = use.partition("\n")[2].replace("maestrale up ", "maestrale up --no-flower ")
    port = str(free_port())
    alone = told.replace("simulator &", f"simulator --port {port} >/dev/null 2>&1 &")
    (tmp_path / "mood").mkdir()
    (tmp_path / "mood/suite.toml").write_text(blocks("toml", SUITES)[0])
    (tmp_path / "mood/rows.csv").write_text(blocks("csv", SUITES)[0])
    commands = f"""{alone.replace("8099", port)}
        trap 'kill $!' EXIT
        {above}
        {blocks("sh", SUITES)[0]}"""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env=user,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len((tmp_path / "pairs.jsonl").read_text().splitlines()) == 90
    assert (tmp_path / "report/report.html").exists()
    for line in blocks("text", SUITES)[0].splitlines():
        assert line == "  ..." or line in done.stdout, line
