"""What the dashboard's pages take, and what watching them costs a running job.

`python -m benchmarks.dashboard pages [ROWS]`: 10,000 jobs and one job of 1,000,000 rows, on SQLite
and PostgreSQL; median time of each page, and its ratio to the Jobs page of an empty database.

`python -m benchmarks.dashboard watching [ROWS] [LIMIT]`: the same job by turns alone and with a
Chromium that has the Jobs page and the job's page open; LIMIT is calls per second, or `none`.

Without arguments both, as README tells them.
"""

import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, text

from models.payloads import JobSpec
from models.recipes import load_recipe
from models.settings import Settings
from models.states import JobState
from models.store import deliveries, endpoints, jobs, pulses
from models.store.engine import Store
from models.store.pulses import Beat
from models.tables import Job
from producers import Maestrale
from producers.processes import free_port, listens
from producers.services import Services
from proving.stage import Stage, databases, report, stage, write_rows

JOBS, ROWS, SHARD = 10_000, 1_000_000, 128
ASKED, WARM = 40, 5
"""How often each page is asked for, and how often before that without counting."""
PULSES = 8_640
"""A day of them."""
TURNS = 3
"""Jobs alone, and as many watched: medians are compared."""
AT_MOST_MS, AT_MOST_LESS = 300, 0.03
BIG = "job_big"
CHROMIUM = "/usr/bin/chromium"
SIMULATOR = ("--latency-median", "0.3", "--latency-p95", "0.6")


# -- pages -----------------------------------------------------------------------------------------


def pages(rows: int) -> bool:
    """Measures on both databases; whether all medians hold."""
    with databases() as found:
        held = [of_database(name, url, rows) for name, url in found.items()]
    return all(held)


def of_database(name: str, url: str, rows: int) -> bool:
    """Prints the pages' times on one database; whether they hold."""
    with tempfile.TemporaryDirectory(prefix="maestrale-pages-") as home:
        settings = Settings(_env_file=None, MAESTRALE_HOME=home, DATABASE_URL=url)
        services = Services(settings)
        try:
            services.start_server()
            with Maestrale(settings) as client:
                client.migrate()
                port = start_flower(services)
                empty = medians(port, {"Jobs, none yet": "/jobs"})["Jobs, none yet"]
                filling = time.perf_counter()
                fill(client.store, rows)
                print(f"{name}: filled in {time.perf_counter() - filling:.0f} s")
                return told(medians(port, addresses()), empty, rows)
        finally:
            services.stop()


def addresses() -> dict[str, str]:
    """What is measured."""
    return {
        "Jobs": "/jobs",
        "Jobs by progress": "/jobs?sort=progress",
        "Jobs, a text searched": "/jobs?text=translate-77",
        "Jobs, the last page": f"/jobs?page={JOBS // 50}",
        "the job's page": f"/job/{BIG}",
        "Webhooks": "/webhooks",
        "(Flower's own /healthcheck)": "/healthcheck",
    }


def told(found: Mapping[str, float], empty: float, rows: int) -> bool:
    """Prints the table; whether all hold."""
    print(f"  Jobs page of an empty database: {empty:.1f} ms")
    for page, ms in found.items():
        print(f"  {page:28} {ms:7.1f} ms  {ms / empty:5.2f} times the empty page")
    holds = max(found.values()) <= AT_MOST_MS
    print(" ", "HOLDS" if holds else "BROKEN", f"(medians of {ASKED} at {JOBS:,} jobs and one of")
    print(f"    {rows:,} rows: at most {AT_MOST_MS} ms)")
    return holds


def start_flower(services: Services) -> int:
    """Flower, answering; its port."""
    port = free_port()
    services.start_flower(port)
    deadline = time.monotonic() + 60
    while not listens(port):
        if time.monotonic() > deadline:
            raise RuntimeError("Flower did not come up")
        time.sleep(0.1)
    return port


def medians(port: int, paths: Mapping[str, str]) -> dict[str, float]:
    """Median milliseconds by name; the pages are asked for by turns."""
    took: dict[str, list[float]] = {name: [] for name in paths}
    for turn in range(WARM + ASKED):
        for name, path in paths.items():
            start = time.perf_counter()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                answer.read()
            if turn >= WARM:
                took[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(times) for name, times in took.items()}


def fill(store: Store, rows: int) -> None:
    """Jobs in every state, one of them with all the rows, a day of pulses, events, deliveries."""
    spec = JobSpec(recipe=load_recipe("amira").model_dump(mode="json")).model_dump_json()
    with store.write() as connection:
        connection.execute(jobs.jobs.insert(), [a_job(no, spec) for no in range(JOBS)])
        job = big_job(rows, spec, store.now() if not store.is_sqlite else time.time())
        jobs.create(connection, job)
        connection.execute(text(ALL_ROWS), {"job": BIG, "rows": rows, "shard": SHARD})
        connection.execute(text(ALL_SHARDS), {"job": BIG, "shards": rows // SHARD, "shard": SHARD})
        tell(connection)
    with store.write() as connection:
        while deliveries.relay(connection):
            pass
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if store.is_sqlite else "VACUUM ANALYZE")


def a_job(no: int, spec: str) -> dict[str, Any]:
    """One of many."""
    states = list(JobState)
    job = Job(
        id=f"job_{no:08d}",
        kind="generate",
        name=f"translate-{no % 100}",
        state=states[no % len(states)],
        spec=spec,
        fingerprint=f"{no:064x}",
        input_name=f"papers-{no}.jsonl",
        rows_total=1000,
        rows_done=no % 1000,
        calls_made=no % 1000,
        cost_nano=no * 1_000_000,
        created_at=1_700_000_000.0 + no,
        started_at=1_700_000_010.0 + no,
    )
    return job.model_dump()


def big_job(rows: int, spec: str, now: float) -> Job:
    """Half done, one row in fifty failed."""
    return Job(
        id=BIG,
        kind="generate",
        name="amira",
        state=JobState.RUNNING,
        spec=spec,
        fingerprint="b" * 64,
        rows_total=rows,
        rows_done=rows // 2 - rows // 50,
        rows_failed=rows // 50,
        shards_total=rows // SHARD,
        calls_made=rows,
        created_at=now,
        started_at=now - 86_400,
    )


NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 <"
ALL_ROWS = f"""{NUMBERS} :rows)
INSERT INTO rows (job_id, seq, row_id, shard_no, state, data, records, failure_code, failure_detail,
                  attempt, in_hand, deaths)
SELECT :job, n, 'r' || n, n / :shard,
       CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 2 = 0 THEN 'done' ELSE 'open' END,
       '{{"id": "r' || n || '", "text": "Sample text of a usual row, about as long as this"}}',
       CASE WHEN n % 50 <> 0 AND n % 2 = 0 THEN '[{{"text": "An answer of a usual row"}}]' END,
       CASE WHEN n % 50 <> 0 THEN NULL WHEN n % 100 = 0 THEN 'truncated' ELSE 'invalid_answer' END,
       CASE WHEN n % 50 = 0 THEN 'the answer did not fit: ''relations'' is a required property' END,
       0, FALSE, 0
FROM numbers"""
ALL_SHARDS = f"""{NUMBERS} :shards)
INSERT INTO shards (job_id, no, first_seq, last_seq, state, token, owner, deaths)
SELECT :job, n, n * :shard, (n + 1) * :shard - 1,
       CASE WHEN n < 16 THEN 'leased' WHEN n % 2 = 0 THEN 'done' ELSE 'open' END,
       1, 'worker' || n % 2, 0
FROM numbers"""


def tell(connection: Connection) -> None:
    """A day of pulses to now, events, endpoints that heard of them."""
    begin = int(time.time()) // 10 * 10 - 10 * PULSES
    bins = (10, 20, 30, 40, *[5] * 9)
    beats = [Beat(BIG, begin + 10 * no, 145, no % 7, no % 3, 50_000, bins) for no in range(PULSES)]
    pulses.add(connection, beats)
    for number in range(20):
        endpoint = f"ep_{number:04d}"
        endpoints.create(connection, endpoint, url=f"https://{number}.example.org/", secret="x")
    for _ in range(30):
        jobs.pause(connection, BIG, "paused by the user")
        jobs.resume(connection, BIG)
        jobs.start(connection, BIG)


# -- watching --------------------------------------------------------------------------------------


def watching(rows: int, limit: str) -> bool:
    """The same job by turns alone and watched; whether watching costs little enough."""
    limits = "" if limit == "none" else f"*={limit}/s"
    rates: dict[bool, list[float]] = {False: [], True: []}
    with stage(*SIMULATOR, workers=2, limits=limits) as on:
        port = start_flower(on.services)
        one_job(on, write_rows(on.home / "warm.jsonl", 500, start=10_000_000))
        for turn in range(2 * TURNS):
            watched = turn % 2 == 1
            file = write_rows(on.home / f"rows{turn}.jsonl", rows, start=turn * rows)
            flower = on.cpu_s("flower")
            job, looks, browser_s = watch(on, port, file) if watched else (one_job(on, file), 0, 0)
            seconds = (job.finished_at or 0) - (job.started_at or 0)
            rates[watched].append(job.calls_made / seconds)
            print(
                f"  {'watched' if watched else 'alone':8} {report(job)}: {rates[watched][-1]:.1f}/s"
            )
            print(
                f"           CPU a second: Flower {(on.cpu_s('flower') - flower) / seconds:.2f} s, "
                f"browser {browser_s / seconds:.2f} s; the browser looked {looks} times"
            )
    alone, seen = (statistics.median(rates[watched]) for watched in (False, True))
    holds = seen >= (1 - AT_MOST_LESS) * alone
    print(f"throughput watched / alone: {seen:.1f} / {alone:.1f} = {seen / alone:.1%}")
    print("HOLDS" if holds else "BROKEN", f"(at most {AT_MOST_LESS:.0%} less, limit {limit}/s)")
    return holds


def one_job(on: Stage, file: Path) -> Job:
    """The job at its end."""
    return on.client.wait(on.client.generate(file, recipe="translate").id)


def watch(on: Stage, port: int, file: Path) -> tuple[Job, int, float]:
    """The job at its end, how often the pages looked, and the browser's CPU seconds."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 # for this part only

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        job = on.client.generate(file, recipe="translate")
        opened = [browser.new_context().new_page() for _ in range(2)]
        for page, path in zip(opened, ("/jobs", f"/job/{job.id}"), strict=True):
            page.goto(f"http://127.0.0.1:{port}{path}")
        job = on.client.wait(job.id)
        looks = sum(
            page.evaluate(
                "performance.getEntriesByType('resource')"
                ".filter(e => e.initiatorType === 'fetch').length"
            )
            for page in opened
        )
        used = sum(sum(one.cpu_times()[:2]) for one in chromiums())
        browser.close()
    return job, looks, used


def chromiums() -> list[psutil.Process]:
    """The browser's processes, below ours."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if "chrom" in process.name()]


def main() -> None:
    """Runs the part that is asked for, or both."""
    part, *rest = sys.argv[1:] or [""]
    holds = []
    if part != "watching":
        holds.append(pages(int(rest[0]) if rest else ROWS))
    if part != "pages":
        rows, limit = [*rest, *("6000", "200")[len(rest) :]]
        holds.append(watching(int(rows), limit))
    raise SystemExit(0 if all(holds) else 1)


if __name__ == "__main__":
    main()
