"""Messages that are lost, late or doubled, and sweepers that look for them all at once.

The faults are the broker's, and what holds against them is a lease in the database: both of them
are tried where two may ask for the same lease at once.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast

import redis

from faults import hurt_worker
from faults.leases import all_of, held_by, taken_up
from faults.listening import NOTHING, listening
from faults.scenarios.processes import LATENCY
from faults.scenarios.registry import SQLITE, Begin, scenario
from faults.world import World
from models.doorbell import CLOCK, KEY_PREFIX, SHARDS, TICK, make_celery
from models.tables import Job

ROWS_OF_A_SHARD = 8
"""In a small job."""
ASKED_S = 1.3
"""A worker asks Redis for messages for one second at a time."""
FREE_S = 0.2
"""So long who is awake may write, until the lock is taken for a sleeper's."""

# --------------------------------------------------------------------------- lost


@scenario(4, databases=(SQLITE,), is_alone=True)  # what is lost is Redis's: one database will do
def lost_messages(begin: Begin) -> None:
    """All messages of a job vanish from Redis: they are sent again within two leases."""
    with begin(*LATENCY, workers=1, MAESTRALE_LEASE=8) as world:
        with stopped(world, "worker1"):
            job = world.submit(world.rows(40))
            rung = time.monotonic()
            lost = delete_messages(world)
        shards = all_of(world, job.id)
        idle = not any(one.token for one in shards)
        world.expect(
            idle and lost == len(shards), f"{lost} messages lost of {len(shards)} shards, none held"
        )
        world.until(lambda: all(one.token for one in all_of(world, job.id)), "all are claimed")
        took_s, lease_s = time.monotonic() - rung, world.on.client.settings.lease_s
        world.settled(job.id)
        world.expect(
            took_s < 2 * lease_s,
            f"all claimed {took_s:.1f} s after they were lost (2 leases: {2 * lease_s:g} s)",
        )


@contextmanager
def stopped(world: World, *names: str) -> Iterator[None]:
    """The processes sleep for as long as the block lasts, and what they last asked of Redis is
    over: else the first message would go to one of them, to be run as soon as it wakes."""
    pids = [pid for name in names for pid in world.on.pids(name)]
    world.fault("stopped", hangs_up=True, names=names)
    try:
        world.until(lambda: _are_at_rest(world, pids), "they sleep, and hold no lock")
        time.sleep(ASKED_S)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        world.healed("stopped")


def _are_at_rest(world: World, pids: Sequence[int]) -> bool:
    """Stops them all, unless one of them is writing: SQLite's one lock would sleep with it, and
    whoever writes meanwhile would wait for it in vain."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    if _is_free(world):
        return True
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return False


def _is_free(world: World) -> bool:
    """Whether somebody else may write. PostgreSQL locks rows, of which nobody asks for these."""
    store = world.on.client.store
    if not store.is_sqlite:
        return True
    with closing(sqlite3.connect(str(store.engine.url.database), FREE_S)) as connection:
        connection.isolation_level = None  # no BEGIN but ours
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
        return True


def delete_messages(world: World) -> int:
    """Empties the queue of shards; answers how many messages were in it."""
    server = cast("Any", redis.Redis.from_url(world.on.client.settings.redis_url))
    lists = [key for key in server.scan_iter(f"{KEY_PREFIX}{SHARDS}*") if _is_list(server, key)]
    lost = sum(server.llen(key) for key in lists)
    for key in lists:
        server.delete(key)
    world.fault("messages deleted", count=lost)
    return int(lost)


def _is_list(server: Any, key: bytes) -> bool:
    return bool(server.type(key) == b"list")


# --------------------------------------------------------------------------- late and doubled

LONG_S, VISIBILITY_S = 10, 3


@scenario(5, databases=(SQLITE,))  # the broker's fault; that a lease is won once: 6 and 19
def longer_than_visible(begin: Begin) -> None:
    """A shard takes 10 s, its message is taken for lost after 3 s: two workers, one runner."""
    latency = (f"--latency-median={LONG_S}", f"--latency-p95={LONG_S}")
    with begin(*latency, workers=0) as world, listening(world.on) as heard:
        for name in ("worker1", "worker2"):
            hurt = hurt_worker.command(name, f"visibility={VISIBILITY_S}")
            world.on.services.spawn(name, hurt)
        job = world.submit(world.rows(ROWS_OF_A_SHARD))
        world.settled(job.id)
        (shard,) = all_of(world, job.id)
        times, idle = heard.shards_received(), heard.answers(NOTHING)
        world.expect(
            times > 1 and idle == times - 1 and shard.token == 1,
            f"delivered {times} times, {idle} times there was nothing to do, {shard.token} claim",
        )
        _paid_once(world, ROWS_OF_A_SHARD)


@scenario(6)
def doubled_messages(begin: Begin) -> None:
    """Every message is delivered twice, to two workers: the second run is a no-op."""
    rows = 200
    with begin(*LATENCY, workers=0) as world, listening(world.on) as heard:
        for name in ("worker1", "worker2"):
            world.on.services.spawn(name, hurt_worker.command(name, "twice"))
        with hurt_worker.sending_twice():
            job = world.submit(world.rows(rows))
        world.settled(job.id)
        shards = all_of(world, job.id)
        world.until(
            lambda: heard.shards_received() == len(heard.ended) >= 2 * len(shards),
            "the last ones are taken",
        )
        times, idle = heard.shards_received(), heard.answers(NOTHING)
        claims = sum(shard.token for shard in shards)
        world.expect(
            times == 2 * len(shards) and idle == claims == len(shards),
            f"{len(shards)} shards, {times} messages, {claims} claims, {idle} no-ops",
        )
        _paid_once(world, rows)


def _paid_once(world: World, rows: int) -> None:
    executed = world.on.stats()["executed"]
    world.expect(executed == rows, f"{executed} calls for {rows} rows")


# --------------------------------------------------------------------------- swept by many

CLOCKS, TICKS = 2, 40


@scenario(19)
def many_sweepers(begin: Begin) -> None:
    """Three workers' clocks, two beats and 40 ticks at once sweep what a killed worker held."""
    with begin(*LATENCY, workers=3) as world, listening(world.on) as heard:
        for number in range(CLOCKS):
            world.on.services.spawn(f"clock{number}", _beat(world, number))
        job = world.submit(world.rows(800))
        world.until(lambda: world.on.client.get(job.id).rows_done > 50, "work has begun")
        (pid,) = world.on.pids("worker1")
        world.note_kill(pid, "worker1")
        lost = held_by(world, pid)
        world.on.kill("worker1")
        world.until(lambda: _ticked(world) and taken_up(world, lost), "its work is taken up")
        world.settled(job.id)
        _claimed_once(world, job, len(lost))
        won, idle = heard.answers("rang for"), heard.answers("another clock")
        world.expect(idle > won, f"{won + idle} ticks: {won} swept, {idle} left it to others")


def _beat(world: World, number: int) -> list[str]:
    beat = ["beat", "-s", str(world.on.home / f"beat{number}")]
    return [*hurt_worker.CELERY, *beat]


def _ticked(world: World) -> bool:
    """Many ticks at once, again and again."""
    app = make_celery(world.on.client.settings)
    for _ in range(TICKS):
        app.send_task(TICK, queue=CLOCK)
    time.sleep(0.5)
    return True


def _claimed_once(world: World, job: Job, lost: int) -> None:
    shards = all_of(world, job.id)
    rescued, claims = sum(one.deaths for one in shards), sum(one.token for one in shards)
    world.expect(
        lost and rescued == lost and claims == len(shards) + lost,
        f"{lost} shards held by the dead worker, {rescued} rescues; {claims} claims of "
        f"{len(shards)} shards",
    )
