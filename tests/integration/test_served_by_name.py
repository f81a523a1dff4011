"""Real workers, the simulator as the API, and a model served beside it: each call finds its way."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import a_stored_job

from models import served
from models.states import JobState
from models.store import fleet, registry
from models.tables import TunedModel
from proving.stage import Stage, stage, write_rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROWS = 24
SEATS = 2


class Engine(ThreadingHTTPServer):
    """Stands in for `models serve`: answers any model, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()

    def counted(self, change: int) -> None:
        """So many requests more are under way."""
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)


class Answering(BaseHTTPRequestHandler):
    """One request."""

    server: Engine

    def do_POST(self) -> None:
        """An answer whose headers tell a limit, which is nobody's."""
        self.server.counted(1)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((body["model"], {k.lower(): v for k, v in self.headers.items()}))
        message = {"role": "assistant", "content": f"said by {body['model']}"}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        head = {"id": "cmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        answer = json.dumps({**head, "choices": choices, "usage": usage}).encode()
        self.server.counted(-1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-ratelimit-limit-req-minute", "1")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    """It listens; nobody knows of it yet."""
    opened = Engine()
    threading.Thread(target=opened.serve_forever, daemon=True).start()
    yield opened
    opened.shutdown()
    opened.server_close()


@pytest.fixture
def on() -> Iterator[Stage]:
    """Two workers whose API knows none of our models, and a limit told for all of its own."""
    with stage("--models", "mistral-small-latest", workers=2, limits="*=1200/min") as opened:
        yield opened


def a_tuned_model(on: Stage) -> None:
    """One that was trained here."""
    store = on.client.store
    values = {"base": "org/smollm2", "trainer": "local", "place": "runs/x", "created_at": 0.0}
    model = TunedModel(name="tuned", job_id=a_stored_job(store), **values)
    with store.write() as connection:
        registry.register(connection, model, {})


def failures(on: Stage, job_id: str) -> list[dict[str, Any]]:
    """Why rows failed, for the message of a test that does."""
    return on.client.failures(job_id, limit=3)


def said(on: Stage, job_id: str) -> set[str]:
    """The distinct answers of a job."""
    return {record["translation"] for _, some in on.client.results(job_id) for record in some}


def test_calls_go_by_name_to_a_model_served_here_and_all_others_to_the_api(
    on: Stage, engine: Engine, tmp_path: Path
) -> None:
    """Nobody restarts; the API never sees the model, and the server never sees the key."""
    a_tuned_model(on)
    texts = write_rows(tmp_path / "texts.jsonl", ROWS)
    ask = {"recipe": "translate"}
    early = on.client.wait(on.client.generate(texts, model="tuned", **ask).id)
    assert early.state == JobState.PAUSED
    assert "`maestrale models serve tuned` first" in (early.state_reason or "")

    served.note(on.home, engine.server_port, ("tuned", "smollm2"), parallel=SEATS)
    on.client.resume(early.id)
    base = on.client.generate(texts, model="smollm2", **ask).id
    api = on.client.generate(texts, **ask).id
    for job_id in (early.id, base, api):
        done = on.client.wait(job_id)
        assert (done.state, done.rows_done) == (JobState.SUCCEEDED, ROWS), failures(on, job_id)

    assert said(on, early.id) == {"said by tuned"}
    assert said(on, base) == {"said by smollm2"}
    assert not any(answer.startswith("said by") for answer in said(on, api))
    models = [model for model, _ in engine.asked]
    assert (models.count("tuned"), models.count("smollm2"), len(models)) == (ROWS, ROWS, 2 * ROWS)
    assert on.stats()["models"].keys() == {"mistral-small-latest"}
    assert on.stats()["models"]["mistral-small-latest"]["executed"] == ROWS
    told = [value for _, headers in engine.asked for value in headers.values()]
    assert not any("sk-stage" in value for value in told)
    assert not any("authorization" in headers for _, headers in engine.asked)
    assert engine.most <= SEATS * on.workers
    with on.client.store.read() as connection:
        learnt = fleet.limits_learnt(connection, on.client.settings.account)
    assert not any("tuned" in model or "smollm2" in model for model in learnt)
