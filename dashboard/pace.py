"""How fast a listed job goes, what of its limit that is, and when it will end. Pure."""

from collections.abc import Mapping, Sequence

from models.states import JobState
from models.store.views.board import Listed, Standing
from models.tables import Job

SHORTEST_S = 5.0
"""A job that has run for less says nothing about its end."""


def per_cent(rows: int, total: int) -> float:
    """With two decimals, rounded down: 100 means every row."""
    return min(100.0, 10_000 * rows // max(1, total) / 100)


def share_of_limit(
    calls_per_s: float, asked: Mapping[str, int], limits: Mapping[str, float]
) -> float | None:
    """Which part of a model's limit a job uses: of the model where that part is largest.

    `asked`: model -> calls so far, by which the rate is divided among several models; `limits`:
    model -> requests per minute. None: no limit is known.
    """
    total = sum(asked.values())
    shares = [
        calls_per_s * (calls / total) * 60 / limits[model]
        for model, calls in asked.items()
        if calls and limits.get(model)
    ]
    return max(shares, default=None)


def limits_by_model(standings: Sequence[Standing]) -> dict[str, float]:
    """Requests per minute by model; where accounts differ, those of the account used now."""
    found: dict[str, float] = {}
    for standing in standings:
        if standing.requests_per_minute:
            found.setdefault(standing.model, standing.requests_per_minute)
    return found


def seconds_left(job: Job | Listed, calls_per_s: float, now: float) -> float | None:
    """By the rate of calls now and the calls each row took so far; else by the average so far.

    None: nobody can say. The average counts pauses, and so errs on the long side.
    """
    settled = job.rows_done + job.rows_failed
    left = job.rows_total - settled
    if job.state != JobState.RUNNING or left <= 0 or not settled or job.started_at is None:
        return None
    if calls_per_s > 0 and job.calls_made:
        return left * job.calls_made / settled / calls_per_s
    ran = now - job.started_at
    return left * ran / settled if ran >= SHORTEST_S else None
