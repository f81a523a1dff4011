"""Processes that end by their own hand, and what is to be noted of their end."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from subprocess import Popen
from urllib.parse import urlsplit

import psutil

from faults.world import World
from producers.processes import launch
from producers.services import environment

EVERY_S = 0.02
VICTIM = "victim"
"""What who is to die is called."""


@contextmanager
def victim(
    world: World, name: str, command: Sequence[str], **extra: str
) -> Iterator["Popen[bytes]"]:
    """A process of this home that nobody supervises; gone at the end of the block."""
    services = world.on.services
    told = {**environment(services.settings), **extra}
    child = launch(command, told, world.on.home, services.log(name))
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        child.wait()


def death(world: World, child: "Popen[bytes]", name: str, *, within_s: float = 120.0) -> int:
    """Waits until it is dead, notes it at once, and answers its exit code.

    Raises `TimeoutError` if it lives on.
    """
    deadline = time.monotonic() + within_s
    while (code := child.poll()) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is alive after {within_s:.0f} s")
        time.sleep(EVERY_S)
    note_death(world, child.pid, name, stopped=last_word_at(world, VICTIM))
    return code


def note_death(world: World, pid: int, name: str, **stopped: float) -> None:
    """Notes as its connections to the simulator all that were ever used and that no living
    process of ours has: it can be asked no more. `stopped`: when it died, if that is known."""
    used = _peers(world) - set(_ports_in_use(world))
    world.log.write("killed", pid=pid, name=name, ports=sorted(used), **stopped)


def last_word_at(world: World, name: str) -> float:
    """When it last wrote to its log: who dies by his own hand here says so with his last breath.

    With many processes on few cores he is found dead a good while later, and answers of that while
    would look as if he had heard them.
    """
    return world.on.services.log(name).stat().st_mtime


def _peers(world: World) -> set[int]:
    journal = world.log.path.with_name("simulator.jsonl")
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return {told["peer"] for line in lines if (told := json.loads(line))["what"] == "arrived"}


def _ports_in_use(world: World) -> Iterator[int]:
    api = urlsplit(world.on.url).port
    for service in world.on.services.running():
        with suppress(psutil.NoSuchProcess):
            for one in psutil.Process(service.pid).net_connections(kind="tcp"):
                if one.raddr and one.raddr.port == api:
                    yield one.laddr.port
