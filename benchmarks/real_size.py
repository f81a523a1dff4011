"""The real size: 9,839 abstracts, about 39,000 calls, with transient errors and malformed answers.

`python -m benchmarks.real_size FILE [LIMIT_PER_MINUTE]`: 300 ms median latency, 1% transient
errors, 0.5% malformed answers; prints wall clock, every paper's fate, memory and database size.
Without FILE the shipped sample is repeated, with other ids and numbers, to the same size.
"""

import json
import sys
import threading
from pathlib import Path

from models.tables import Job
from proving.stage import Stage, report, stage

FAULTS = ("--fault", "server_error=0.01", "--fault", "malformed=0.005")
LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6")
PAPERS = 9839


def repeated_sample(path: Path) -> Path:
    """The shipped abstracts again and again, each a new one by its number."""
    lines = Path("recipes/amira/sample.jsonl").read_text().splitlines()
    with path.open("w") as out:
        for number in range(PAPERS):
            row = json.loads(lines[number % len(lines)])
            row["id"] = f"{row['id']}-{number}"
            row["abstract"] = f"{row['abstract']} (cohort {number})"
            out.write(json.dumps(row) + "\n")
    return path


def retry(on: Stage, job: Job) -> None:
    """Asks the failed rows anew, as a user would."""
    if not job.rows_failed:
        return
    before = job.calls_made
    count = on.client.retry(job.id)
    job = on.client.wait(job.id)
    calls = job.calls_made - before
    print(f"retried {count} rows with {calls} calls: {job.rows_failed} still failed")


def main() -> None:
    """Runs the job and prints what it took."""
    arguments = sys.argv[1:]
    limit = [f"--limit=*={arguments[1]}"] if len(arguments) > 1 else []
    with stage(*LATENCY, *FAULTS, *limit, workers=2) as on:
        source = Path(arguments[0]) if arguments else repeated_sample(on.home / "papers.jsonl")
        memory: list[float] = []
        finished = threading.Event()

        def look() -> None:
            while not finished.wait(1):
                memory.append(on.memory_mb("worker"))

        threading.Thread(target=look, daemon=True).start()
        cpu = on.cpu_s("worker")
        job = on.client.wait(on.client.generate(source, recipe="amira").id)
        finished.set()
        memory.append(on.memory_mb("worker"))
        seconds = (job.finished_at or 0) - (job.started_at or 0)
        print(report(job), f"= {job.calls_made / seconds:.0f} calls/s, {seconds / 60:.1f} min")
        print("failed, by name:", on.client.failures_by_code(job.id))
        print(
            f"accounted for: {job.rows_done + job.rows_failed} of {job.rows_total}; "
            f"{job.calls_retried} retries; {job.calls_doubtful} calls in doubt"
        )
        pairs = sum(len(records) for _, records in on.client.results(job.id))
        print(f"pairs: {pairs}")
        stats = on.stats()
        print(
            f"simulator: {stats['executed']} executed, {stats['unique']} unique, "
            f"peak {stats['peak_in_flight']} in flight"
        )
        print(f"worker CPU a call: {1000 * (on.cpu_s('worker') - cpu) / job.calls_made:.2f} ms")
        quarter = memory[len(memory) // 4]
        print(f"peak memory of a worker: {max(memory):.0f} MB (a quarter in: {quarter:.0f} MB)")
        size = sum(file.stat().st_size for file in on.home.glob("maestrale.db*"))
        print(f"database: {size / 1e6:.0f} MB")
        retry(on, job)


if __name__ == "__main__":
    main()
