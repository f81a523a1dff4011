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

from faults.history import Log
from faults.looking import look
from faults.sink import Sink, sink
from models.states import SETTLED
from models.store.money import Cost
from models.tables import Event, Job
from proving.sinks import LOOPBACK
from proving.stage import Stage, stage, write_rows

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
    _endpoints: dict[str, str] = field(default_factory=dict)
    """Their paths, by id."""
    _texts: dict[str, dict[str, str]] = field(default_factory=dict)
    """By job and row, what was handed in."""
    _ended: set[str] = field(default_factory=set)

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
        found = [json.loads(line) for line in rows.read_text().split("\n") if line]
        self._texts[job.id] = {row["id"]: row["text"] for row in found}
        self.producer.write("submitted", job=job.id, rows=[row["id"] for row in found])

    def subscribe(self, path: str = "hook", at: str = "") -> str:
        """An endpoint for all events, at the sink or at another server; answers its id."""
        endpoint, secret = self.on.client.webhooks.add(f"{at or self.sink.url}/{path}")
        self.sink.secrets[path] = secret
        self._endpoints[endpoint.id] = path
        self.producer.write("subscribed", endpoint=path, id=endpoint.id)
        return endpoint.id

    def settled(self, job_id: str, *, within_s: float = RESTED_S, may_fail: int = 0) -> Job:
        """Waits until nothing is left to do, with no hand; notes what became of the rows.

        `may_fail`: how many of them the fault may cost, by name.
        """
        client = self.on.client
        self.until(lambda: client.get(job_id).state in SETTLED, "the job ends", within_s)
        job = client.get(job_id)
        self._note_end(job, may_fail)
        return job

    def again(self, job: Job, rows: Path, *, calls: int = 0, may_fail: int = 0, **how: Any) -> Job:
        """Hands the same in once more: it must give the same, for at most so many calls."""
        began = time.time()
        second = self.submit(rows, again=True, **how)
        second = self.settled(second.id, may_fail=may_fail)
        self.producer.write("again", job=second.id, of=job.id, began=began, calls=calls)
        return second

    def told(self, *, within_s: float = RESTED_S) -> None:
        """Waits until each event was relayed and no delivery is open; notes those events, and the
        deliveries that are exhausted."""
        hooks, events = self.on.client.webhooks, self.on.client.events
        written: list[Event] = []

        def are_over() -> bool:  # in this order: no event has a delivery before it is relayed
            written[:] = [e for subject in self._subjects() for e in events.of(subject)]
            is_relayed = all(event.relayed_at is not None for event in written)
            found = hooks.deliveries(limit=100_000) if is_relayed else ()
            return is_relayed and all(one["state"] != "pending" for one in found)

        self.until(are_over, "all deliveries are over", within_s)
        for event in written:
            self._note_event(event)
        for one in hooks.deliveries(limit=100_000, failed=True):
            seq = one["message_id"].rpartition("_")[2]
            self.producer.write(
                "exhausted",
                endpoint=self._endpoints[one["endpoint_id"]],
                event=f"{one['subject_id']}:{seq}",
                state=str(one["state"]),
                tries=one["tries"],
            )

    def conducted(self, run: Job) -> None:
        """Notes the end of a pipeline's run: rows, costs and doubts are those of its jobs."""
        self._ended.add(run.id)
        self.producer.write(
            "ended",
            job=run.id,
            state=str(run.state),
            rows_done=run.rows_done,
            **dict.fromkeys(("cost_nano", "doubts", "doubts_unpriced", "doubts_nano"), 0),
        )

    def _note_end(self, job: Job, may_fail: int) -> None:
        client, texts = self.on.client, self._texts.get(job.id, {})
        self._ended.add(job.id)
        for row, records in client.results(job.id):
            own = row not in texts or _is_own(records, texts[row])
            self.producer.write("result", job=job.id, row=row, digest=_digest(records), own=own)
        for failure in client.failures(job.id, limit=1_000_000):
            self.producer.write("failed", job=job.id, row=failure["row_id"], code=failure["code"])
        for event in client.events.of(job.id):
            self._note_event(event)
        cost = next(iter(client.costs(job.id)), Cost(job.id))
        self.producer.write(
            "ended",
            job=job.id,
            state=str(job.state),
            rows_total=job.rows_total,
            rows_done=job.rows_done,
            rows_failed=job.rows_failed,
            may_fail=may_fail,
            cost_nano=cost.cost_nano,
            doubts=cost.doubts,
            doubts_unpriced=cost.doubts_unpriced,
            doubts_nano=cost.doubts_nano,
        )

    def _subjects(self) -> list[str]:
        return [*self._ended, *self._endpoints]

    def _note_event(self, event: Event) -> None:
        subject, told = event.subject_id, {"type": event.type, "created": event.created_at}
        self.producer.write("event", event=f"{subject}:{event.seq}", job=subject, **told)

    # -- what is done to them ------------------------------------------------------------------

    def fault(self, kind: str, *, hangs_up: bool = False, **facts: Any) -> None:
        """Notes what is done. `hangs_up`: whether workers that live may leave calls for it."""
        self.log.write("fault", kind=kind, hangs_up=hangs_up, **facts)

    def healed(self, kind: str) -> None:
        """Notes that it is over: soon nobody may hang up for it, or for what was before it."""
        self.log.write("healed", kind=kind)

    def kill(self, name: str) -> None:
        """kill -9 of a service, with a note of the connections over which it was asking."""
        (service,) = [one for one in self.on.services.running() if one.name == name]
        self.note_kill(service.pid, name)
        self.on.kill(name)

    def note_kill(self, pid: int, name: str) -> None:
        """Stops a process that is to be killed next, and notes its connections to the simulator."""
        psutil.Process(pid).suspend()
        stopped = time.time()
        waiting = _unread_ports(pid)
        ports = self.connections(pid)
        unread = [port for port in ports if port in waiting]
        self.log.write("killed", pid=pid, name=name, ports=ports, stopped=stopped, unread=unread)

    def connections(self, pid: int) -> list[int]:
        """The ports over which a process has a connection to the simulator."""
        api = urlsplit(self.on.url).port
        found = psutil.Process(pid).net_connections(kind="tcp")
        return [one.laddr.port for one in found if one.raddr and one.raddr.port == api]

    def open_yet(self, job: Job) -> None:
        """A fault that comes after a job's end hurts nothing: it must not be over yet."""
        now = self.on.client.get(job.id)
        done = f"{now.rows_done} of {now.rows_total} rows were done"
        self.expect(now.state not in SETTLED, f"{now.state} when it was hurt: {done}")

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


def _unread_ports(pid: int) -> set[int]:
    """Ports over which something has arrived that nobody has read yet (Linux)."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(f[1].split(":")[1], 16) for f in fields if int(f[4].split(":")[1], 16)}


def _is_own(records: list[dict[str, Any]], text: str) -> bool:
    """Whether there is an answer and, of our own rows, whether it is this row's: the simulator
    answers with sentences of the text, and each text begins with its number."""
    begins = f"{PROMPT} {text.removeprefix(PROMPT).split(':')[0].strip()}:"
    if not text.startswith(begins):
        return bool(records)
    return bool(records) and all(begins in record.get("translation", "") for record in records)


def _digest(records: object) -> str:
    canonical = json.dumps(records, sort_keys=True).encode()
    return hashlib.sha256(canonical).hexdigest()[:16]


@contextmanager
def world(
    logs: Path, seed: int, *simulator: str, workers: int = 2, hook: bool = True, **settings: Any
) -> Iterator[World]:
    """A world whose parties log to `logs`; nothing else is left of it at the end.

    `simulator`: its options. `settings`: ours, by the names that their environment has. With
    `hook` an endpoint hears of all that happens, and it ends when all has arrived there.
    """
    with ExitStack() as stack:
        catching = stack.enter_context(sink(Log(logs, "sink")))
        journal = (f"--journal={logs.resolve() / 'simulator.jsonl'}", f"--seed={seed}")
        told = {**LOOPBACK, **_USUAL, **settings}
        on = stack.enter_context(stage(*journal, *simulator, workers=workers, **told))
        made = World(on, Log(logs, "campaign"), Log(logs, "producer"), catching, Random(seed))
        if hook:
            made.subscribe()
        yield made
        if hook:
            made.told()
        secrets = {f"secret of {path}": word for path, word in catching.secrets.items()}
        look(on, made.log, {"key": KEY, "prompt": PROMPT, **secrets})
