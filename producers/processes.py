"""Processes of our own: started in a session of their own, known again by pid and birth, ended."""

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.births import born


@dataclass(frozen=True, slots=True)
class Service:
    """One running process; `born` tells it from a later one that got the same pid."""

    name: str
    pid: int
    born: str
    address: str = ""
    """Where it listens, if it does."""

    @property
    def is_alive(self) -> bool:
        """Whether this very process is still there."""
        return bool(self.born) and born(self.pid) == self.born

    def signal(self, number: int) -> None:
        """Sends a signal, unless the process is gone."""
        if self.is_alive:
            os.kill(self.pid, number)


def launch(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own, so that Ctrl-C reaches only us and we end it."""
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with log.open("ab") as out:
        return subprocess.Popen(  # noqa: S603 # our own commands
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
        )


def end(services: Sequence[Service], patience_s: float) -> None:
    """SIGTERM to all, and SIGKILL to those that are still there after `patience_s`."""
    for service in services:
        service.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while left := [service for service in services if service.is_alive]:
        if time.monotonic() > deadline:
            for service in left:
                service.signal(signal.SIGKILL)
        time.sleep(0.05)


def free_port() -> int:
    """A port on loopback that nobody listens on just now.

    Below the ports that systems give to outgoing connections: a server that died must find its
    port free again, whatever its clients did meanwhile.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        if is_free(port):
            return port


def is_free(port: int) -> bool:
    """Whether the port on loopback could be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def becomes_free(port: int, *, within_s: float) -> bool:
    """Whether it is free, or is so within that time: a process that was killed is seen as dead
    before its last thread has gone, and its sockets with it."""
    deadline = time.monotonic() + within_s
    while not is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def listens(port: int) -> bool:
    """Whether anything answers on the port on loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
