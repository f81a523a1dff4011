"""Shares between jobs that run at the same time, by priority: weights, and who yields. Pure.

A job of priority 0 counts ten times as much as one of priority 9. Among jobs that want more than
there is, slots for shards tend to the weights: each job at least one where there are enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace

ENOUGH = 0.75
"""Who has so much of its fair share waits for shards to end; nobody is interrupted for the rest."""


def weight(priority: int) -> int:
    """10 for priority 0 (first) to 1 for priority 9 (last)."""
    return max(1, 10 - priority)


@dataclass(frozen=True, slots=True)
class Wanting:
    """One job with work: shards that wait for a slot, and those held, by process."""

    job_id: str
    priority: int
    waiting: int
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """What it counts."""
        return weight(self.priority)

    @property
    def held_by_all(self) -> int:
        """Shards held in all processes."""
        return sum(self.held.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one process does for others: shards to yield, by job, and jobs that take no more."""

    yields: Mapping[str, int] = field(default_factory=dict)
    full: frozenset[str] = frozenset()


def fair_slots(jobs: Sequence[Wanting], slots: int) -> dict[str, int]:
    """How many of `slots` each job should have; none gets more than it has work for."""
    ranked = sorted(jobs, key=lambda job: (-job.weight, not job.held, job.job_id))[:slots]
    fair = {job.job_id: 0 for job in jobs} | {job.job_id: 1 for job in ranked}
    left = slots - len(ranked)
    line = [(2 / job.weight, job.job_id, job) for job in ranked]
    heapify(line)
    while left > 0 and line:
        _, name, job = line[0]
        if fair[name] >= job.waiting + job.held_by_all:
            heappop(line)
            continue
        fair[name] += 1
        left -= 1
        heapreplace(line, ((fair[name] + 1) / job.weight, name, job))
    return fair


def verdict(jobs: Sequence[Wanting], owner: str) -> Verdict:
    """What the process `owner` does, when all slots are taken and some jobs still wait.

    Every process comes to the same view of the whole and does its own part of it: of a job that
    has too much, those who hold most of it yield first. At fair shares nobody yields.
    """
    fair = fair_slots(jobs, sum(job.held_by_all for job in jobs))
    lacking = sum(
        min(job.waiting, fair[job.job_id] - job.held_by_all)
        for job in jobs
        if job.waiting and job.held_by_all < ENOUGH * fair[job.job_id]
    )
    if not lacking:
        return Verdict()
    yields: dict[str, int] = {}
    for job in sorted(jobs, key=lambda job: (job.weight, job.job_id)):
        surplus = min(lacking, job.held_by_all - fair[job.job_id])
        if surplus > 0:
            lacking -= surplus
            yields[job.job_id] = _parts(job.held, surplus).get(owner, 0)
    full = frozenset(job.job_id for job in jobs if job.held_by_all >= fair[job.job_id])
    return Verdict({name: count for name, count in yields.items() if count}, full)


def _parts(held: Mapping[str, int], surplus: int) -> dict[str, int]:
    """`surplus` taken off `held`, one by one from whoever has most."""
    left, parts = dict(held), dict.fromkeys(held, 0)
    for _ in range(surplus):
        most = max(left, key=lambda owner: (left[owner], owner))
        left[most] -= 1
        parts[most] += 1
    return parts


def portions(jobs: Sequence[Wanting], owner: str) -> tuple[dict[str, float], float | None]:
    """How much of each job runs in this process, and the process's share of the limits.

    A job's weight is spread over the processes that run it, so that a job in one process gets as
    much as one in all. The share is None with one job or none: nobody has to be weighed.
    """
    running = [job for job in jobs if job.held]
    if len(running) < 2:
        return {}, None
    here = {job.job_id: job.held.get(owner, 0) / job.held_by_all for job in running}
    weights = [(job.weight, here[job.job_id]) for job in running]
    return here, sum(w * part for w, part in weights) / sum(w for w, _ in weights)
