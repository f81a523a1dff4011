"""The pace of jobs: what their calls did in each ten seconds, added up by all workers.

Charts and "calls per second now" come from here. The bins of latency are the columns of the
table, so that percentiles of any stretch of time come out of sums.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, case, func, select

from models.store import inserts
from models.store import jobs as job_moves
from models.store.engine import now_s, read_now
from models.tables import Pulse, table_of

pulses = table_of(Pulse)

WIDTH_S = 10
LATE_S = 5.0
"""A process tells of its calls this much later at most (the clock's sign of life)."""
LATENCY_EDGES_MS = (100, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 30_000)
"""Upper edges of the bins; the last bin, `ms_more`, has none."""
BINS = (*(f"ms_{edge}" for edge in LATENCY_EDGES_MS), "ms_more")
SUMS = ("calls", "refusals", "faults", "tokens", *BINS)
NO_BINS = (0,) * len(BINS)


@dataclass(frozen=True, slots=True)
class Beat:
    """What one process saw of one job in the ten seconds from `at` (a multiple of 10).

    `bins`: answers by latency, as `BINS`; their sum is `calls`.
    """

    job_id: str
    at: int
    calls: int
    refusals: int
    faults: int
    tokens: int
    bins: tuple[int, ...] = NO_BINS


@dataclass(frozen=True, slots=True)
class Point:
    """A job from `at` (seconds since the epoch), for `seconds`: shorter at the end.

    `p50_ms`, `p95_ms`: of the answers; None if there were none, for that is a point too.
    """

    at: int
    seconds: float
    calls: int
    refusals: int
    faults: int
    tokens: int
    p50_ms: float | None
    p95_ms: float | None


def add(connection: Connection, beats: Iterable[Beat]) -> None:
    """Adds to what is there, also to the jobs' counts of refusals (first: the order of locks)."""
    in_order = sorted(beats, key=lambda beat: (beat.job_id, beat.at))
    for job_id, of_job in groupby(in_order, key=lambda beat: beat.job_id):
        refusals = sum(beat.refusals for beat in of_job)
        job_moves.count(connection, job_id, {"calls_refused": refusals})
    if in_order:
        statement = inserts.adding(connection, pulses, ["job_id", "at"], SUMS)
        connection.execute(statement, [_values(beat) for beat in in_order])


def series(connection: Connection, job_id: str, points: int = 120) -> list[Point]:
    """The job's whole time as at most `points` stretches of equal length, without gaps.

    The newest seconds are left out until all workers have told of them: they would seem slow.
    """
    ends = select(func.min(pulses.c.at), func.max(pulses.c.at), now_s())
    first, last, now = connection.execute(ends.where(pulses.c.job_id == job_id)).one()
    if first is None:
        return []
    last = max(first, min(last, int((now - LATE_S) // WIDTH_S - 1) * WIDTH_S))
    step = WIDTH_S * math.ceil((last + WIDTH_S - first) / (points * WIDTH_S))
    number = (pulses.c.at - first) // step
    sums = [func.sum(pulses.c[name]) for name in SUMS]
    query = select(number, *sums).where(pulses.c.job_id == job_id, pulses.c.at <= last)
    query = query.group_by(number)
    found = {int(no): [int(told) for told in rest] for no, *rest in connection.execute(query)}
    end = max(last + LATE_S, min(last + WIDTH_S, now))
    return [
        _point(first + no * step, min(step, end - first - no * step), found.get(no))
        for no in range((last - first) // step + 1)
    ]


def rates_now(connection: Connection, job_ids: Sequence[str]) -> dict[str, float]:
    """Calls per second of each job over the last twenty seconds that all have told of.

    Of a job younger than that: since its start.
    """
    now = read_now(connection)
    end = int((now - LATE_S) // WIDTH_S) * WIDTH_S
    begin = end - 2 * WIDTH_S
    told = case((pulses.c.at < end, pulses.c.calls), else_=0)
    query = (
        select(
            pulses.c.job_id, job_moves.jobs.c.started_at, func.sum(told), func.sum(pulses.c.calls)
        )
        .join(job_moves.jobs, job_moves.jobs.c.id == pulses.c.job_id)
        .where(pulses.c.job_id.in_(job_ids), pulses.c.at >= begin)
        .group_by(pulses.c.job_id, job_moves.jobs.c.started_at)
    )
    rates = dict.fromkeys(job_ids, 0.0)
    for job_id, started_at, settled, so_far in connection.execute(query):
        if started_at is None or started_at <= begin:
            rates[job_id] = settled / (end - begin)
        else:  # what is told reaches to half the lateness before now, on average
            rates[job_id] = so_far / max(LATE_S, now - LATE_S / 2 - started_at)
    return rates


def percentile(bins: Sequence[int], share: float) -> float | None:
    """The latency (ms) that `share` of the answers stayed below, taking each bin for even.

    None: no answers. Above the last edge nothing more is known: the edge itself is answered.
    """
    wanted = share * sum(bins)
    if not wanted:
        return None
    below, low = 0, 0
    for count, high in zip(bins, LATENCY_EDGES_MS, strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below, low = below + count, high
    return float(LATENCY_EDGES_MS[-1])


def _point(at: int, seconds: float, sums: Sequence[int] | None) -> Point:
    calls, refusals, faults, tokens, *bins = sums or (0,) * len(SUMS)
    halves = percentile(bins, 0.5), percentile(bins, 0.95)
    return Point(at, float(seconds), calls, refusals, faults, tokens, *halves)


def _values(beat: Beat) -> dict[str, Any]:
    counts = (beat.calls, beat.refusals, beat.faults, beat.tokens, *beat.bins)
    return {"job_id": beat.job_id, "at": beat.at, **dict(zip(SUMS, counts, strict=True))}
