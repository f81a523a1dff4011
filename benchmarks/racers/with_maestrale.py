"""Racer: Maestrale with everything on: server, two workers, ledger, database."""

import json
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import track

from models.settings import Settings
from producers import Maestrale
from producers.services import Services

EVERY_S = 0.05


def _settings(told: track.Asked) -> Settings:
    return Settings(
        _env_file=None,
        MAESTRALE_HOME=told.home,
        MISTRAL_API_KEY="bench",
        MISTRAL_BASE_URL=told.url,
        MAESTRALE_LIMITS=f"{track.MODEL}={told.rate}/s" if told.rate else "",
        MAESTRALE_ROWS_IN_FLIGHT=max(1, told.in_flight // told.processes),
    )


def _await_workers(client: Maestrale, count: int) -> None:
    """Workers of an earlier life were killed; those of this one have signed since."""
    began = time.time()
    while sum(worker.seen_at > began for worker in client.workers()) < count:
        time.sleep(EVERY_S)


def _answers(client: Maestrale, job_id: str) -> Iterator[track.Answer]:
    for row_id, records in client.results(job_id):
        yield track.Answer(row_id, records[0]["translation"])
    for row in client.failures(job_id, limit=1_000_000):
        yield track.Answer(row["row_id"], error=row["code"])


def _run(client: Maestrale, source: Path, **how: str) -> str:
    """A job from its rows to its end; answers its id."""
    job = client.generate(source, recipe="translate", **how)
    return deque(client.watch(job.id, every_s=EVERY_S), maxlen=1).pop().id


def _rehearsal(told: track.Asked) -> Path:
    path = Path(told.home) / "rehearsal.jsonl"
    (call,) = track.rehearsal()
    path.write_text(json.dumps({"id": call.id, "text": call.messages[0]["content"]}) + "\n")
    return path


def main() -> None:
    """One job of all rows; the same key again finds the job that a kill -9 left behind."""
    told = track.asked()
    services = Services(_settings(told))
    try:
        services.start_server()
        with Maestrale(services.settings) as client:
            client.migrate()
            services.start_workers(told.processes)
            _await_workers(client, told.processes)
            _run(client, _rehearsal(told))
            track.await_start()
            source = Path(told.folder) / "rows.jsonl"
            track.finish(told, _answers(client, _run(client, source, idempotency_key="race")))
    finally:
        services.stop()


if __name__ == "__main__":
    main()
