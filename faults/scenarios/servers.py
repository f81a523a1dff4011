"""Redis that forgets, is silent, loses its replies, or is away from the limiter.

On SQLite alone: what Redis does is no matter of the database behind it, and each promise here is
kept by what stands in the database whatever that is.
"""

import shutil
import time
from pathlib import Path
from random import Random
from threading import Timer
from typing import Any, cast
from urllib.parse import urlsplit

import redis
from pydantic import SecretStr

from faults.history import Line, read
from faults.proxy import HOST, Proxy, proxy
from faults.scenarios.registry import SQLITE, Begin, scenario
from faults.world import World
from models.tables import Job
from producers.client import PATIENCE_S

LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6", "--limit", "*=6000")
SECONDS = 2 * PATIENCE_S
"""What "returns in seconds" means: the patience with a dead broker, and as much for the rest."""
RATE, PROCESSES = 40, 2
BURST = RATE / 10
"""One local burst: a tenth of a second's slots are on their way when Redis loses its state."""
CUTS = 30
"""Replies lost at least, each time."""
REFUSED_S = 4.0
UNUSED_S = 1.5
"""After Redis went and came, so long may pass until the pace of that time is everybody's."""


@scenario(8, databases=(SQLITE,))
def redis_that_forgets(begin: Begin) -> None:
    """Redis is killed without its file, flushed, and refuses writes; a job comes meanwhile."""
    with begin(*LATENCY, workers=2) as world:
        rows = world.rows(500)
        job = world.submit(rows)
        _goes_on(world, job, 60)
        world.fault("Redis killed and wiped")
        world.open_yet(job)
        world.on.kill("server")
        late, took_s = _submitted(world, world.rows(60, start=5000))
        world.expect(took_s < SECONDS, f"without Redis a job is taken in {took_s:.1f} s")
        shutil.rmtree(world.on.home / "redis" / "appendonlydir")
        world.on.services.start_server()
        _goes_on(world, job, 120)
        world.fault("FLUSHALL")
        world.open_yet(job)
        server = cast("Any", redis.Redis.from_url(world.on.client.settings.redis_url))
        server.flushall()
        world.fault("Redis refuses all writes, as with a full disk")
        world.open_yet(job)
        server.config_set("min-replicas-to-write", 1)
        time.sleep(REFUSED_S)
        server.config_set("min-replicas-to-write", 0)
        world.settled(late.id)
        world.settled(job.id)
        world.again(job, rows)


@scenario(9, databases=(SQLITE,))
def black_hole_before_a_producer(begin: Begin) -> None:
    """The producer's Redis takes connections and is silent, from the start or in mid-sentence."""
    with proxy() as between, begin(*LATENCY, workers=2) as world:
        _behind(between, world)
        between.swallows()
        world.fault("black hole")
        early, took_s = _submitted(world, world.rows(40))
        world.expect(took_s < SECONDS, f"a job is taken in {took_s:.1f} s")
        world.settled(early.id)  # in the hole: who is silent to the producer answers the workers
        between.delays(0.1)
        closing = Timer(0.6, between.swallows)
        closing.start()
        late, took_s = _submitted(world, world.rows(200, start=1000))
        world.expect(took_s < SECONDS, f"in mid-sentence: a job is taken in {took_s:.1f} s")
        closing.join()
        world.settled(late.id)
        between.passes()  # what was swallowed comes late: messages for shards that are done
        world.until(lambda: _messages(world) == 0, "late messages are taken", 30)


@scenario(10, databases=(SQLITE,))
def replies_cut_off(begin: Begin) -> None:
    """Every 20th reply of Redis is lost after it did what was asked, at producer and workers."""
    with proxy() as between, begin(*LATENCY, workers=0) as world:
        _behind(between, world, workers=2)
        files = [world.rows(40, start=1000 * number) for number in range(3)]
        jobs = _cut_off(between, world, files)
        # only now: a lost reply may let two at once make the same call
        _cut_off(between, world, files, has_keys=True)
        world.again(jobs[0], files[0])


def _cut_off(
    between: Proxy, world: World, files: list[Path], *, has_keys: bool = False
) -> list[Job]:
    """Jobs that are handed in and begun while replies are lost; they end when it is over."""
    before = between.cuts_made
    world.fault("replies are cut")
    between.cuts(0.05)
    keys = [f"key of {rows.name}" if has_keys else None for rows in files]
    told = zip(files, keys, strict=True)
    jobs = [_submitted(world, rows, idempotency_key=key)[0] for rows, key in told]
    world.until(lambda: between.cuts_made >= before + CUTS, "enough replies are cut")
    between.passes()
    cut = between.cuts_made - before
    world.expect(cut >= CUTS, f"{cut} replies cut")
    for job in jobs:
        world.settled(job.id)
    return jobs


@scenario(20, databases=(SQLITE,), is_alone=True)
def limiter_without_redis(begin: Begin) -> None:
    """The limiter's Redis is flushed, is away for 4 s, and is wiped: never above what was told."""
    told = f"*={RATE}/s"
    with begin(
        "--latency-median", "0.2", "--no-headers", workers=2, MAESTRALE_LIMITS=told
    ) as world:
        job = world.submit(world.rows(RATE * 18))
        _goes_on(world, job, 3 * RATE)
        world.fault("FLUSHALL")
        world.open_yet(job)
        cast("Any", redis.Redis.from_url(world.on.client.settings.redis_url)).flushall()
        _goes_on(world, job, 3 * RATE)
        world.fault("Redis is away")
        world.open_yet(job)
        world.on.kill("server")
        away = time.time()
        time.sleep(4)
        back = time.time()
        world.on.services.start_server()
        _goes_on(world, job, 3 * RATE)
        world.fault("Redis killed and wiped")
        world.open_yet(job)
        world.on.kill_redis_and_wipe()
        world.settled(job.id)
        _never_above(world, away + UNUSED_S, back)


def _never_above(world: World, away: float, back: float) -> None:
    """The limit in any second, and half of it while each process was alone."""
    arrived = [line.at for line in _seen(world, "arrived")]
    most, bound = _busiest(arrived), RATE * 1.05 + BURST
    world.expect(most <= bound, f"at most {most} calls in a second, {bound:.0f} allowed")
    alone = [at for at in arrived if away <= at < back]
    most, bound = _busiest(alone), RATE / 2 * 1.05 + BURST
    words = f"{len(alone)} calls in {back - away:.1f} s alone, at most {most} a second"
    world.expect(alone and most <= bound, f"{words}, {bound:.0f} allowed")


def _busiest(moments: list[float]) -> int:
    """How many lie within one second at most."""
    most = first = 0
    for last, at in enumerate(moments):
        while moments[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


def _seen(world: World, what: str) -> list[Line]:
    lines = read(world.log.path.parent)
    return [line for line in lines if line.by == "simulator" and line.what == what]


def _behind(between: Proxy, world: World, *, workers: int = 0) -> None:
    """Puts the proxy before Redis, for the producer and for the workers that it starts."""
    url = urlsplit(world.on.client.settings.redis_url)
    between.target, between.random = url.port or 0, Random(world.random.random())  # of faults
    place = f":{url.password}@{HOST}:{between.port}"
    given = SecretStr(url._replace(netloc=place).geturl())
    settings = world.on.services.settings.model_copy(update={"redis_url_given": given})
    world.on.client.settings = settings
    if workers:
        world.on.services.settings, world.on.workers = settings, workers
        world.on.services.start_workers(workers)
        world.on.workers_ready()


def _submitted(world: World, rows: Path, **how: Any) -> tuple[Job, float]:
    began = time.monotonic()
    job = world.submit(rows, again=True, **how)
    return job, time.monotonic() - began


def _goes_on(world: World, job: Job, more: int) -> None:
    def done() -> int:
        return world.on.client.get(job.id).rows_done

    wanted = done() + more
    world.until(lambda: done() >= wanted, f"{wanted} rows are done", 60)


def _messages(world: World) -> int:
    from models.doorbell import make_celery, queued  # noqa: PLC0415 # Celery is slow to import

    return queued(make_celery(world.on.client.settings)) or 0
