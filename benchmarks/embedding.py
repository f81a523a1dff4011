"""Texts that travel together beside the same texts one by one, in the same run.

`python -m benchmarks.embedding [TEXTS]`: short texts against the simulator, 100 ms median latency,
one worker process; first at a limit of requests (20 a second), then without one. Prints texts/s,
requests, and the worker's CPU per text.
"""

import sys
import tempfile
from pathlib import Path

from producers.embedding import Embeddings, Wish
from proving.stage import Stage, stage, write_rows

LATENCY = ("--latency-median", "0.1", "--latency-p95", "0.2")
ONE_BY_ONE = (
    "import sys; import worker.joint.groups as groups; groups.MOST_TEXTS = 1; "
    "from worker.celery import app; "
    "sys.exit(app.worker_main(['worker', '--without-gossip', '--without-mingle', '-n', 'one@%h']))"
)
"""A worker whose groups are full with one text."""
CASES = {"at 20 requests/s": ("--limit", "*=1200", "--window", "1"), "without a limit": ()}


def measured(on: Stage, source: Path) -> dict[str, float]:
    """One job over the file."""
    embeddings = Embeddings(on.client)
    cpu = on.cpu_s("worker")
    with embeddings.plan(Wish(source, "{{ row.text }}")) as plan:
        job = on.client.wait(embeddings.submit(plan).id)
    assert job.rows_done == job.rows_total, job.state_reason
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    return {
        "texts_s": job.rows_done / seconds,
        "requests": on.stats()["requests"],
        "cpu_ms": 1000 * (on.cpu_s("worker") - cpu) / job.rows_done,
    }


def run(source: Path, options: tuple[str, ...], *, together: bool) -> dict[str, float]:
    """A system of its own, so that no text is known."""
    limits = "*=1200/min" if options else ""
    with stage(*LATENCY, *options, workers=0, limits=limits) as on:
        on.workers = 1
        if together:
            on.restart_workers()
        else:
            on.services.spawn("worker1", [sys.executable, "-c", ONE_BY_ONE])
        on.workers_ready()
        return measured(on, source)


def main() -> None:
    """Prints a line per case and way."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    source = write_rows(Path(tempfile.gettempdir()) / f"embedding-{count}.jsonl", count)
    for case, options in CASES.items():
        found = {way: run(source, options, together=way == "together") for way in _WAYS}
        for way, told in found.items():
            print(
                f"{case}, {way:>10}: {told['texts_s']:7.0f} texts/s, {told['requests']:5.0f} "
                f"requests, {told['cpu_ms']:.2f} ms of CPU a text"
            )
        ratio = found["together"]["texts_s"] / found["one by one"]["texts_s"]
        print(f"{case}: {ratio:.1f} times as fast together")
    source.unlink()


_WAYS = ("one by one", "together")

if __name__ == "__main__":
    main()
