"""Killed: workers and Redis die during a job; nothing is lost, little is paid twice.

`python -m benchmarks.killed [ROWS]`: kill -9 of a random worker 5 times and of Redis (without AOF)
twice, each restarted as a supervisor would. Checks rows, results and calls paid twice against the
calls in flight at the kills.
"""

import random
import sys
import threading
import time

from models.states import RowState
from models.store import rows as row_queries
from proving.stage import Stage, report, stage, write_rows

LATENCY = ("--latency-median", "0.3", "--latency-p95", "0.6", "--limit=*=6000")
WORKERS = 3


class Killer:
    """Kills by a fixed plan; who died is replaced, as a supervisor would."""

    def __init__(self, on: Stage, seed: int = 7) -> None:
        self._on = on
        self._random = random.Random(seed)
        self.kills: list[str] = []

    def run(self, finished: threading.Event) -> None:
        """Five workers and two servers, 3 to 5 seconds apart."""
        for victim in ("worker", "server", "worker", "worker", "server", "worker", "worker"):
            if finished.wait(self._random.uniform(3, 5)):
                return
            self._kill_worker() if victim == "worker" else self._kill_server()

    def _kill_worker(self) -> None:
        name = self._random.choice([f"worker{n + 1}" for n in range(WORKERS)])
        self._on.kill(name)
        self.kills.append(name)
        self._on.restart_workers()

    def _kill_server(self) -> None:
        self._on.kill_redis_and_wipe()
        self.kills.append("Redis with all its data")


def main() -> None:
    """Runs, kills, and prints what it came to."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with stage(*LATENCY, workers=WORKERS) as on:
        source = write_rows(on.home / "rows.jsonl", count)
        job = on.client.generate(source, recipe="translate")
        killer, finished = Killer(on), threading.Event()
        thread = threading.Thread(target=killer.run, args=(finished,))
        thread.start()
        began = time.monotonic()
        job = on.client.wait(job.id)
        finished.set()
        thread.join()
        stats = on.stats()
        with on.client.store.read() as connection:
            by_state = row_queries.counts(connection, job.id)
    print("killed:", "; ".join(killer.kills))
    print(report(job), f"(wall clock {time.monotonic() - began:.0f} s)")
    twice = stats["executed"] - stats["unique"]
    print(
        f"rows: {by_state.get(RowState.DONE, 0)} done, {by_state.get(RowState.FAILED, 0)} failed, "
        f"{by_state.get(RowState.OPEN, 0)} open of {count}"
    )
    print(
        f"calls: {stats['executed']} paid, {stats['unique']} unique, {twice} paid twice; "
        f"in flight at the kills (each on record as in doubt): {job.calls_doubtful}"
    )
    ok = (
        by_state.get(RowState.DONE, 0) == count
        and twice <= job.calls_doubtful
        and len(killer.kills) == 7
    )
    print("HOLDS" if ok else "BROKEN")
    raise SystemExit(0 if ok else 1)


if __name__ == "__main__":
    main()
