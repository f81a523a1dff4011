"""The command line as users run it: real processes, from `up` to `down`."""

import json
import os
import pty
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from builders import eventually

from producers.processes import free_port, listens
from proving.stage import Stage, write_rows

MAESTRALE = str(Path(sys.executable).with_name("maestrale"))
pytestmark = pytest.mark.slow


class Terminal:
    """A user in a folder, with a home and an account."""

    def __init__(self, here: Path, url: str, home: Path | None = None) -> None:
        self.here = here
        self.home = home or here / "home"
        ours = {"MAESTRALE_HOME": str(self.home), "MISTRAL_BASE_URL": url}
        self.environment = {**os.environ, **ours, "MISTRAL_API_KEY": "sk-stage"}

    def start(self, *arguments: str, **how: Any) -> subprocess.Popen[str]:
        """One command, running."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = [MAESTRALE, *arguments]
        return subprocess.Popen(command, cwd=self.here, env=self.environment, **{**pipes, **how})

    def run(self, *arguments: str, code: int = 0) -> str:
        """One command to its end, which has to have this exit code; its words, without colours."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        assert process.returncode == code, out + err
        assert "Traceback" not in out + err
        assert "\x1b" not in out + err
        return out + err

    def facts(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints as JSON."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=90)
        assert process.returncode == code, out + err
        return json.loads(out)

    def processes(self) -> list[psutil.Process]:
        """Whatever runs for this home."""
        found = psutil.process_iter(["environ", "status"])
        return [
            process
            for process in found
            if (process.info["environ"] or {}).get("MAESTRALE_HOME") == str(self.home)
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


@pytest.fixture
def simulator() -> Iterator[str]:
    """`maestrale simulator`, with an account's key and a limit."""
    port = free_port()
    options = ("--key=sk-stage", "--limit=*=3000", "--window=1", "--latency-median=0.05")
    process = subprocess.Popen(
        [MAESTRALE, "simulator", f"--port={port}", "--latency-p95=0.1", *options],
        stdout=subprocess.DEVNULL,
    )
    eventually(lambda: listens(port), "the simulator listens")
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def user(tmp_path: Path, simulator: str) -> Iterator[Terminal]:
    """A user with nothing running; what a failed test leaves is ended."""
    terminal = Terminal(tmp_path, simulator)
    yield terminal
    for process in terminal.processes():
        process.kill()


def test_the_way_of_a_working_day(user: Terminal):
    """Up, up again, a job to its records, a dead worker, doctor, down."""
    port = free_port()
    up = ("up", "--workers", "1", f"--flower-port={port}")
    write_rows(user.here / "texts.jsonl", 30)
    words = user.run(*up)
    assert f"http://127.0.0.1:{port}" in words
    assert str(user.home / "logs") in words
    assert "Everything runs already." in user.run(*up)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/workers") as page:
        assert page.status == 200
    assert "All is well" in user.run("doctor")

    words = user.run("generate", "texts.jsonl", "--recipe", "translate")
    assert "30 done, 0 failed" in words
    records = (user.here / "texts.translate.jsonl").read_text().splitlines()
    assert len(records) == 30

    worker = next(s for s in user.facts("status")["processes"] if s["name"] == "worker1")
    os.kill(worker["pid"], signal.SIGKILL)
    eventually(lambda: "worker1" in user.facts("status")["died"], "the death is seen")
    assert "worker1 died" in user.run("doctor", code=1)
    assert "Started what was missing: worker1" in user.run(*up)

    again = user.facts("generate", "texts.jsonl", "-r", "translate", "--again", "--out", "b.csv")
    assert again["job"]["calls"] == {"paid": 0, "from_ledger": 30, "retried": 0, "doubtful": 0}
    assert "Stopped" in user.run("down")
    assert user.processes() == []
    assert "Nothing was running" in user.run("down")


def test_two_ups_at_once_start_one_set(user: Terminal):
    """The second waits for the first and finds all of it running."""
    both = [user.start("up", "--workers=1", "--no-flower", "--json") for _ in range(2)]
    started = [json.loads(process.communicate(timeout=90)[0])["started"] for process in both]
    assert sorted(map(len, started)) == [0, 4]  # server, worker, clock, conductor
    assert sorted(p["name"] for p in user.facts("status")["processes"]) == [
        "clock",
        "conductor",
        "server",
        "worker1",
    ]
    user.run("down")
    assert user.processes() == []


def test_a_taken_port_for_flower_starts_nothing(user: Terminal, simulator: str):
    """It says how to go on, and leaves no half of a set behind."""
    port = simulator.rpartition(":")[2]
    assert "--no-flower" in user.run("up", f"--flower-port={port}", code=1)
    assert user.processes() == []


def test_the_users_own_modules_are_not_taken_for_ours(user: Terminal):
    """A `worker.py` in the current folder is none of our business."""
    for name in ("worker", "models", "simulator", "celery"):
        (user.here / f"{name}.py").write_text("raise SystemExit('not mine')")
    user.run("up", "--workers=1", "--no-flower")
    assert user.facts("status")["workers_alive"] == 1
    user.run("down")


@pytest.fixture
def beside_stage(on_stage: Callable[..., Stage], tmp_path: Path) -> Terminal:
    """A user whose workers run already; calls take half a second."""
    on = on_stage("--latency-median=0.5", "--latency-p95=0.6", "--limit=*=1200", workers=1)
    write_rows(tmp_path / "texts.jsonl", 120)
    return Terminal(tmp_path, on.url, on.home)


def test_ctrl_c_leaves_the_job_running(on_stage: Callable[..., Stage], tmp_path: Path):
    """The words say how to come back, and coming back works."""
    on = on_stage("--latency-median=0.5", "--latency-p95=0.6", "--limit=*=1200", workers=1)
    write_rows(tmp_path / "texts.jsonl", 300)  # 15 s: it is not over before Ctrl-C comes
    user = Terminal(tmp_path, on.url, on.home)
    process = user.start("generate", "texts.jsonl", "-r", "translate")
    eventually(
        lambda: any(job.calls_made for job in on.client.jobs()), "it is under way", within_s=60
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    (job,) = on.client.jobs()
    assert (process.returncode, err) == (130, "")
    assert f"maestrale watch {job.id}" in out
    assert "300 done, 0 failed" in user.run("watch", job.id[4:8])


@pytest.mark.parametrize(("extra", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_sees_a_live_display(
    beside_stage: Terminal, extra: dict[str, str], is_coloured: bool
):
    """With a bar, figures and colours; without them where NO_COLOR is set."""
    beside_stage.environment.update({"TERM": "xterm-256color", "COLUMNS": "100", **extra})
    shown = in_a_terminal(beside_stage, "generate", "texts.jsonl", "-r", "translate")
    assert "of 120 rows" in shown
    assert "120 done, 0 failed" in shown
    assert ("\x1b[36m" in shown) is is_coloured


def in_a_terminal(user: Terminal, *arguments: str) -> str:
    """What a command writes to a terminal, control codes and all."""
    ours, theirs = pty.openpty()
    process = user.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(30) == 0, shown
    return shown.decode()
