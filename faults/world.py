"""The world of a scenario: our processes, the simulator, a webhook sink; and logs of what they see.

The producer is this process. What it hands in and is given back by the door that users have
(`producers.Maestrale`), it writes to its log: the checker sees no more than a user could.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.sinks import LOOPBACK
from benchmarks.stage import Stage, stage, write_rows
from faults.history import Log
from faults.looking import look
from faults.sink import Sink, sink
from models.states import SETTLED
from models.tables import Job

KEY = "sk-canary-4f1d9c6b2e"
"""The API key of all worlds: it may be seen nowhere."""
PROMPT = "canary-prompt-8b7e21"
"""In every row's text: it may be in the database, and nowhere else."""
_USUAL = {
    "MISTRAL_API_KEY": KEY,
    "MAESTRALE_SECRET_KEY": "a key of this campaign",
    "MAESTRALE_LEASE": 5,
}
RESTED_S = 120.0
"""What is still open so long after the last fault is lost."""


@dataclass
class World:
    """Processes under the campaign's hand, and the logs beside them."""

    on: Stage
    log: Log
    """The campaign's: what was done to them, and what has to hold besides."""
    producer: Log
    sink: Sink
    random: Random
    _endpoints: list[str] = field(default_factory=list)

    # -- what a user does ----------------------------------------------------------------------

    def rows(self, count: int, *, start: int = 0) -> Path:
        """A file of distinct rows for the recipe `translate`, each with the canary in its text."""
        path = write_rows(self.on.home / f"rows-{start}-{count}.jsonl", count, start=start)
        path.write_text(path.read_text().replace("Sample ", f"{PROMPT} "))
        return path

    def submit(self, rows: Path, **how: Any) -> Job:
        """Hands in a job (of the recipe `translate`), and notes its rows."""
        job = self.on.client.generate(rows, recipe=how.pop("recipe", "translate"), **how)
        self.accepted(job, rows)
        return job

    def accepted(self, job: Job, rows: Path) -> None:
        """Notes the rows of a job that was taken."""
        ids = [json.loads(line)["id"] for line in rows.read_text().split("\n") if line]
        self.producer.write("submitted", job=job.id, rows=ids)

    def subscribe(self, path: str = "hook") -> str:
        """An endpoint for all events, at the sink; answers its id."""
        endpoint, secret = self.on.client.webhooks.add(f"{self.sink.url}/{path}")
        self.sink.secrets[path] = secret
        self._endpoints.append(endpoint.id)
        self.producer.write("subscribed", endpoint=path)
        return endpoint.id

    def settled(self, job_id: str, *, within_s: float = RESTED_S) -> Job:
        """Waits until nothing is left to do, with no hand; notes what became of the rows."""
        client = self.on.client
        self.until(lambda: client.get(job_id).state in SETTLED, "the job ends", within_s)
        job = client.get(job_id)
        self._note_end(job)
        return job

    def again(self, job: Job, rows: Path, *, calls: int = 0, **how: Any) -> Job:
        """Hands the same in once more: it must give the same, for at most so many calls."""
        began = time.time()
        second = self.submit(rows, again=True, **how)
        second = self.settled(second.id)
        self.producer.write("again", job=second.id, of=job.id, began=began, calls=calls)
        return second

    def told(self, *, within_s: float = RESTED_S) -> None:
        """Waits until no delivery is open, and notes those that are exhausted."""
        hooks = self.on.client.webhooks

        def open_ones() -> list[dict[str, Any]]:
            found = hooks.deliveries(limit=100_000)
            return [one for one in found if one["state"] == "pending"]

        self.until(lambda: not open_ones(), "all deliveries are over", within_s)
        for one in hooks.deliveries(limit=100_000, failed=True):
            event = f"{one['subject_id']}:{one['seq']}"
            self.producer.write("exhausted", endpoint=urlsplit(one["url"]).path[1:], event=event)

    def _note_end(self, job: Job) -> None:
        client = self.on.client
        for row, records in client.results(job.id):
            self.producer.write("result", job=job.id, row=row, digest=_digest(records))
        for failure in client.failures(job.id, limit=1_000_000):
            self.producer.write("failed", job=job.id, row=failure["row_id"], code=failure["code"])
        for event in client.events.of(job.id):
            name = f"{event.subject_id}:{event.seq}"
            self.producer.write("event", event=name, type=event.type, created=event.created_at)
        (cost, *_) = client.costs(job.id) or [None]
        marks = (cost.doubts, cost.doubts_unpriced) if cost else (0, 0)
        self.producer.write(
            "ended", job=job.id, state=str(job.state), doubts=marks[0], doubts_unpriced=marks[1]
        )

    # -- what is done to them ------------------------------------------------------------------

    def fault(self, kind: str, **facts: Any) -> None:
        """Notes what is done."""
        self.log.write("fault", kind=kind, **facts)

    def kill(self, name: str) -> None:
        """kill -9 of a service, with a note of the connections over which it was asking."""
        (service,) = [one for one in self.on.services.running() if one.name == name]
        self.note_kill(service.pid, name)
        self.on.kill(name)

    def note_kill(self, pid: int, name: str) -> None:
        """Stops a process that is to be killed next, and notes its connections to the simulator."""
        process, api = psutil.Process(pid), urlsplit(self.on.url).port
        process.suspend()
        found = process.net_connections(kind="tcp")
        ports = [one.laddr.port for one in found if one.raddr and one.raddr.port == api]
        self.log.write("killed", pid=pid, name=name, ports=ports)

    def expect(self, holds: object, words: str) -> None:
        """Notes what must hold besides the invariants."""
        self.log.write("expected", holds=bool(holds), words=words)

    def until(self, is_so: Callable[[], object], words: str, within_s: float = 60.0) -> None:
        """Waits for it. Raises `TimeoutError` with these words."""
        deadline = time.monotonic() + within_s
        while not is_so():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {within_s:.0f} s, and still not: {words}")
            time.sleep(0.05)


def _digest(records: object) -> str:
    canonical = json.dumps(records, sort_keys=True).encode()
    return hashlib.sha256(canonical).hexdigest()[:16]


@contextmanager
def world(
    logs: Path, seed: int, *simulator: str, workers: int = 2, **settings: Any
) -> Iterator[World]:
    """A world whose parties log to `logs`; nothing else is left of it at the end.

    `simulator`: its options. `settings`: ours, by the names that their environment has.
    """
    with ExitStack() as stack:
        catching = stack.enter_context(sink(Log(logs, "sink")))
        journal = (f"--journal={logs.resolve() / 'simulator.jsonl'}", f"--seed={seed}")
        told = {**LOOPBACK, **_USUAL, **settings}
        on = stack.enter_context(stage(*journal, *simulator, workers=workers, **told))
        made = World(on, Log(logs, "campaign"), Log(logs, "producer"), catching, Random(seed))
        yield made
        secrets = {f"secret of {path}": word for path, word in catching.secrets.items()}
        look(on, made.log, {"key": KEY, "prompt": PROMPT, **secrets})
