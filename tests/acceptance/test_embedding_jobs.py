"""Embedding jobs with real workers: texts travel together, nothing is lost, nothing paid twice."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import eventually
from test_cli import Terminal

from models import served
from models.states import FailureCode, JobState
from models.tables import Job
from models.vectors import read_store
from producers.embedding import Embeddings, Wish
from proving.stage import Stage

OnStage = Callable[..., Stage]
TEXT = "{{ row.text }}"
TOKENS = 8
"""Of each text, as the simulator counts them."""


def write_texts(path: Path, count: int, *, start: int = 0) -> Path:
    """Distinct texts of the same number of tokens."""
    lines = [{"id": f"r{n}", "text": f"document {n:08d} of many more."} for n in range(count)]
    path.write_text("\n".join(map(json.dumps, lines[start:])))
    return path


def submitted(on: Stage, source: Path, *, again: bool = False, **changes: Any) -> Job:
    """An embedding job of these texts."""
    embeddings = Embeddings(on.client)
    with embeddings.plan(Wish(source, TEXT, **changes)) as plan:
        return embeddings.submit(plan, again=again)


def finished(on: Stage, job: Job) -> Job:
    """The job at its end; why rows failed is said if any did."""
    job = on.client.wait(job.id)
    assert job.state == JobState.SUCCEEDED, job.state_reason
    return job


def test_a_thousand_texts_take_few_requests_and_the_second_time_none(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """At ten requests a second: sixteen would do, and a few more are sent before groups are full.

    Each text is a call of its own in the ledger, and all their tokens are those the API counted.
    """
    on = on_stage("--limit", "*=600", "--window", "1", workers=2, limits="*=600/min")
    source = write_texts(tmp_path / "texts.jsonl", 1_000)
    job = finished(on, submitted(on, source))
    stats = on.stats()
    assert stats["requests"] <= 60, "texts travelled together"
    assert (job.rows_done, job.calls_made) == (1_000, 1_000)
    assert stats["tokens_in"] == 1_000 * TOKENS
    assert job.prompt_tokens == 1_000 * TOKENS
    assert job.cost_nano == 1_000 * TOKENS * 100

    embeddings = Embeddings(on.client)
    store = embeddings.store(job)
    found = read_store(Path(store.path))
    assert found.ids == [f"r{number}" for number in range(1_000)]
    assert found.matrix.shape == (1_000, 1024)
    nearest = (found.matrix @ found.matrix[17]).argmax()
    assert nearest == 17, "each has its own vector"

    again = finished(on, submitted(on, source, again=True))
    assert (again.calls_made, again.calls_from_ledger) == (0, 1_000)
    assert on.stats()["requests"] == stats["requests"]
    assert embeddings.store(again).hash == store.hash


def test_a_killed_worker_loses_nothing_and_pays_twice_only_what_was_in_flight(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """kill -9 with groups under way: every row once, and what the API executed beyond the rows is
    on record as doubts, text by text."""
    on = on_stage("--latency-median", "0.3", "--limit", "*=600", "--window", "1", workers=1)
    job = submitted(on, write_texts(tmp_path / "texts.jsonl", 3_000))
    eventually(lambda: on.client.get(job.id).rows_done > 200, "work has begun")
    eventually(lambda: on.stats()["in_flight"] > 0, "a group is under way")
    on.kill("worker1")
    before = on.client.get(job.id).rows_done
    assert before < 3_000
    on.restart_workers()
    job = finished(on, job)
    assert (job.rows_done, job.rows_failed) == (3_000, 0)
    assert job.prompt_tokens == 3_000 * TOKENS, "each text is paid for once, by its share"
    twice = on.stats()["tokens_in"] // TOKENS - 3_000
    assert 0 <= twice <= job.calls_doubtful
    store = Embeddings(on.client).store(job)
    assert store.documents == 3_000


def test_by_batch_a_text_is_a_line_and_the_vectors_are_the_same(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """Half the price, no request in real time; a text that is too long fails by name either way."""
    on = on_stage(workers=1)
    source = write_texts(tmp_path / "texts.jsonl", 120)
    with source.open("a") as out:
        out.write("\n" + json.dumps({"id": "long", "text": "word " * 8_000}))
    job = finished(on, submitted(on, source, via="batch", store="by-batch"))
    stats = on.stats()
    assert (stats["requests"], stats["batch_executed"]) == (0, 120)
    assert job.cost_nano == 120 * TOKENS * 50
    (failure,) = on.client.failures(job.id)
    assert (failure["row_id"], failure["code"]) == ("long", FailureCode.REQUEST_REJECTED)
    by_batch = Embeddings(on.client).store(job)

    fresh = write_texts(tmp_path / "more.jsonl", 180, start=60)
    with fresh.open("a") as out:
        out.write("\n" + json.dumps({"id": "long", "text": "word " * 8_000}))
    more = finished(on, submitted(on, fresh))
    (failure,) = on.client.failures(more.id)
    assert (failure["row_id"], failure["code"]) == ("long", FailureCode.REQUEST_REJECTED)
    assert "8192" in failure["detail"]
    assert (more.calls_made, more.calls_from_ledger) == (60, 60)
    assert on.stats()["requests"] <= 2 + 2 * 6, "only the long text's neighbours were asked again"
    first = read_store(Path(by_batch.path))
    second = read_store(Path(Embeddings(on.client).store(more).path))
    assert first.ids[60:] == second.ids[:60]
    assert (first.matrix[60:] == second.matrix[:60]).all()


class Engine(ThreadingHTTPServer):
    """Answers like llama.cpp's server, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()


class Answering(BaseHTTPRequestHandler):
    """One request: no `id`, vectors in another order than their texts."""

    server: Engine

    def do_POST(self) -> None:
        """A vector tells the length of its text."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self.server.keys.add(self.headers.get("Authorization"))
        data = [
            {"embedding": [float(len(text)), 1.0], "index": at, "object": "embedding"}
            for at, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 3 * len(data), "total_tokens": 3 * len(data)}
        told = {"model": body["model"], "object": "list", "usage": usage, "data": data[::-1]}
        answer = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A server of this machine."""
    opened = Engine()
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    yield opened
    opened.shutdown()
    opened.server_close()


def test_a_model_served_here_embeds_by_the_command_line(
    on_stage: OnStage, engine: Engine, tmp_path: Path
) -> None:
    """Texts travel together to it too, without our key; at the end of the command is the store."""
    on = on_stage(workers=1)
    served.note(on.home, engine.server_port, ("nomic-embed",), parallel=1)
    source = tmp_path / "docs.jsonl"
    texts = ["x" * (1 + number % 50) + f" {number}" for number in range(300)]
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]
    source.write_text("\n".join(lines))
    terminal = Terminal(tmp_path, on.url, on.home)
    command = ("embed", str(source), "--text", TEXT, "--model", "nomic-embed")
    told = terminal.facts(*command)
    assert told["job"]["calls"]["paid"] == 300
    assert told["store"]["documents"] == 300
    assert len(engine.asked) < 60
    assert engine.keys == {None}
    assert on.stats()["requests"] == 0
    store = read_store(Path(told["store"]["path"]))
    for place, text in enumerate(texts):
        cosine = float(store.matrix[place] @ [len(text), 1.0])
        assert cosine == pytest.approx((len(text) ** 2 + 1) ** 0.5, rel=1e-5)
    (listed,) = terminal.facts("stores")
    assert (listed["name"], listed["model"], listed["dimensions"]) == ("docs", "nomic-embed", 2)
