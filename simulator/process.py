"""A simulator in a process of its own, for tests, benchmarks and demonstrations."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_GREETING = "listening on "
_STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Spawned:
    """A running simulator: where it listens, and how to steer and watch it."""

    url: str
    pid: int

    def stats(self) -> dict[str, Any]:
        """What it counted, as of `GET /_stats`."""
        with urllib.request.urlopen(f"{self.url}/_stats") as answer:  # noqa: S310 # our own
            return dict(json.load(answer))

    def steer(self, route: str, **changes: object) -> None:
        """Post to `faults`, `limits` or `reset`: `steer("faults", rates={"server_error": 1})`."""
        body = json.dumps(changes).encode()
        urllib.request.urlopen(f"{self.url}/_{route}", data=body).close()  # noqa: S310 # our own


@contextmanager
def spawn(*options: str) -> Iterator[Spawned]:
    """Start `python -m simulator` with `options`, on a free port unless they name one.

    Ends it with SIGTERM when the block ends. Raises `RuntimeError` if it does not start.
    """
    command = [sys.executable, "-m", "simulator", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 # our own
    try:
        yield Spawned(_greeted(process), process.pid)
    finally:
        _stop(process)


def _greeted(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.startswith(_GREETING):
        raise RuntimeError(
            f"the simulator did not start (it said {line!r}); see its messages above"
        )
    return line.removeprefix(_GREETING)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
