"""One job by hosted batches beside the same rows in real time: price, looks, memory, disk.

`python -m benchmarks.batches [ROWS]`: one call a row against the simulator, which takes each batch
into its queue for 20 s, so that it is asked about; two worker processes. The baseline of the same
run has no limit, so it says what the way costs, not what a batch saves against a rate limit.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.growth import size
from models.payloads import Options, Usage
from models.prices import load_prices
from models.store.money import Cost
from models.tables import Job
from proving.stage import Stage, report, stage, write_rows

QUEUED_S = 20
BY_BATCH = Options(via="batch")
BATCH_RATIO = 0.5
MOST_LOOKS = 20
"""At one operation of about half a minute: 2 s apart, and further apart as it ages."""
MOST_GROWTH = 1.15
"""Of a worker's peak of memory, from these rows to twice as many."""


@dataclass(slots=True)
class Memory:
    """Resident memory of the largest worker, MB."""

    start_mb: float
    seen_mb: list[float] = field(default_factory=list)

    @property
    def peak_mb(self) -> float:
        """The most that was seen."""
        return max(self.seen_mb, default=self.start_mb)


@contextmanager
def watched(on: Stage) -> Iterator[Memory]:
    """Looks at the workers twice a second."""
    memory = Memory(on.memory_mb("worker"))
    finished = threading.Event()

    def look() -> None:
        while not finished.wait(0.5):
            memory.seen_mb.append(on.memory_mb("worker"))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        finished.set()
        thread.join()


def run(on: Stage, source: Path, options: Options) -> tuple[Job, float]:
    """The job at its end, and the rows it settled a second."""
    before = time.monotonic()
    job = on.client.generate(source, recipe="translate", again=True, options=options)
    job = on.client.wait(job.id)
    seconds = time.monotonic() - before
    print(f"  {report(job)}; {seconds:.1f} s with the submission")
    return job, (job.rows_done + job.rows_failed) / seconds


def ratio(cost: Cost) -> float:
    """What was paid, beside the table's price in real time for the same tokens."""
    used = Usage(cost.prompt_tokens, cost.completion_tokens, cost.cached_tokens)
    full = load_prices().cost_nano("mistral-small-latest", used)
    return cost.cost_nano / (full or 1)


def tell(on: Stage, job: Job, memory: Memory, grown: int) -> None:
    """Prints the figures of the job by batch."""
    stats = on.stats()
    for seen in on.client.operations(job.id):
        took = (seen.settled_at or 0) - (seen.submitted_at or 0)
        print(f"  operation {seen.id}: {seen.requests_done} answers, settled after {took:.0f} s")
    print(
        f"simulator: {stats['batch_jobs_created']} batches, {stats['batch_executed']} executed, "
        f"{stats['batch_unique']} unique, {stats['executed']} in real time"
    )
    print(
        f"looks: {stats['batch_looks']} in all, {stats['batch_lists']} lists; "
        f"{looks_each(on, job):.0f} an operation in its life (of this short run: "
        f"{stats['batch_looks_per_hour']:.0f} an hour)"
    )
    print(f"cost: {ratio(*on.client.costs(job.id, by='model')):.3f} of the price in real time")
    print(
        f"memory of a worker: {memory.start_mb:.0f} MB at the start, {memory.peak_mb:.0f} MB "
        "at its peak"
    )
    print(f"database: {grown / 1e6:.1f} MB = {grown / job.rows_total:,.0f} B/row")


def looks_each(on: Stage, job: Job) -> float:
    """Looks at one operation in its life, which is seconds here: no rate of a long batch."""
    seen = on.client.operations(job.id)
    return float(on.stats()["batch_looks"]) / max(len(seen), 1)


def broken(on: Stage, job: Job) -> list[str]:
    """The promises that did not hold."""
    stats, rows = on.stats(), job.rows_total
    (cost,) = on.client.costs(job.id, by="model")
    found = {
        f"{job.rows_done} of {rows} rows are done": job.rows_done == rows,
        f"{stats['batch_repeats']} calls were repeated": not stats["batch_repeats"],
        f"{stats['batch_executed']} lines were executed": stats["batch_executed"] == rows,
        "it did not cost half": abs(ratio(cost) - BATCH_RATIO) < 0.001,
        "it was asked about too often": looks_each(on, job) <= MOST_LOOKS,
    }
    return [words for words, holds in found.items() if not holds]


def main() -> None:
    """Runs both ways, the batch first: the baseline does not use its answers."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with stage("--batch", f"queued_s={QUEUED_S}", workers=2) as on:
        source = write_rows(on.home / "rows.jsonl", count)
        before = size(on.client.store)
        print("by batch:")
        with watched(on) as memory:
            job, by_batch = run(on, source, BY_BATCH)
        tell(on, job, memory, size(on.client.store) - before)
        failures = broken(on, job)
        print("twice as many:")
        with watched(on) as twice:
            run(on, write_rows(on.home / "more.jsonl", 2 * count, start=count), BY_BATCH)
        print(f"memory of a worker: {twice.peak_mb:.0f} MB at its peak")
        if twice.peak_mb > memory.peak_mb * MOST_GROWTH:
            failures.append("a worker's memory grows with the rows")
        before = size(on.client.store)
        print("the same rows in real time, without a limit:")
        _, at_once = run(on, source, Options(fresh=True))
        print(f"  database: {(size(on.client.store) - before) / 1e6:.1f} MB")
        print(f"rows/s: {by_batch:.0f} by batch, {at_once:.0f} = {by_batch / at_once:.2f} of it")
    print("; ".join(failures) or "every row once, at half the price")
    print("BROKEN" if failures else "HOLDS")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
