"""The database that loses its connections, and the disk that is full or broken."""

import errno
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import psycopg
from psycopg.rows import scalar_row

from faults import hurt_worker
from faults.history import Line, read
from faults.scenarios.registry import POSTGRESQL, Begin, SkippedError, scenario
from faults.world import World
from models.errors import MaestraleError

LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6", "--limit", "*=6000")
KILLS = 40
KILL_EVERY_S, AT_ONCE = 0.15, 1
ALL_KILLED_S = 60.0
DISK_MB = 64
FULL_S = 4.0
BROKEN_DISK = Path(hurt_worker.__file__).with_name("broken_disk.c")
STOPS_WITHIN_S = 1.0
_OTHERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
T = TypeVar("T")


@scenario(12, databases=(POSTGRESQL,))
def connections_killed(begin: Begin) -> None:
    """pg_terminate_backend of random connections, of workers and producer, again and again."""
    with begin(*LATENCY, workers=2) as world:
        rows = world.rows(500)
        job = world.submit(rows)
        acknowledged: dict[str, Any] = {}
        jobs = [job]
        with _killing(world) as killed:
            for number in range(4):
                more = world.rows(30, start=1000 * (number + 1))
                how = {"recipe": "translate", "idempotency_key": f"key {number}"}
                jobs.append(_surely(partial(world.on.client.generate, more, **how)))
                world.accepted(jobs[-1], more)
            deadline = time.monotonic() + ALL_KILLED_S
            while len(killed) < KILLS and time.monotonic() < deadline:
                acknowledged |= _surely(lambda: dict(world.on.client.results(job.id)))
        for one in jobs:
            world.settled(one.id)
        kept = dict(world.on.client.results(job.id))
        changed = [row for row, records in acknowledged.items() if kept.get(row) != records]
        world.expect(len(killed) >= KILLS, f"{len(killed)} connections were killed")
        world.expect(
            acknowledged and not changed,
            f"{len(acknowledged)} rows read meanwhile are there, {len(changed)} are not the same",
        )
        world.again(job, rows)


@contextmanager
def _killing(world: World) -> Iterator[list[int]]:
    """Kills a connection of the database every moment; answers whose."""
    killed: list[int] = []
    over = threading.Event()
    url = world.on.client.settings.database_url

    def kill() -> None:
        with psycopg.connect(url, autocommit=True, row_factory=scalar_row) as connection:
            while not over.wait(KILL_EVERY_S):
                found = connection.execute(_OTHERS).fetchall()
                victims = world.random.sample(found, min(len(found), AT_ONCE))
                for victim in victims:
                    connection.execute("SELECT pg_terminate_backend(%s)", [victim])
                    killed.append(victim)

    thread = threading.Thread(target=kill, daemon=True)
    world.fault("connections are killed", hangs_up=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join(5)
        world.healed(f"{len(killed)} connections were killed")


def _surely(do: Callable[[], T]) -> T:
    """As a user would: it is tried again as long as the answer says that it may be."""
    for _ in range(200):
        try:
            return do()
        except MaestraleError:
            time.sleep(0.05)
    return do()


@scenario(13, is_alone=True)
def disk_full(begin: Begin) -> None:
    """The home's disk is full for some seconds: spools, logs, Redis, and the embedded database."""
    with _small_disk() as disk, begin(*LATENCY, workers=2) as world:
        _without_a_disk(world, "disk full", _filled(disk, world.random))


@scenario(13, is_alone=True)
def disk_broken(begin: Begin) -> None:
    """The workers' disk answers EIO to all that is written: spools, logs, the embedded database."""
    with tempfile.TemporaryDirectory() as folder, begin(*LATENCY, workers=0) as world:
        library, flag = _library(Path(folder)), Path(folder) / "broken"
        told = {"MAESTRALE_FAULTS_DISK": str(world.on.home), "MAESTRALE_FAULTS_BROKEN": str(flag)}
        for name in ("worker1", "worker2"):
            command = hurt_worker.command(name)
            world.on.services.spawn(name, command, LD_PRELOAD=str(library), **told)
        world.on.workers = 2
        world.on.workers_ready()
        _without_a_disk(world, "EIO", _there(flag))


def _without_a_disk(world: World, what: str, fault: AbstractContextManager[None]) -> None:
    """A job's work goes on, the disk takes nothing for a while, and then it does again."""
    rows = world.rows(450)
    job = world.submit(rows)
    world.until(lambda: world.on.client.get(job.id).rows_done > 100, "work goes on")
    workers = {one.name: one.pid for one in world.on.services.running()}
    with fault:
        began = time.time()
        world.fault(what, hangs_up=True)
        time.sleep(FULL_S)
        world.healed("the disk is well again")
        back = time.time()
    job = world.settled(job.id)
    same = {one.name: one.pid for one in world.on.services.running()}
    calls = [line.at for line in _arrived(world)]
    late = [at - began for at in calls if began < at < back]
    world.expect(
        max(late, default=0.0) < STOPS_WITHIN_S,
        f"{what}: {len(late)} calls since, the last after {max(late, default=0):.2f} s",
    )
    after = [at - back for at in calls if at >= back]
    world.expect(after, f"called again {min(after, default=0):.1f} s after it was well again")
    world.expect(same == workers, f"the same processes as before: {sorted(same)}")
    world.again(job, rows)


def _library(folder: Path) -> Path:
    """What is preloaded to break a disk, compiled here."""
    made = folder / "broken_disk.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(BROKEN_DISK), "-ldl"]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise SkippedError("it needs a C compiler, `cc`") from None
    return made


@contextmanager
def _there(flag: Path) -> Iterator[None]:
    flag.touch()
    try:
        yield
    finally:
        flag.unlink()


@contextmanager
def _small_disk() -> Iterator[Path]:
    """A file system in memory, where what is begun within the block has its home."""
    place, before = Path(tempfile.mkdtemp(prefix="faults-disk-")), tempfile.tempdir
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        place.rmdir()
        raise SkippedError(f"no small disk can be mounted: {mounted.stderr.strip()}")
    tempfile.tempdir = str(place)
    try:
        yield place
    finally:
        tempfile.tempdir = before
        subprocess.run(["umount", "--lazy", str(place)], check=False)
        place.rmdir()


@contextmanager
def _filled(disk: Path, random: Random) -> Iterator[None]:
    """All that is left of it taken by a file."""
    filler = disk / "filler"
    rest = random.randbytes(1 << 16)
    with filler.open("wb", buffering=0) as file:
        while len(rest):
            try:
                os.write(file.fileno(), rest)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                rest = rest[: len(rest) // 2]
        try:
            yield
        finally:
            filler.unlink()


def _arrived(world: World) -> list[Line]:
    lines = read(world.log.path.parent)
    return [line for line in lines if line.by == "simulator" and line.what == "arrived"]
