"""One racer in one round: its processes started, watched from outside, killed if asked to.

CPU and memory are those of the racer's whole tree of processes; what its start and its imports
cost is left out, and so is its end.
"""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.racers.track import Answer, Asked
from simulator.process import Spawned

START_S, ROUND_S, END_S = 120.0, 150.0, 40.0
LOOK_S, LOOK_CLOSELY_S = 0.2, 0.02
_QUIET = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks the network at import
    "TELEMETRY_ENABLED": "false",
    "CURATOR_VIEWER": "0",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MISTRAL_API_KEY": "bench",
}
"""Nothing but 127.0.0.1 is asked, and no telemetry sent."""


class StuckError(Exception):
    """A racer that ended before its time, or took too long; its last words."""


@dataclass
class Watched:
    """What was seen of a racer between the word to start and its last answer."""

    seconds: float = 0
    cpu_s: float = 0
    peak_mb: float = 0
    _cpu: dict[int, float] = field(default_factory=dict)

    def look(self, pid: int, *, first: bool = False) -> None:
        """Adds up the tree's CPU since the last look; processes come and go."""
        memory = 0
        for process in tree(pid):
            with suppress(psutil.Error):
                used = sum(process.cpu_times()[:2])
                memory += process.memory_full_info().pss
                self.cpu_s += 0 if first else used - self._cpu.get(process.pid, 0)
                self._cpu[process.pid] = used
        self.peak_mb = max(self.peak_mb, memory / 1e6)


def tree(pid: int) -> list[psutil.Process]:
    """A process with all its descendants."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


class Runner:
    """One life of a racer."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self._log = log

    def await_word(self, word: str, within_s: float, watched: Watched | None = None) -> None:
        """Waits for a line of the racer's, looking at it meanwhile. Raises `StuckError`."""
        deadline = time.monotonic() + within_s
        assert self.process.stdout is not None
        while not select.select([self.process.stdout], [], [], LOOK_S)[0]:
            if watched:
                watched.look(self.process.pid)
            if time.monotonic() > deadline:
                raise StuckError(f"not {word} within {within_s:.0f} s")
        if (line := self.process.stdout.readline().strip()) != word:
            raise StuckError(f"said {line!r}; its last words: {self._log.read_text()[-2000:]}")

    def go(self) -> None:
        """The word to start."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """kill -9 of all its processes at once."""
        for process in tree(self.process.pid):
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> None:
        """Its input is closed, so that it ends; kill -9 if it does not, or if it is stuck."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def runner(command: Sequence[str], asked: Asked) -> Iterator[Runner]:
    """Starts a racer and waits until it is ready."""
    home = Path(asked.home)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "racer.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **_QUIET}
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*command, json.dumps(asdict(asked))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
    running = Runner(process, log)
    try:
        running.await_word("ready", START_S)
        yield running
    except BaseException:
        running.kill()
        raise
    finally:
        running.end()


def race(command: Sequence[str], asked: Asked, simulator: Spawned) -> Watched:
    """From the word to start to the last answer."""
    with runner(command, asked) as running:
        simulator.steer("reset")
        watched = Watched()
        watched.look(running.process.pid, first=True)
        began = time.monotonic()
        running.go()
        running.await_word("done", ROUND_S, watched)
        watched.seconds = time.monotonic() - began
        watched.look(running.process.pid)
    return watched


def race_killed(command: Sequence[str], asked: Asked, simulator: Spawned, after: int) -> None:
    """The same, killed once the server executed so many calls, and started again as it was."""
    with runner(command, asked) as running:
        simulator.steer("reset")
        running.go()
        deadline = time.monotonic() + ROUND_S
        while simulator.stats()["executed"] < after:
            if time.monotonic() > deadline:
                raise StuckError(f"not half way within {ROUND_S:.0f} s")
            time.sleep(LOOK_CLOSELY_S)
        running.kill()
    with runner(command, asked) as running:
        running.go()
        running.await_word("done", ROUND_S)


def answers(asked: Asked) -> list[Answer]:
    """What the racer wrote."""
    lines = (Path(asked.home) / "answers.jsonl").read_text().splitlines()
    return [Answer(**json.loads(line)) for line in lines]
