"""Shares between jobs: how soon a small urgent job starts beside a huge one, and what it gets.

`python -m benchmarks.shares [RATE]`: a told limit (20 requests/s, enforced by the simulator over
every second), 2 worker processes, 300 ms median latency. A huge job of priority 9 holds every
slot; a small one of priority 0 is submitted. Then two huge jobs of priority 5, one after the
other. Shares are of the calls answered while both jobs ran, after the second one's first 2 s.
"""

import sys
import time
from dataclasses import dataclass

from models import shares
from models.tables import Job
from proving.stage import Stage, stage, write_rows

MODEL = "mistral-small-latest"
LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6")
HUGE = 20_000
SETTLE_S = 2.0
SOON_S = 3.0
NEAR = 0.1
"""A share may be so far from what the weights say."""


@dataclass
class Beside:
    """What a job got beside another: seconds to its first answer, and its share of the calls."""

    first_s: float
    share: float
    seconds: float
    used: float
    """Calls per second of both, as a share of the limit."""

    def __str__(self) -> str:
        return (
            f"first answer after {self.first_s:.1f} s, {self.share:.1%} of the calls "
            f"over {self.seconds:.0f} s, {self.used:.0%} of the limit used by both"
        )


def submit(on: Stage, name: str, count: int, *, start: int, priority: int) -> str:
    """A job of `count` rows that no other job has."""
    rows = write_rows(on.home / f"{name}.jsonl", count, start=start)
    return on.client.generate(rows, recipe="translate", priority=priority).id


def beside(on: Stage, first: str, second: str, *, calls: int, rate: int) -> Beside:
    """Watches the second job, from now on, until it has had `calls` answers."""
    began = time.monotonic()
    while not on.client.get(second).calls_made:
        time.sleep(0.02)
    first_s = time.monotonic() - began
    time.sleep(SETTLE_S)
    at, before = time.monotonic(), _calls(on, first, second)
    while on.client.get(second).calls_made < calls:
        time.sleep(0.05)
    seconds, after = time.monotonic() - at, _calls(on, first, second)
    theirs, ours = after[0] - before[0], after[1] - before[1]
    return Beside(first_s, ours / (ours + theirs), seconds, (ours + theirs) / seconds / rate)


def _calls(on: Stage, *jobs: str) -> list[int]:
    return [on.client.get(job).calls_made for job in jobs]


def under_way(on: Stage, job: str, calls: int) -> None:
    """Waits until the job has had so many answers."""
    while on.client.get(job).calls_made < calls:
        time.sleep(0.05)


def urgent(on: Stage, rate: int) -> bool:
    """A huge job of priority 9, and a small one of priority 0 beside it."""
    huge = submit(on, "huge", HUGE, start=0, priority=9)
    under_way(on, huge, 5 * rate)
    small = submit(on, "small", 20 * rate, start=HUGE, priority=0)
    told = beside(on, huge, small, calls=16 * rate, rate=rate)
    fair = shares.weight(0) / (shares.weight(0) + shares.weight(9))
    job = on.client.wait(small)
    print(f"priority 0 beside a huge job of priority 9: {told} (by weight {fair:.1%})")
    before = on.client.get(huge).calls_made
    time.sleep(3)
    goes_on = on.client.get(huge).calls_made - before
    print(f"   then the huge job goes on: {goes_on / 3 / rate:.0%} of the limit")
    on.client.cancel(huge)
    return told.first_s <= SOON_S and told.share >= fair - NEAR and _is_whole(job) and goes_on > 0


def equal(on: Stage, rate: int) -> bool:
    """Two huge jobs of priority 5, the second later."""
    one = submit(on, "one", HUGE, start=2 * HUGE, priority=5)
    under_way(on, one, 5 * rate)
    two = submit(on, "two", HUGE, start=3 * HUGE, priority=5)
    told = beside(on, one, two, calls=10 * rate, rate=rate)
    print(f"priority 5 beside a huge job of priority 5: {told} (by weight 50%)")
    on.client.cancel(one)
    on.client.cancel(two)
    return told.first_s <= SOON_S and abs(told.share - 0.5) <= NEAR


def _is_whole(job: Job) -> bool:
    return job.rows_done == job.rows_total == job.calls_made


def main() -> None:
    """Prints a line for each, and whether it holds."""
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    limit = f"--limit=*={rate * 60}"
    with stage(*LATENCY, limit, "--window=1", workers=2, limits=f"{MODEL}={rate}/s") as on:
        holds = [urgent(on, rate), equal(on, rate)]
        duplicates = on.stats()["duplicates"]
    print(f"calls paid twice: {duplicates}")
    holds.append(not duplicates)
    print("HOLDS" if all(holds) else "BROKEN", f"(first answer within {SOON_S:.0f} s, fair shares)")
    raise SystemExit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
