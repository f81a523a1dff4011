"""The stage of the benchmarks: a home of its own, server, simulator and workers, and what they use."""

import json
import os
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from models.settings import Settings
from models.tables import Job
from producers import Maestrale
from producers.services import Services


@dataclass
class Stage:
    """Running processes, and the figures read off them."""

    home: Path
    url: str
    services: Services
    client: Maestrale
    _cpu: dict[str, float] = field(default_factory=dict)

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

    def reset(self) -> None:
        """Forgets what the simulator counted."""
        urllib.request.urlopen(f"{self.url}/_reset", data=b"{}").close()

    def workers_ready(self, count: int) -> None:
        """Waits until so many workers gave a sign of life."""
        from models.store import fleet

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with self.client.store.read() as connection:
                if len(fleet.alive(connection)) >= count:
                    return
            time.sleep(0.1)
        raise RuntimeError("the workers did not come up: see the logs in " + str(self.home))


@contextmanager
def stage(*simulator: str, workers: int = 2, limits: str = "", keep: bool = False, **environment: str) -> Iterator[Stage]:
    """A whole system in a temporary home: server, simulator, workers; all gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="maestrale-bench-"))
    os.environ.update({"MAESTRALE_HOME": str(home), "MISTRAL_API_KEY": "bench", **environment})
    for name in ("REDIS_URL", "DATABASE_URL"):
        os.environ.pop(name, None)
    os.environ["MAESTRALE_LIMITS"] = limits
    services = Services(Settings())
    try:
        services.start_server()
        url = services.start_simulator(*simulator)
        os.environ["MISTRAL_BASE_URL"] = url
        services.settings = Settings()
        with Maestrale(services.settings) as client:
            _ = client.store
            services.start_workers(workers)
            on = Stage(home, url, services, client)
            on.workers_ready(workers)
            yield on
    finally:
        services.stop()
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def report(job: Job) -> str:
    """The job's figures in a line."""
    seconds = (job.finished_at or 0) - (job.started_at or 0)
    return (
        f"{job.state}: {job.rows_done} done, {job.rows_failed} failed of {job.rows_total}; "
        f"{job.calls_made} calls in {seconds:.1f} s"
    )


def write_rows(path: Path, count: int) -> Path:
    """`count` distinct short texts."""
    with path.open("w") as out:
        for number in range(count):
            text = (
                f"Sample {number}: the expression of miR-{number % 997} was measured in tissue "
                f"{number // 7}. It was lower in patients than in controls, which suggests a role."
            )
            out.write(json.dumps({"id": f"r{number}", "text": text}) + "\n")
    return path
