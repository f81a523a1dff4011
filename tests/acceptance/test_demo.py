"""`maestrale demo` as users run it: on a bare machine, again, interrupted, after a kill -9."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from builders import eventually

MAESTRALE = str(Path(sys.executable).with_name("maestrale"))
pytestmark = pytest.mark.slow


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """The folder that the demo is run in; kills what a failed test may have left."""
    yield tmp_path
    for process in processes_of(tmp_path):
        process.kill()


def start_demo(here: Path, *options: str) -> subprocess.Popen[str]:
    """`maestrale demo` in `here`, of a user whose own settings must not matter."""
    theirs = {
        "MAESTRALE_HOME": str(here / "theirs"),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "sqlite:////nowhere/at/all.db",
        "MISTRAL_API_KEY": "theirs",
        "MAESTRALE_LIMITS": "*=1/min",
    }
    return subprocess.Popen(
        [MAESTRALE, "demo", *options],
        cwd=here,
        env={**os.environ, **theirs},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def demo(here: Path) -> tuple[dict[str, Any], str]:
    """A whole run; its facts and its words."""
    process = start_demo(here, "--json")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return json.loads(out), err


def processes_of(here: Path) -> list[psutil.Process]:
    """Whatever runs in the demo's folder or was started for it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        about = f"{process.info['cmdline']} {process.info['cwd']}"
        if str(here) in about and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_bare_machine_needs_nothing_and_a_second_run_pays_nothing(here: Path):
    """It ends by itself, leaves no process, and says who wrote the answers."""
    first, words = demo(here)
    assert processes_of(here) == []

    rows = first["job"]["rows"]
    assert rows["done"] + rows["failed"] == rows["total"] == 187
    assert rows["done"] >= 180
    assert first["job"]["calls"]["paid"] >= 700
    assert len((here / ".demo" / "amira.jsonl").read_text().splitlines()) == first["records"]
    for part in (
        "The simulator writes the answers",
        "of the limit",
        "1,800 requests/min",
        "One pair from it, as the simulator wrote it",
        "export MISTRAL_API_KEY",
        "Apache-2.0",
    ):
        assert part in words
    assert sorted(path.name for path in here.iterdir()) == [".demo"]
    assert "verified by examples/receiver.py" in words
    assert "job.succeeded" in first["webhooks_verified"]

    second, words = demo(here)
    assert "0 calls, all" in words
    assert second["job"]["calls"]["paid"] == 0
    assert second["job"]["cost"]["usd"] == 0
    assert second["job"]["rows"] == rows
    assert "job.succeeded" in second["webhooks_verified"]
    assert processes_of(here) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_leaves_no_process(here: Path, number: signal.Signals):
    """Ctrl-C, a kill, a closed terminal; also when it comes again and again, to the very end."""
    process = start_demo(here)
    eventually(lambda: len(processes_of(here)) >= 4, "server and workers run", within_s=60)
    time.sleep(2)  # into the run
    process.send_signal(number)
    while process.poll() is None:  # what it has to say fits in the pipes
        time.sleep(0.02)
        process.send_signal(number)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert processes_of(here) == []


def test_what_a_killed_demo_left_is_ended_by_the_next(here: Path):
    """kill -9 cannot be answered; the next run cleans up, goes on, and pays only the rest."""
    process = start_demo(here)
    eventually(lambda: len(processes_of(here)) >= 4, "server and workers run", within_s=60)
    time.sleep(5)
    process.kill()
    process.communicate()
    assert processes_of(here)
    told, _ = demo(here)
    assert told["job"]["rows"]["done"] >= 180
    assert processes_of(here) == []


def test_a_taken_port_is_said_and_gone_around(here: Path):
    """The simulator moves; to the ledger that is another server, and the words say so."""
    (here / ".demo").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (here / ".demo" / "simulator.port").write_text(str(taken.getsockname()[1]))
        _, words = demo(here)
    assert "this run asks everything anew" in " ".join(words.split())


def test_an_error_leaves_no_process(here: Path):
    """The folder of the database is in the way: a message, exit code 1, nothing left."""
    (here / ".demo" / "maestrale.db").mkdir(parents=True)
    process = start_demo(here)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Error: " in err
    assert "Traceback" not in out + err
    assert processes_of(here) == []
