"""A large job on one machine: does a row cost the same at the end, and does memory stay flat?

`python -m benchmarks.million [ROWS]` (1,000,000: about a quarter of an hour): one-step rows,
no limit, two workers on SQLite. For each tenth it prints rows/s, worker CPU per row, and the
largest worker's memory; a machine that does something else meanwhile shows it in rows/s only.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from models.states import SETTLED
from models.store import jobs
from proving.stage import Stage, report, stage, write_rows

TENTHS = 10
MOST_MB = 300.0
MOST_DEARER = 1.15
"""CPU of a row in the last tenths, beside that of the first ones."""
LOOK_S = 0.5


@dataclass(frozen=True)
class Look:
    """Where a job stands, and what its workers have used so far."""

    at: float
    rows: int
    cpu_s: float
    mb: float


def looks(on: Stage, job_id: str) -> Iterator[Look]:
    """Twice a second until the job is over; memory is the most since the last look but one."""
    while True:
        with on.client.store.read() as connection:
            job = jobs.get(connection, job_id)
        assert job is not None
        settled = job.rows_done + job.rows_failed
        yield Look(time.time(), settled, on.cpu_s("worker"), on.memory_mb("worker"))
        if job.state in SETTLED:
            return
        time.sleep(LOOK_S)


def tenths(on: Stage, job_id: str, count: int) -> Iterator[tuple[Look, Look, float]]:
    """For each tenth the looks at its ends, and the most memory between them."""
    began: Look | None = None
    most, no = 0.0, 1
    for look in looks(on, job_id):
        began = began or look
        most = max(most, look.mb)
        if look.rows >= no * count // TENTHS:
            yield began, look, most
            began, most = look, 0.0
            no = 1 + look.rows * TENTHS // count


def main() -> None:
    """Prints a line for each tenth, and whether the promises hold."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    costs, peaks = [], []
    with stage("--latency-median", "0.3", "--latency-p95", "0.6", workers=2) as on:
        rows = write_rows(on.home / "rows.jsonl", count)
        began = time.time()
        job = on.client.generate(rows, recipe="translate")
        print(f"submitted {count:,} rows in {time.time() - began:.1f} s")
        for first, last, mb in tenths(on, job.id, count):
            done = last.rows - first.rows
            costs.append(1000 * (last.cpu_s - first.cpu_s) / done)
            peaks.append(mb)
            print(
                f"{last.rows:>9,} rows: {done / (last.at - first.at):>5.0f} rows/s, "
                f"{costs[-1]:.2f} ms of worker CPU a row, {mb:.0f} MB",
                flush=True,
            )
        print(report(on.client.wait(job.id)))
    dearer = sum(costs[-3:]) / sum(costs[:3])
    print(
        f"a row costs {dearer:.2f} times what it did at first; a worker's peak {max(peaks):.0f} MB"
    )
    holds = dearer <= MOST_DEARER and max(peaks) < MOST_MB
    print("HOLDS" if holds else "BROKEN", f"(at most {MOST_DEARER} times, less than {MOST_MB} MB)")
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
