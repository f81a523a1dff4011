"""An API that browns out, asks for absurd patience, and loses answers that were paid for.

On SQLite alone: what the API does is told to the limiter (in Redis) and to the retry policy (in
the process); the database behind them hears the same of it, whichever it is.
"""

import re
import time
from collections import Counter
from typing import Any, cast
from urllib.request import urlopen

import redis

from faults.findings import of
from faults.history import Line, read
from faults.scenarios.registry import SQLITE, Begin, scenario
from faults.world import World
from models.payloads import Options
from models.states import FailureCode
from models.tables import Job
from producers.processes import free_port, listens

# --------------------------------------------------------------------------- a brown-out

FULL_RATE = 30
"""Calls per second that the simulated account allows."""
BROWN_S, BACK_S = 6.0, 10.0
WINDOW_S = 2.0
"""A rate is what arrived in this time."""
ALMOST = 0.9


@scenario(14, databases=(SQLITE,), is_alone=True)
def brown_out(begin: Begin) -> None:
    """6 s of 429, 500, 503, silence, half bodies, HTML and resets, from two workers' full speed."""
    options = ("--latency-median", "0.2", f"--limit=*={60 * FULL_RATE}", "--window=1")
    with begin(*options, workers=2, MAESTRALE_CALL_TIMEOUT=3) as world:
        job = world.submit(world.rows(FULL_RATE * 16), max_failed_share=1.0)
        _goes_on(world, job, 5 * FULL_RATE)
        before = _rate(_arrivals(world), time.time() - WINDOW_S)
        fair = f"{before:.1f} calls/s of {FULL_RATE} before"
        world.expect(ALMOST * FULL_RATE <= before <= 1.1 * FULL_RATE, fair)
        world.open_yet(job)
        world.on.steer("faults", windows=[{"name": "brownout", "from_s": 0, "to_s": BROWN_S}])
        over = time.time() + BROWN_S
        world.settled(job.id, may_fail=job.rows_total // 50)
        arrived = _arrivals(world)
        back_s = _full_again(arrived, over, before)
        world.expect(
            back_s <= BACK_S,
            f"{before:.1f} calls/s before; {back_s:.1f} s after its end {ALMOST:.0%} of it again",
        )
        hit = Counter(world.on.stats()["faults"])
        world.expect(len(hit) >= 6, f"it was one: {dict(hit)}")


def _goes_on(world: World, job: Job, more: int) -> None:
    client = world.on.client
    wanted = client.get(job.id).rows_done + more
    world.until(lambda: client.get(job.id).rows_done >= wanted, f"{wanted} rows are done", 60)


def _history(world: World) -> list[Line]:
    return read(world.log.path.parent)


def _arrivals(world: World) -> list[float]:
    return [line.at for line in of(_history(world), "simulator", "arrived")]


def _rate(arrived: list[float], since: float) -> float:
    return sum(since <= at < since + WINDOW_S for at in arrived) / WINDOW_S


def _full_again(arrived: list[float], over: float, before: float) -> float:
    """Seconds from the end of the fault to a window with (almost) the rate of before."""
    last = arrived[-1]
    starts = [at for at in arrived if over <= at <= last - WINDOW_S]
    full = [at for at in starts if _rate(arrived, at) >= ALMOST * before]
    return min(full, default=float("inf")) - over


# --------------------------------------------------------------------------- Retry-After

LONGEST_HOLD_S = 300.0
PATIENT = ("retry_after_day", "retry_after_date")
"""A day, and a date in the year 2100: both are 300 s to us."""
NONSENSE = ("retry_after_negative", "retry_after_garbage")
_UNITS = {"h": 3600, "min": 60, "s": 1}


@scenario(15, databases=(SQLITE,))
def absurd_patience(begin: Begin) -> None:
    """`Retry-After`: -1, garbage, 86400 and a date in 2100; the job's page says it is held back."""
    with begin("--latency-median", "0.1", "--limit", "*=6000", workers=1) as world:
        port = free_port()
        dashboard = f"http://127.0.0.1:{port}"
        world.on.services.start_flower(port)
        world.until(lambda: listens(port), "the dashboard listens")
        for number, fault in enumerate((*NONSENSE, *PATIENT)):
            world.on.steer("faults", script=[fault])
            job = world.submit(world.rows(30 if fault in PATIENT else 1, start=100 * number))
            if fault in PATIENT:
                _sits_out(world, job, f"{dashboard}/job/{job.id}", fault)
            world.settled(job.id)
            world.until(lambda: "held " not in _text(f"{dashboard}/limits"), "no hold is shown", 30)
            if fault in NONSENSE:
                waited_s = _waited_s(_history(world))
                world.expect(waited_s < BACK_S, f"{fault}: asked again after {waited_s:.1f} s")


def _waited_s(lines: list[Line]) -> float:
    """From the newest refusal to the next call."""
    refused = [line.at for line in of(lines, "simulator", "answered") if line["status"] == 429]
    later = (line.at for line in of(lines, "simulator", "arrived") if line.at > refused[-1])
    return next(later, float("inf")) - refused[-1]


def _sits_out(world: World, job: Job, page: str, fault: str) -> None:
    """The page says for how long, nothing is sent meanwhile; then the time is over."""
    world.until(lambda: _held_s(page) > 0, "the job's page says that it is held back", 30)
    held_s = _held_s(page)
    before = len(_arrivals(world))
    time.sleep(WINDOW_S)
    sent = len(_arrivals(world)) - before
    world.expect(
        LONGEST_HOLD_S - 30 < held_s <= LONGEST_HOLD_S,
        f"{fault}: the job's page says that it is held back for {held_s:.0f} s",
    )
    world.expect(sent == 0, f"{fault}: {sent} calls within {WINDOW_S:g} s of it")
    _let_holds_end(world)


def _held_s(page: str) -> float:
    """What a user reads there, in seconds; 0 without a hold."""
    found = re.search(r"held back by the API for ((?:\d+ ?(?:h|min|s) ?)+)", _text(page))
    if found is None:
        return 0.0
    parts = re.findall(r"(\d+) ?(h|min|s)", found[1])
    return float(sum(int(count) * _UNITS[unit] for count, unit in parts))


def _text(page: str) -> str:
    with urlopen(page, timeout=20) as answer:
        return re.sub(r"<[^>]*>", "", answer.read().decode())


def _let_holds_end(world: World) -> None:
    """Five minutes pass: the end of every hold, a time in Redis, is moved to now."""
    server = cast("Any", redis.Redis).from_url(world.on.client.settings.redis_url)
    for key in server.scan_iter("maestrale:limit:*"):
        if server.type(key) == b"hash":
            server.hset(key, "hold", 0)


# --------------------------------------------------------------------------- paid and lost

MOST_CALLS = 3
"""A call that may have been paid is sent again two times."""
LOST = 0.2


@scenario(16, databases=(SQLITE,))
def answered_and_reset(begin: Begin) -> None:
    """A fifth of the answers is lost after it was paid for; then, for some rows, every one."""
    with begin("--latency-median", "0.1", "--limit", "*=6000", workers=1) as world:
        _lost(world, "retry", world.rows(40), LOST, may_fail=4)
        _lost(world, "retry", world.rows(3, start=100), 1.0, may_fail=3)
        hold = world.rows(40, start=200)
        job = _lost(world, "hold", hold, LOST, may_fail=40)
        world.on.steer("faults")
        wish = Options(on_uncertain="hold")
        world.again(job, hold, may_fail=job.rows_failed, options=wish, max_failed_share=1.0)


def _lost(world: World, policy: Any, rows: Any, share: float, *, may_fail: int) -> Job:
    """A job of this policy under resets after the answer; what it promises is expected."""
    world.on.steer("faults", rates={"reset_after": share})
    began = time.time()
    options = Options(on_uncertain=policy)
    job = world.submit(rows, options=options, max_failed_share=1.0)
    job = world.settled(job.id, may_fail=may_fail)
    paid = [line for line in of(_history(world), "simulator", "executed") if line.at >= began]
    calls = Counter(line["digest"] for line in paid).values()
    codes = world.on.client.failures_by_code(job.id)
    most = 1 if policy == "hold" else MOST_CALLS
    name = FailureCode.UNCERTAIN if policy == "hold" else FailureCode.SERVER_ERROR
    world.expect(
        max(calls) <= most and set(codes) <= {name},
        f"{policy}: a call was paid {max(calls)} times at most (of {most}); failed: {codes}",
    )
    cut = sum(
        line["cuts"] for line in of(_history(world), "simulator", "arrived") if line.at > began
    )
    world.expect(
        job.calls_doubtful == cut > 0, f"{policy}: {cut} answers lost, {job.calls_doubtful} marked"
    )
    return job
