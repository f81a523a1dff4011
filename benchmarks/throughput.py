"""Throughput of the whole path beside a bare aiohttp loop against the same simulator.

`python -m benchmarks.throughput [ROWS]`: 30,000 one-step rows, 300 ms median latency, no limit, two
worker processes; prints calls/s, their ratio, worker CPU per call and memory.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path

from models.recipes import Compiled, Scope, load_recipe
from proving.stage import Stage, report, stage, write_rows

SIMULATOR = ("--latency-median", "0.3", "--latency-p95", "0.6")
IN_FLIGHT = 2000


def bare(on: Stage, rows: Path, processes: int) -> dict[str, float]:
    """The same bodies through `processes` bare loops at once."""
    recipe = load_recipe("translate")
    compiled = Compiled(recipe)
    parts = [on.home / f"bodies{n}.jsonl" for n in range(processes)]
    files = [part.open("w") for part in parts]
    for number, line in enumerate(rows.read_text().splitlines()):
        (body,) = compiled.requests(recipe.steps[0], Scope(json.loads(line)))
        body["messages"][-1]["content"] += " "  # not the same call as the workers'
        files[number % processes].write(json.dumps(body) + "\n")
    for file in files:
        file.close()
    command = [sys.executable, "-m", "benchmarks.bare", on.url]
    running = [
        subprocess.Popen([*command, str(part), str(IN_FLIGHT // processes)], stdout=subprocess.PIPE)
        for part in parts
    ]
    told = [json.loads(process.communicate()[0]) for process in running]
    calls = sum(one["calls"] for one in told)
    return {
        "calls_s": calls / max(one["s"] for one in told),
        "cpu_ms": 1000 * sum(one["cpu_s"] for one in told) / calls,
    }


def ours(on: Stage, rows: Path) -> dict[str, float]:
    """The same rows through Redis, Celery, ledger and database."""
    cpu, sim_cpu = on.cpu_s("worker"), on.cpu_s("simulator")
    memory: list[float] = []
    finished = threading.Event()

    def look() -> None:
        while not finished.wait(0.5):
            memory.append(on.memory_mb("worker"))

    threading.Thread(target=look, daemon=True).start()
    job = on.client.generate(rows, recipe="translate")
    job = on.client.wait(job.id)
    finished.set()
    print(" ", report(job))
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    return {
        "calls_s": job.calls_made / seconds,
        "cpu_ms": 1000 * (on.cpu_s("worker") - cpu) / job.calls_made,
        "sim_ms": 1000 * (on.cpu_s("simulator") - sim_cpu) / job.calls_made,
        "memory_first": memory[len(memory) // 4] if memory else 0,
        "memory_last": memory[-1] if memory else 0,
    }


def main() -> None:
    """Prints both and their ratio."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with stage(*SIMULATOR, workers=2) as on:
        rows = write_rows(on.home / "rows.jsonl", count)
        two, one = bare(on, rows, 2), bare(on, rows, 1)
        for name, base in (("two bare aiohttp loops", two), ("one bare aiohttp loop", one)):
            print(f"{name}: {base['calls_s']:.0f} calls/s, {base['cpu_ms']:.2f} ms CPU a call")
        whole = ours(on, rows)
        print(
            f"the whole path, 2 workers: {whole['calls_s']:.0f} calls/s, "
            f"{whole['cpu_ms']:.2f} ms worker CPU a call, {whole['sim_ms']:.2f} ms simulator"
        )
        print(
            f"{whole['calls_s'] / one['calls_s']:.0%} of one bare loop, "
            f"{whole['calls_s'] / two['calls_s']:.0%} of two"
        )
        print(
            f"memory of a worker: {whole['memory_first']:.0f} MB early, "
            f"{whole['memory_last']:.0f} MB at the end"
        )
    holds = whole["calls_s"] >= 0.7 * one["calls_s"] and whole["cpu_ms"] <= 1.0
    print("HOLDS" if holds else "BROKEN", "(at least 70% of a bare loop, at most 1.0 ms)")
    raise SystemExit(0 if holds else 1)


if __name__ == "__main__":
    main()
