"""Judges end to end: real workers, and a model server of our own whose judge leans to a side.

What models say is a function of the request, so that calls can be counted by what they asked.
"""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import eventually

from models.settings import Settings
from models.states import JobState
from models.suites.outcomes import Grounds, Outcome, Verdict
from models.tables import Job
from producers import Maestrale
from producers.evaluating import Evaluating, Wish
from producers.services import Services

LEGAL = Path(__file__).parents[3] / "shared" / "data" / "legal_questions_fr.jsonl"
WORTH = {"base": 1, "equal": 1, "tuned": 2}
"""What a model's answers are worth to the judge, of three points; each says whose it is."""
LEANING = 1
"""What the judge gives the answer that stands first, besides."""
CRITERIA = ("exact", "sourced", "clear")

SUITE = """
name = "law"
kind = "pairwise"
[prompts.default]
prompt = "{{ row.question }}"
[judge]
model = "judge"
[judge.ask]
prompt = '''{{ row.question }}
1: {{ first }}
2: {{ second }}
{% for one in criteria %}{{ one.name }}, {{ one.points }}: {{ one.description }}
{% endfor %}'''
[[judge.criteria]]
name = "exact"
description = "It states the law as it stands."
[[judge.criteria]]
name = "sourced"
description = "It names the article that it relies on."
[[judge.criteria]]
name = "clear"
description = "Somebody without training understands it."
"""
GROUNDED = """
name = "ground"
kind = "grounded"
[prompts.default]
prompt = "{{ row.question }}"
[grounding]
model = "judge"
question = "{{ row.question }}"
context = "{{ row.answer }}"
questions = 2
"""


class Handler(BaseHTTPRequestHandler):
    """One request to the made-up models."""

    protocol_version = "HTTP/1.1"
    asked: Counter[str]
    latency_s: float

    def do_POST(self) -> None:
        """Answers after the latency; what was asked is counted."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body.pop("prompt_cache_key", None)
        self.asked[json.dumps(body, sort_keys=True)] += 1
        time.sleep(self.latency_s)
        told = embedded(body) if "input" in body else said(body)
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        answer = {"id": "1", "object": "o", "created": 1, "model": body["model"], "usage": usage}
        text = json.dumps({**answer, **told}).encode()
        with suppress(BrokenPipeError):  # who asked was killed
            self._send(text)

    def _send(self, text: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def said(body: dict[str, Any]) -> dict[str, Any]:
    text = body["messages"][-1]["content"]
    content = f"{body['model']} says: see article 12." if body["model"] != "judge" else None
    message = {"role": "assistant", "content": content or json.dumps(judged(body, text))}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def judged(body: dict[str, Any], text: str) -> dict[str, Any]:
    """By the form that is asked for; points by whose answer it is, and where it stands."""
    match body["response_format"]["json_schema"]["name"]:
        case "claims":
            return {"claims": ["There is an article 12.", "It is to be seen."]}
        case "support":
            claims = text.count("\n1. ") + text.count("\n2. ")
            return {"verdicts": [{"claim": "-", "supported": n == 0} for n in range(claims)]}
        case "question_back":
            return {"question": "What does article 12 say?", "noncommittal": False}
    lines = dict(line.split(": ", 1) for line in text.splitlines() if line[:3] in ("1: ", "2: "))
    first, second = (WORTH[lines[place].split()[0]] for place in "12")
    return {"first": points(first + LEANING), "second": points(second)}


def points(count: int) -> dict[str, int]:
    return {name: int(number < count) for number, name in enumerate(CRITERIA)}


def embedded(body: dict[str, Any]) -> dict[str, Any]:
    vectors = ([float(len(text) % 7 + 1), 1.0] for text in body["input"])
    return {
        "data": [
            {"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(vectors)
        ]
    }


@dataclass
class World:
    """A producer with its workers, and what their models were asked."""

    maestrale: Maestrale
    services: Services
    asked: Counter[str]
    folder: Path

    def submit(self, suite: str, *models: str, **changes: Any) -> Job:
        """The suite put to the models, whatever was submitted before."""
        path = self.folder / "suite.toml"
        path.write_text(suite)
        wish = Wish(str(path), models, data=str(self.folder / "rows.jsonl"), **changes)
        evaluating = Evaluating(self.maestrale)
        with evaluating.plan(wish) as plan:
            return evaluating.submit(plan, again=True)

    def evaluate(self, suite: str, *models: str, **changes: Any) -> Job:
        """To its end."""
        job = self.maestrale.wait(self.submit(suite, *models, **changes).id)
        assert (job.state, job.rows_failed) == (JobState.SUCCEEDED, 0)
        return job

    def outcomes(self, job: Job) -> Iterator[Outcome]:
        """All that was found out."""
        for row in Evaluating(self.maestrale).found(job):
            yield from row.outcomes

    def verdicts(self, job: Job) -> list[Verdict]:
        return [one for one in self.outcomes(job) if isinstance(one, Verdict)]


@contextmanager
def serving(latency_s: float) -> Iterator[tuple[str, Counter[str]]]:
    """The server's address, and what it was asked."""
    asked: Counter[str] = Counter()
    handler = type("Asked", (Handler,), {"asked": asked, "latency_s": latency_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def a_world(
    make_settings: Callable[..., Settings], redis_url: str, tmp_path: Path
) -> Iterator[Callable[..., World]]:
    """One worker, and rows of questions and answers on law."""
    with ExitStack() as stack:

        def start(rows: int, latency_s: float = 0.0) -> World:
            url, asked = stack.enter_context(serving(latency_s))
            settings = make_settings(REDIS_URL=redis_url, MAESTRALE_LEASE=2.0, MISTRAL_BASE_URL=url)
            maestrale = stack.enter_context(Maestrale(settings))
            maestrale.migrate()
            services = Services(settings)
            stack.callback(services.stop, patience_s=30)
            services.start_workers(1)
            write_questions(tmp_path / "rows.jsonl", rows)
            return World(maestrale, services, asked, tmp_path)

        yield start


def write_questions(path: Path, count: int) -> None:
    """Of the people's, if they are here; others would do."""
    if LEGAL.exists():
        lines = LEGAL.read_text().splitlines()[:count]
    else:
        made = [{"question": f"May I, {n}?", "answer": f"Article {n}."} for n in range(count)]
        lines = [json.dumps({"id": f"q{n}", **one}) for n, one in enumerate(made)]
    path.write_text("".join(line + "\n" for line in lines))


def means(verdicts: list[Verdict]) -> dict[str, float]:
    """Points per answer, by model."""
    found: dict[str, list[int]] = {}
    for one in verdicts:
        for model, told in ((one.first, one.first_points), (one.second, one.second_points)):
            found.setdefault(model, []).append(sum((told or {}).values()))
    return {model: sum(given) / len(given) for model, given in found.items()}


def wins(verdicts: list[Verdict], one: str, other: str) -> Counter[str]:
    """Who has more points in each verdict on the two."""
    found: Counter[str] = Counter()
    for told in verdicts:
        if {told.first, told.second} == {one, other}:
            lead = sum((told.first_points or {}).values()) - sum(
                (told.second_points or {}).values()
            )
            found[told.first if lead > 0 else told.second if lead < 0 else ""] += 1
    return found


def test_two_orders_cancel_a_judges_leaning(a_world: Callable[..., World]) -> None:
    """A judge that always favours what it sees first: in one order alone the base beats its equal
    in every row; over both they have the same points, and the better model still leads."""
    world = a_world(12)
    job = world.evaluate(SUITE, "base", "equal", "tuned")
    verdicts = world.verdicts(job)
    assert len(verdicts) == 12 * 3 * 2
    one_order = [told for told in verdicts if told.first == "base"]
    assert wins(one_order, "base", "equal") == {"base": 12}  # the planted bias, uncancelled
    assert wins(verdicts, "base", "equal") == {"base": 12, "equal": 12}
    found = means(verdicts)
    assert found["base"] == found["equal"] == 1.5
    assert found["tuned"] == 2.5
    assert wins(verdicts, "base", "tuned") == {"tuned": 12, "": 12}


def test_repeated_it_asks_nobody_and_one_more_model_pays_for_itself_alone(
    a_world: Callable[..., World],
) -> None:
    """The new model's answers, and the verdicts that it stands in."""
    world = a_world(10)
    first = world.evaluate(SUITE, "base", "tuned")
    assert first.calls_made == world.asked.total() == 10 * (2 + 2)
    again = world.evaluate(SUITE, "base", "tuned")
    assert (again.calls_made, again.cost_nano) == (0, 0)
    assert list(world.outcomes(again)) == list(world.outcomes(first))
    before = set(world.asked)
    more = world.evaluate(SUITE, "base", "tuned", "equal")
    assert more.calls_made == 10 * (1 + 2 * 2)
    assert all("equal" in request for request in set(world.asked) - before)
    assert set(world.asked.values()) == {1}


def test_grounds_are_free_to_repeat(a_world: Callable[..., World]) -> None:
    """Claims, verdicts, questions back and vectors are all in the ledger."""
    world = a_world(6)
    job = world.evaluate(GROUNDED, "base", "tuned")
    found = [one for one in world.outcomes(job) if isinstance(one, Grounds)]
    assert [one.faithfulness for one in found] == [0.5] * 12
    assert all(one.relevancy is not None and 0 < one.relevancy <= 1 for one in found)
    total = world.asked.total()
    again = world.evaluate(GROUNDED, "base", "tuned")
    assert (again.calls_made, world.asked.total()) == (0, total)
    assert list(world.outcomes(again)) == list(world.outcomes(job))


def test_a_killed_worker_costs_what_was_in_flight(a_world: Callable[..., World]) -> None:
    """kill -9 among the verdicts: the next worker goes on, and repeats only what was in doubt."""
    world = a_world(60, latency_s=0.3)
    job = world.submit(SUITE, "base", "tuned")
    eventually(lambda: any("judge" in one for one in list(world.asked)), "verdicts are asked for")
    (worker,) = [one for one in world.services.running() if one.name == "worker1"]
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: not world.services.running(), "it is dead")
    world.services.start_workers(1)
    job = world.maestrale.wait(job.id)
    assert (job.state, job.rows_done) == (JobState.SUCCEEDED, 60)
    assert len(world.verdicts(job)) == 60 * 2
    twice = sum(times - 1 for times in world.asked.values())
    assert twice <= job.calls_doubtful
    assert len(world.asked) == 60 * 4
