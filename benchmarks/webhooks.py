"""Webhooks from real workers to real servers: delays, slow endpoints, twenty faults.

`python -m benchmarks.webhooks [--only=many,slow,faults]`, two worker processes, SQLite.
many: 1,000 events, written at once, to 5 endpoints. slow: 50 endpoints, 5 of which never finish
the head of an answer. faults: 20 endpoints that fail in 20 ways, each hears the same events; time
passes by hand (what is pending is made due), so that ten attempts do not take three days.
Delays are from the event's commit to the arrival of the request.
"""

import base64
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles

from sqlalchemy import func, select, update

from models.sealing import Sealer
from models.store import deliveries, endpoints, events
from models.store.engine import now_s
from proving.sinks import (
    LOOPBACK,
    Reply,
    Sinks,
    at_first,
    body_drips,
    closes,
    drips,
    no_http,
    resets,
    says,
    silent,
    sinks,
    well,
)
from proving.stage import Stage, stage, write_rows

MODEL_LATENCY = ("--latency-median", "0.05", "--latency-p95", "0.1")
PATIENCE_S = 240.0
FAULTS: dict[str, Reply | str] = {
    "500 for ever": says(500),
    "500 twice": at_first(says(500), 2),
    "503, Retry-After 1": at_first(says(503, "Retry-After: 1\r\n")),
    "429, Retry-After a day": at_first(says(429, "Retry-After: 86400\r\n")),
    "429, Retry-After garbage": at_first(says(429, "Retry-After: soon\r\n")),
    "302 for ever": says(302, "Location: http://127.0.0.1:1/\r\n"),
    "301 once": at_first(says(301, "Location: http://127.0.0.1:1/\r\n")),
    "404 for ever": says(404),
    "410": says(410),
    "reset for ever": resets,
    "reset twice": at_first(resets, 2),
    "closes without an answer": at_first(closes),
    "never answers, once": at_first(silent),
    "slow-loris, once": at_first(drips),
    "a body without end": body_drips,
    "1 GB with 500": at_first(says(500, gigabytes=1)),
    "1 GB with 200": says(200, gigabytes=1),
    "not HTTP": no_http,
    "bad TLS": "https://127.0.0.1:{tls_port}/bad-tls",
    "nobody listens": "http://127.0.0.1:1/",
}


@dataclass
class Told:
    """A stage with a job to tell of, and servers to tell it to."""

    on: Stage
    job_id: str
    sinks: Sinks

    def endpoint(self, url: str) -> str:
        """A new endpoint that hears of progress only; its id."""
        secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        sealed = Sealer(self.on.services.settings).seal(secret)
        endpoint_id = f"ep_{os.urandom(6).hex()}"
        with self.on.client.store.write() as connection:
            endpoints.create(
                connection, endpoint_id, url=url, secret=sealed, patterns=["job.progressed"]
            )
        return endpoint_id

    def at_path(self, path: str, reply: Reply = well) -> str:
        """An endpoint at a path of our server that answers so."""
        self.sinks.replies[path] = reply
        return self.endpoint(f"http://127.0.0.1:{self.sinks.port}{path}")

    def endpoint_of_fault(self, name: str) -> str:
        """An endpoint that fails like this."""
        match FAULTS[name]:
            case str() as url:
                return self.endpoint(url.format(tls_port=self.sinks.tls_port))
            case reply:
                return self.at_path("/" + name.replace(" ", "-").replace(",", ""), reply)

    def tell(self, count: int, *, at_once: int = 10) -> dict[str, float]:
        """Writes events, `at_once` a transaction; when each was written, by its message id."""
        for _ in range(0, count, at_once):
            with self.on.client.store.write() as connection:
                for _ in range(at_once):
                    events.write(connection, self.job_id, "job.progressed")
        table = events.events
        query = select(table.c.seq, table.c.created_at).where(
            table.c.subject_id == self.job_id, table.c.type == "job.progressed"
        )
        with self.on.client.store.read() as connection:
            found = connection.execute(query.order_by(table.c.seq.desc()).limit(count)).all()
        return {f"evt_{self.job_id}_{seq}": at for seq, at in found}

    def states(self, endpoint_id: str | None = None) -> Counter[str]:
        """Deliveries by state."""
        table = deliveries.deliveries
        query = select(table.c.state, func.count().label("n")).group_by(table.c.state)
        if endpoint_id:
            query = query.where(table.c.endpoint_id == endpoint_id)
        with self.on.client.store.read() as connection:
            return Counter({row.state: row.n for row in connection.execute(query)})

    def wait(self, done: Callable[[], bool]) -> None:
        """Until it is done, or patience ends."""
        deadline = time.monotonic() + PATIENCE_S
        while not done() and time.monotonic() < deadline:
            time.sleep(0.2)

    def let_time_fly(self) -> None:
        """What waits for its next attempt is due now (attempts under way are left alone)."""
        table = deliveries.deliveries
        with self.on.client.store.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.state == "pending", table.c.next_at > now_s() + 60)
                .values(next_at=now_s())
            )

    def delays(self, paths: Sequence[str], written: dict[str, float]) -> list[float]:
        """Seconds from commit to the first arrival, of every event at every path."""
        first: dict[tuple[str, str], float] = {}
        for path in paths:
            for message_id, at in self.sinks.arrived[path]:
                first.setdefault((path, message_id), at)
        return [at - written[name] for (_, name), at in first.items() if name in written]


@contextmanager
def telling() -> Iterator[Told]:
    """Workers, servers, and a job of one row that is over."""
    with sinks() as servers, stage(*MODEL_LATENCY, workers=2, **LOOPBACK) as on:
        rows = write_rows(on.home / "rows.jsonl", 1)
        job = on.client.wait(on.client.generate(rows, recipe="translate").id)
        yield Told(on, job.id, servers)


def many() -> bool:
    """1,000 events to 5 endpoints: all arrive."""
    with telling() as told:
        paths = [f"/many/{number}" for number in range(5)]
        for path in paths:
            told.at_path(path)
        begun = time.monotonic()
        written = told.tell(1000)
        writing_s = time.monotonic() - begun
        wanted = len(paths) * len(written)
        told.wait(lambda: told.states()["delivered"] >= wanted)
        took_s = time.monotonic() - begun
        delays = told.delays(paths, written)
        arrived = sum(len(told.sinks.arrived[path]) for path in paths)
    p50, p95 = median(delays), quantiles(delays, n=20)[-1]
    print(
        f"many: {len(delays):,} of {wanted:,} deliveries arrived, {arrived - len(delays)} of them "
        f"again; events written in {writing_s:.1f} s, all delivered after {took_s:.1f} s "
        f"({wanted / took_s:.0f}/s); delay p50 {p50:.2f} s, p95 {p95:.2f} s"
    )
    return len(delays) == wanted


def slow() -> bool:
    """50 endpoints, 5 of them slow-loris: the others' median delay is under a second."""
    with telling() as told:
        bad = [f"/bad/{number}" for number in range(5)]
        good = [f"/good/{number}" for number in range(45)]
        for path in bad:
            told.at_path(path, drips)
        for path in good:
            told.at_path(path)
        written: dict[str, float] = {}
        for _ in range(40):
            written |= told.tell(1, at_once=1)
            time.sleep(0.5)
        told.wait(lambda: told.states()["delivered"] >= len(good) * len(written))
        delays = told.delays(good, written)
        begun = sum(len(told.sinks.arrived[path]) for path in bad)
    p50, p95 = median(delays), quantiles(delays, n=20)[-1]
    wanted = len(good) * len(written)
    print(
        f"slow: {len(delays):,} of {wanted:,} deliveries to the 45 good endpoints arrived; delay "
        f"p50 {p50:.2f} s, p95 {p95:.2f} s, most {max(delays):.2f} s ({begun} attempts at the "
        "5 slow-loris meanwhile)"
    )
    return len(delays) == wanted and p50 < 1.0


def faults() -> bool:
    """20 endpoint faults: each event is delivered there, or listed as exhausted or disabled."""
    with telling() as told:
        ids = {name: told.endpoint_of_fault(name) for name in FAULTS}
        beside = told.at_path("/beside")
        count = len(told.tell(3, at_once=3))
        wanted = count * (len(ids) + 1)
        begun = time.monotonic()

        def settled() -> bool:
            told.let_time_fly()
            states = told.states()
            return states.total() == wanted and not states["pending"]

        told.wait(settled)
        took_s = time.monotonic() - begun
        found = {name: told.states(endpoint_id) for name, endpoint_id in ids.items()}
        neighbour = told.states(beside)["delivered"]
    for name, states in found.items():
        print(f"    {name}: " + ", ".join(f"{n} {state}" for state, n in sorted(states.items())))
    lost = sum(count - sum(states.values()) + states["pending"] for states in found.values())
    print(
        f"faults: {len(found)} endpoint faults, {count} events each, {lost} lost; their neighbour "
        f"had {neighbour} of {count}; {took_s:.0f} s"
    )
    return not lost and neighbour == count


def main() -> None:
    """Prints a line for each, and whether all hold."""
    only = next((a.split("=")[1].split(",") for a in sys.argv if a.startswith("--only=")), None)
    wanted = {"many": many, "slow": slow, "faults": faults}
    held = [measure() for name, measure in wanted.items() if only is None or name in only]
    print(
        "HOLDS" if all(held) else "BROKEN", "(all arrive; median beside slow-loris < 1 s; 0 lost)"
    )
    raise SystemExit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
