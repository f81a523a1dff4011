"""Workers whose clocks are wrong, by Debian's libfaketime.

On PostgreSQL alone: workers with clocks of their own are on machines of their own, and these share
no SQLite file.
"""

from pathlib import Path

from faults import hurt_worker
from faults.scenarios.registry import POSTGRESQL, Begin, SkippedError, scenario
from faults.world import World

OFFSETS = {"worker1": "+2h", "worker2": "-2h"}
SLOW = ("--latency-median", "0.5", "--latency-p95", "1", "--limit", "*=6000")
LEASE_S = 3
RESCUED = "rescued"
"""What a worker's log says when it takes a lease for run out."""
RECOVERY_S = 30.0


@scenario(7, databases=(POSTGRESQL,))
def wrong_clocks(begin: Begin) -> None:
    """One worker is 2 h ahead and the other 2 h behind; then one of them is killed."""
    library = _library()
    with begin(*SLOW, workers=0, MAESTRALE_LEASE=LEASE_S) as world:
        _start(world, library)
        job = world.submit(world.rows(240))
        world.until(lambda: world.on.client.get(job.id).rows_done > 120, "work goes on")
        faked = [name for name in OFFSETS if library.name in _maps(world, name)]
        world.expect(faked == list(OFFSETS), f"clocks that are wrong: {faked}")
        early = _rescues(world)
        world.expect(not early, f"{len(early)} leases of the living ran out")
        world.kill(world.random.choice(list(OFFSETS)))
        world.until(lambda: _rescues(world), "the dead one's shards are rescued", RECOVERY_S)
        world.on.restart_workers()
        world.settled(job.id)


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise SkippedError("it needs Debian's package `faketime`")
    return found[0]


def _start(world: World, library: Path) -> None:
    for name, offset in OFFSETS.items():
        faked = {"LD_PRELOAD": str(library), "FAKETIME": offset}
        # what counts seconds since the machine started is right also where the clock is wrong
        faked["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
        world.on.services.spawn(name, hurt_worker.command(name), **faked)
    world.on.workers = len(OFFSETS)
    world.on.workers_ready()


def _maps(world: World, name: str) -> str:
    (pid,) = world.on.pids(name)
    return Path(f"/proc/{pid}/maps").read_text()


def _rescues(world: World) -> list[str]:
    logs = (world.on.services.log(name).read_text() for name in OFFSETS)
    return [line for log in logs for line in log.split("\n") if RESCUED in line]
