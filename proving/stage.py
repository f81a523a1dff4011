"""A whole system in a temporary home: server, simulator, workers. For benchmarks and acceptance."""

import json
import os
import shutil
import signal
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from models.settings import Settings
from models.store import fleet
from models.tables import Job
from producers import Maestrale
from producers.services import Service, Services


@dataclass
class Stage:
    """Running processes, and the figures read off them."""

    home: Path
    url: str
    services: Services
    client: Maestrale
    workers: int

    def pids(self, beginning: str) -> list[int]:
        """Pids of the running services whose name begins so."""
        return [s.pid for s in self.services.running() if s.name.startswith(beginning)]

    def cpu_s(self, beginning: str) -> float:
        """CPU seconds used so far by these services."""
        return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in self.pids(beginning))

    def memory_mb(self, beginning: str) -> float:
        """Resident memory of the largest of these services."""
        sizes = [psutil.Process(pid).memory_info().rss for pid in self.pids(beginning)]
        return max(sizes, default=0) / 1e6

    def stats(self) -> dict[str, Any]:
        """What the simulator counted."""
        with urllib.request.urlopen(f"{self.url}/_stats") as answer:
            return dict(json.load(answer))

    def steer(self, route: str, **changes: object) -> None:
        """Posts to the simulator's `faults`, `limits` or `reset`."""
        urllib.request.urlopen(f"{self.url}/_{route}", data=json.dumps(changes).encode()).close()

    def workers_ready(self) -> None:
        """Waits until all workers gave a sign of life."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with self.client.store.read() as connection:
                if len(fleet.alive(connection)) >= self.workers:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the workers did not come up: see the logs in {self.home}/logs")

    def kill(self, name: str) -> Service:
        """kill -9 of one service."""
        running = {service.name: service for service in self.services.running()}
        if not (service := running.get(name)):
            last = (self.home / "logs" / f"{name}.log").read_text()[-20000:]
            raise RuntimeError(f"{name} ended by itself; its last words:\n{last}")
        os.kill(service.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(service.pid)] if service.is_alive else [], timeout=5)
        return service

    def restart_workers(self) -> None:
        """Replaces the workers that died, as a supervisor would."""
        self.services.start_workers(self.workers)

    def kill_redis_and_wipe(self) -> None:
        """kill -9 of the server, without its append-only file, and a new one at its address."""
        self.kill("server")
        shutil.rmtree(self.home / "redis" / "appendonlydir", ignore_errors=True)
        self.services.start_server()


@contextmanager
def stage(*simulator: str, workers: int = 2, limits: str = "", **settings: Any) -> Iterator[Stage]:
    """Starts it all, and leaves nothing behind. `settings` by their environment names."""
    home = Path(tempfile.mkdtemp(prefix="maestrale-stage-"))
    base = {"MAESTRALE_HOME": home, "MISTRAL_API_KEY": "sk-stage", "MAESTRALE_LIMITS": limits}
    base.update(settings)
    services = Services(Settings(_env_file=None, **base))
    try:
        services.start_server()
        url = services.start_simulator(*simulator)
        services.settings = Settings(_env_file=None, **base, MISTRAL_BASE_URL=url)
        with Maestrale(services.settings) as client:
            client.migrate()
            services.start_workers(workers)
            on = Stage(home, url, services, client, workers)
            on.workers_ready()
            yield on
    finally:
        services.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def databases() -> Iterator[Mapping[str, str]]:
    """Name -> URL: the embedded one, and PostgreSQL if its wheel is there."""
    from proving.servers import Postgres, start  # noqa: PLC0415 # the tests' own server

    if not Postgres.is_installed():
        yield {"SQLite": ""}
        return
    server = cast("Postgres", start(Postgres))
    try:
        yield {"SQLite": "", "PostgreSQL": server.database()}
    finally:
        server.remove()


def report(job: Job) -> str:
    """The job's figures in a line."""
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    return (
        f"{job.state}: {job.rows_done} done, {job.rows_failed} failed of {job.rows_total}; "
        f"{job.calls_made} calls in {seconds:.1f} s"
    )


def write_rows(path: Path, count: int, *, start: int = 0) -> Path:
    """`count` distinct short texts, for the recipe `translate`."""
    with path.open("w") as out:
        for number in range(start, start + count):
            text = (
                f"Sample {number}: the expression of miR-{number % 997} was measured in tissue "
                f"{number // 7}. It was lower in patients than in controls, which suggests a role."
            )
            out.write(json.dumps({"id": f"r{number}", "text": text}) + "\n")
    return path
