"""`maestrale demo`: the whole way of a job on a bare machine, with nothing needed and nothing paid.

It lives in `.demo/` below the current folder, never in the user's own home. The simulator listens
on the same port each time, because the ledger tells servers apart: then a second run pays nothing.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

import orjson
from pydantic import SecretStr

from models.errors import SetupError
from models.settings import Settings
from models.tables import Job
from producers import exports
from producers.cli import demo_words, facts
from producers.cli.following import follow
from producers.cli.generation import exit_code
from producers.cli.showing import Limited
from producers.cli.voice import Voice
from producers.client import Maestrale, Plan
from producers.processes import free_port, is_free
from producers.services import START_S, Services

FOLDER = ".demo"
WORKERS = 2
RECIPE = "amira"
REQUESTS_PER_MINUTE = 1800
SIMULATED = (
    f"--limit=*={REQUESTS_PER_MINUTE}",
    "--window=1",  # no bursts: the limit holds in every second
    "--latency-median=0.3",
    "--latency-p95=0.6",
    "--fault=server_error=0.01",
    "--fault=malformed=0.005",
)
DRAIN_S = 5.0


def run(voice: Voice) -> int:
    """Starts what it needs, runs the sample, shows the outcome, stops everything."""
    home = Path(FOLDER).resolve()
    with ExitStack() as stack:
        stack.enter_context(_terminable())
        voice.say(*demo_words.title())
        with voice.busy("starting a server, the simulator and two workers"):
            port, moved = _port(home)
            settings = _settings(home, port)
            services = Services(settings)
            stack.enter_context(_stopping(services, voice))
            _start(services, port)
            maestrale = stack.enter_context(Maestrale(settings))
            _start_workers(maestrale, services)
        voice.say(*demo_words.running(services.running(), port_moved=moved))
        job, limit = _run_job(maestrale, voice)
        dataset = _export(maestrale, job, home / "amira.jsonl")
        voice.say(*demo_words.outcome(job, limit, dataset, _one_record(dataset.path)))
        told = _facts(maestrale, job, dataset)
    voice.say(*demo_words.farewell(_sample()))
    if voice.as_json:
        voice.facts(told)
    return exit_code(job)


# -- starting and stopping -------------------------------------------------------------------------


def _settings(home: Path, port: int) -> Settings:
    """The demo's own settings: nothing of the user's environment or `.env` has a say in them."""
    own: dict[str, Any] = {
        name: field.get_default() for name, field in Settings.model_fields.items()
    }
    own.update(
        home=home,
        base_url=f"http://127.0.0.1:{port}",
        api_key=SecretStr("demo"),
        drain_s=DRAIN_S,
    )
    return Settings(_env_file=None, **own)


def _port(home: Path) -> tuple[int, bool]:
    """The port of the run before, or a free one; and whether it had to move."""
    note = home / "simulator.port"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    Services(_settings(home, 1)).stop(patience_s=DRAIN_S)  # left by a run that was killed
    known = int(note.read_text()) if note.exists() else None
    if known is not None and is_free(known):
        return known, False
    note.write_text(str(port := free_port()))
    return port, known is not None


def _start(services: Services, port: int) -> None:
    services.start_server()
    services.start_simulator(*SIMULATED, port=port)


def _start_workers(maestrale: Maestrale, services: Services) -> None:
    """Workers need the tables, so the database is opened (and made) before them."""
    maestrale.workers()
    started = services.start_workers(WORKERS)
    deadline = time.monotonic() + START_S
    while len(maestrale.workers()) < WORKERS:
        for worker in started:
            services.check_alive(worker)
        if time.monotonic() > deadline:
            raise SetupError(f"the workers do not come up: see {services.log('worker1')}")
        time.sleep(0.1)


@contextmanager
def _stopping(services: Services, voice: Voice) -> Iterator[None]:
    """Whatever happens, nothing is left running; a second Ctrl-C does not prevent that."""
    try:
        yield
    finally:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with voice.busy("stopping"):
                services.stop(patience_s=DRAIN_S + 5)
        finally:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


# -- the job ---------------------------------------------------------------------------------------


def _sample() -> Path:
    return Path(str(files("recipes") / RECIPE / "sample.jsonl"))


def _run_job(maestrale: Maestrale, voice: Voice) -> tuple[Job, Limited | None]:
    with _plan(maestrale, voice) as plan:
        job = maestrale.submit(plan, again=True)
        voice.say(*demo_words.plan(plan))
    return follow(maestrale, job, voice)


def _plan(maestrale: Maestrale, voice: Voice) -> Plan:
    with voice.busy("reading the sample"):
        return maestrale.plan(_sample(), RECIPE)


def _export(maestrale: Maestrale, job: Job, path: Path) -> exports.Exported:
    exported: exports.Exported = maestrale.export(job.id, path, "chat", overwrite=True)
    return exported


def _one_record(path: Path) -> dict[str, Any]:
    """The dataset's first record."""
    with path.open("rb") as file:
        line = file.readline()
    return dict(orjson.loads(line)) if line else {}


def _facts(maestrale: Maestrale, job: Job, dataset: exports.Exported) -> dict[str, Any]:
    return {
        "job": facts.job_facts(job),
        "dataset": str(dataset.path),
        "records": dataset.records,
        "simulated": True,
        "failures": maestrale.failures_by_code(job.id),
    }
