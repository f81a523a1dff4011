"""Maestrale beside its peers, in one run against one simulator: speed, limit, losses, kill -9.

`python -m benchmarks.peers [--rows N] [--only NAME] [--rounds speed,limit,faults,kill]
[--venvs DIR]`: peers live in venvs of their own below `.peers/`, built by pip on first need.
About eight minutes.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import standings
from benchmarks.peer_venvs import NotInstalledError, interpreter
from benchmarks.race import StuckError, answers, race, race_killed
from benchmarks.racers.track import Asked
from models.recipes import Compiled, Scope, load_recipe
from proving.stage import write_rows
from simulator.process import Spawned, spawn

RACERS = Path(__file__).parent / "racers"
VENVS = Path(__file__).parents[1] / ".peers"
SIMULATOR = ("--latency-median", "0.3", "--latency-p95", "0.6")
FAULTS = {"server_error": 0.01, "malformed": 0.005}
MANY, FEW = 1000, 100
"""In flight at most: where speed is measured, and elsewhere."""
MEAN_LATENCY_S = 0.33
RATES, SECONDS = (20, 100), 20
SPEED, CPU, MEMORY, LOST, TWICE = "calls/s", "CPU ms a call", "MB", "lost", "paid twice"

Cells = dict[str, str]


@dataclass(frozen=True)
class Racer:
    """One line of the table. `venv`: name of its requirements; none: it runs in ours."""

    name: str
    script: str
    how: str
    """Its settings, in words."""
    venv: str = ""
    processes: int = 1
    meets_limits: bool = True
    paces: bool = True
    """Whether it has an option for requests per time that makes it wait."""


FIELD = (
    Racer(
        "bare aiohttp, 2 processes",
        "with_bare.py",
        "nothing but the requests: no retries, no limit, nothing kept",
        processes=2,
        meets_limits=False,
    ),
    Racer("bare aiohttp, 1 process", "with_bare.py", "the same in one", meets_limits=False),
    Racer(
        "Maestrale, 2 workers",
        "with_maestrale.py",
        "embedded server, SQLite, ledger, events, all on disk; told of the limit by "
        "MAESTRALE_LIMITS; memory and CPU of all its processes, server and client included. An "
        "answer that was cut short is a failure by name, not asked for again",
        processes=2,
    ),
    Racer(
        "litellm",
        "with_litellm.py",
        "acompletion, asyncio.gather, a semaphore, retries as they come; at the limit Router(rpm, "
        "max_parallel_requests, enforce_model_rate_limits) with 10 retries instead of 2: what is "
        "above rpm it refuses and does not wait, so its calls in flight are limit x latency. "
        "It keeps nothing on disk",
        venv="litellm",
        paces=False,
    ),
    Racer(
        "curator",
        "with_curator.py",
        "curator.LLM, backend litellm, cache on, 10 retries as they come, max_concurrent_requests; "
        "at the limit instead max_requests_per_minute, and 1 s instead of 10 s of pause after a "
        "refusal. It keeps answers, and pays one call more at each start to read the headers",
        venv="curator",
    ),
    Racer(
        "mistralai, 64 threads",
        "with_sdk.py",
        "one client, ThreadPoolExecutor, no retries as it comes; it has no option for a limit, so "
        "there as many threads as limit x latency, and retries with its own backoff (0.5 s, 60 s, "
        "1.5, 1 h). It keeps nothing on disk",
        paces=False,
    ),
)


@dataclass
class Course:
    """The simulator, the rows, and where racers keep their things."""

    home: Path
    simulator: Spawned
    venvs: Path
    lives: int = 0

    def asked(self, racer: Racer, rows: int, in_flight: int, rate: int = 0) -> Asked:
        """A round of a racer, in a home that nobody used before; the server keeps `rate`."""
        self.lives += 1
        window_s, limits = (1, {"*": rate * 60}) if rate else (60, {})
        self.simulator.steer("limits", requests=limits, window_s=window_s)
        folder, home = self.home / f"rows{rows}", self.home / f"home{self.lives}"
        if not folder.exists():
            prepare(folder, rows)
        url = self.simulator.url
        return Asked(url, str(folder), str(home), in_flight, rate, racer.processes)

    def command(self, racer: Racer) -> list[str]:
        """Interpreter and script."""
        requirements = RACERS / f"{racer.venv}.txt"
        python = interpreter(self.venvs, requirements) if racer.venv else Path(sys.executable)
        return [str(python), str(RACERS / racer.script)]

    def losses(self, asked: Asked) -> standings.Losses:
        """The rows asked for, against what the racer wrote."""
        lines = (Path(asked.folder) / "rows.jsonl").read_text().splitlines()
        return standings.losses([json.loads(line)["id"] for line in lines], answers(asked))


def prepare(folder: Path, count: int) -> None:
    """The rows, and what the recipe `translate` makes of them: all racers ask the same."""
    folder.mkdir()
    recipe = load_recipe("translate")
    compiled = Compiled(recipe)
    rows = write_rows(folder / "rows.jsonl", count)
    with (folder / "calls.jsonl").open("w") as out:
        for line in rows.read_text().splitlines():
            row = json.loads(line)
            (body,) = compiled.requests(recipe.steps[0], Scope(row))
            out.write(json.dumps({"id": row["id"], "messages": body["messages"]}) + "\n")


def speed(course: Course, racer: Racer, rows: int) -> Cells:
    """No limit, no faults: calls/s from the word to start to the last answer."""
    asked = course.asked(racer, rows, MANY)
    seen = race(course.command(racer), asked, course.simulator)
    cpu_ms = 1000 * seen.cpu_s / rows
    told = {
        SPEED: f"{rows / seen.seconds:.0f}",
        CPU: f"{cpu_ms:.2f}",
        MEMORY: f"{seen.peak_mb:.0f}",
    }
    if (lost := course.losses(asked)) != standings.Losses(0, 0):
        told[SPEED] += f" ({lost} lost)"
    return told


def limit(course: Course, racer: Racer, _rows: int) -> Cells:
    """Limits held over every second, told by each one's own option and by headers."""
    told = {}
    for rate in RATES if racer.meets_limits else ():
        in_flight = FEW if racer.paces else math.ceil(rate * MEAN_LATENCY_S)
        asked = course.asked(racer, rate * SECONDS, in_flight, rate)
        race(course.command(racer), asked, course.simulator)
        lost = course.losses(asked)
        per_second = course.simulator.stats()["per_second"]
        told[f"{rate}/s"] = str(standings.share(per_second, rate, lost.without + lost.useless))
    return told


def faults(course: Course, racer: Racer, rows: int) -> Cells:
    """1% server errors, 0.5% spoilt answers; everyone retries as it comes."""
    asked = course.asked(racer, rows, FEW)
    course.simulator.steer("faults", rates=FAULTS)
    try:
        race(course.command(racer), asked, course.simulator)
    finally:
        course.simulator.steer("faults")
    return {LOST: str(course.losses(asked))}


def kill(course: Course, racer: Racer, rows: int) -> Cells:
    """kill -9 of the racer with all its processes half way, and the same command again."""
    asked = course.asked(racer, rows, FEW)
    race_killed(course.command(racer), asked, course.simulator, rows // 2)
    paid, lost = standings.twice(course.simulator.stats()), course.losses(asked)
    return {TWICE: f"{paid}" + (f" ({lost} lost)" if lost != standings.Losses(0, 0) else "")}


ROUNDS: dict[str, tuple[Callable[[Course, Racer, int], Cells], float]] = {
    "speed": (speed, 1),
    "limit": (limit, 0),
    "faults": (faults, 1 / 3),
    "kill": (kill, 1 / 3),
}
"""By name: the round, and its share of the rows (those at the limit follow from the limit)."""
COLUMNS = (SPEED, CPU, MEMORY, *(f"{rate}/s" for rate in RATES), LOST, TWICE)


def legend(rows: int, field: list[Racer]) -> str:
    """What the columns are, and how each racer was set up."""
    lost, killed = (int(rows * ROUNDS[name][1]) for name in ("faults", "kill"))
    return "\n".join(
        [
            f"{SPEED}, {CPU}, {MEMORY}: {rows} rows, 300 ms median latency, no limit, {MANY} in "
            "flight (threads: 64), after a rehearsal of one call (start and imports left out); "
            "MB of all processes at the peak.",
            f"{RATES[0]}/s, {RATES[1]}/s: share of a limit held over every second, share refused, "
            f"rows lost; {SECONDS} s worth of rows, at most {FEW} in flight. Harder than a bucket "
            "per minute, which peers are told of: they have no option for less.",
            f"{LOST}: rows without an answer + with a useless one taken for good, of {lost}, at 1% "
            f"server errors and 0.5% spoilt answers, {FEW} in flight.",
            f"{TWICE}: calls, of {killed}, after kill -9 of all processes half way and the same "
            f"command again, {FEW} in flight.",
            "Not alike: only Maestrale and curator keep answers, only Maestrale keeps jobs; "
            "litellm, curator and the SDK run in one process, as their guides have it.",
            *(f"{racer.name}: {racer.how}." for racer in field),
        ]
    )


def run_round(course: Course, racer: Racer, name: str, rows: int) -> Cells:
    """One round's cells; a peer that does not install or hangs gets a word instead."""
    measure, part = ROUNDS[name]
    try:
        return measure(course, racer, int(rows * part))
    except NotInstalledError as problem:
        print(f"{racer.name} does not install: {problem}", file=sys.stderr)
        return {SPEED: "does not install"}
    except StuckError as problem:
        print(f"{racer.name}, {name}: {problem}", file=sys.stderr)
        return {{"speed": SPEED, "faults": LOST, "kill": TWICE}.get(name, "20/s"): "stuck"}


@contextmanager
def course(venvs: Path) -> Iterator[Course]:
    """A simulator for all rounds, and a folder for all that is written."""
    with tempfile.TemporaryDirectory(prefix="maestrale-race-") as home, spawn(*SIMULATOR) as server:
        yield Course(Path(home), server, venvs)


def main() -> None:
    """Runs all rounds and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--rows", type=int, default=6000, help="default: %(default)s")
    parser.add_argument("--only", default="", help="racers whose names hold this")
    parser.add_argument("--rounds", default=",".join(ROUNDS), help="default: %(default)s")
    parser.add_argument("--venvs", type=Path, default=VENVS, help="where peers are installed")
    options = parser.parse_args()
    field = [racer for racer in FIELD if options.only in racer.name]
    told: dict[str, Cells] = {racer.name: {} for racer in field}
    with course(options.venvs.resolve()) as on:
        for name in options.rounds.split(","):
            for racer in field:
                cells = run_round(on, racer, name, options.rows)
                print(f"{name}: {racer.name}: {cells}", file=sys.stderr, flush=True)
                told[racer.name].update(cells)
    print(standings.table(COLUMNS, told), end="\n\n")
    print(legend(options.rows, field))
    print(f"load of the machine over the last minute: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
