"""How soon something happens: from a submission to its first call, and until `--help` is printed.

`python -m benchmarks.reaction [SUBMISSIONS]`: on a warm system (server, simulator and two workers
that have run a job before), each job of one row; the simulator's journal tells when the call came.
`--help` is measured beside an interpreter that does nothing, in turns.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from proving.stage import Stage, stage, write_rows

FIRST_CALL_S, HELP_S = 0.2, 0.3
"""What is promised, of the median."""
HELPS = 15
BIN = Path(sys.executable).parent


def first_calls(on: Stage, journal: Path, submissions: int) -> list[float]:
    """Seconds from the word to submit to the arrival of the job's first call."""
    waits = []
    for _ in range(submissions):
        number = len(_arrivals(journal)) if journal.exists() else 0
        rows = write_rows(on.home / f"rows{number}.jsonl", 1, start=number)
        began = time.time()
        job = on.client.generate(rows, recipe="translate")
        on.client.wait(job.id)
        waits.append(_arrivals(journal)[number] - began)
    return waits


def helps() -> tuple[list[float], list[float]]:
    """Seconds that `maestrale --help` takes, and an interpreter that does nothing."""
    ours, bare = [], []
    for _ in range(HELPS):
        bare.append(_seconds([sys.executable, "-c", ""]))
        ours.append(_seconds([str(BIN / "maestrale"), "--help"]))
    return ours, bare


def main() -> None:
    """Prints both, and whether the promises hold."""
    submissions = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        with stage("--latency-median", "0.05", "--journal", str(journal), workers=2) as on:
            first_calls(on, journal, 3)
            waits = first_calls(on, journal, submissions)
    ours, bare = helps()
    print(f"from submitting to the first call: {_told(waits)}")
    print(f"maestrale --help: {_told(ours)}; an interpreter that does nothing: {_told(bare)}")
    holds = statistics.median(waits) <= FIRST_CALL_S and statistics.median(ours) <= HELP_S
    print("HOLDS" if holds else "BROKEN", "(medians of at most 200 ms and 300 ms)")
    raise SystemExit(0 if holds else 1)


def _arrivals(journal: Path) -> list[float]:
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line["at"] for line in lines if line["what"] == "arrived"]


def _seconds(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _told(seconds: Sequence[float]) -> str:
    worst = sorted(seconds)[int(len(seconds) * 0.95)]
    return f"{1000 * statistics.median(seconds):.0f} ms (95%: {1000 * worst:.0f} ms)"


if __name__ == "__main__":
    main()
