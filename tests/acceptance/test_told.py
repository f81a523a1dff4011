"""Events and webhooks as users have them: a worker, receivers behind URLs, the command line."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from builders import eventually
from jsonschema import Draft202012Validator
from standardwebhooks.webhooks import Webhook

from models.events import EVENT_TYPES
from models.states import JobState
from producers.services import environment
from proving.sinks import LOOPBACK
from proving.stage import Stage, stage, write_rows
from reference import events

MAESTRALE = str(Path(sys.executable).with_name("maestrale"))
pytestmark = pytest.mark.slow
VALID = Draft202012Validator(events.schema())


@dataclass
class Message:
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    def is_signed_with(self, secret: str) -> bool:
        """Whether the reference implementation takes it."""
        return bool(Webhook(secret).verify(self.body.decode(), self.headers))


@dataclass
class Inbox:
    """A server that keeps what it gets; `/gone` answers 410, `/bad` 500, all others 204."""

    url: str
    messages: list[Message] = field(default_factory=list)

    def at(self, path: str, kind: str = "", subject: str = "") -> list[Message]:
        """Messages to a path; of one type, of one job."""
        wanted = [found for found in self.messages if found.path == path]
        return [
            found
            for found in wanted
            if kind in ("", found.told["type"]) and f"evt_{subject}" in found.id
        ]

    def awaited(self, path: str, kind: str, subject: str = "") -> Message:
        """The first such message."""
        return eventually(lambda: self.at(path, kind, subject), f"{kind} at {path}", within_s=60)[0]


@contextmanager
def an_inbox() -> Iterator[Inbox]:
    """Listens on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            inbox.messages.append(Message(self.path, headers, body))
            self.send_response({"/gone": 410, "/bad": 500}.get(self.path, 204))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    inbox = Inbox(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield inbox
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def on() -> Iterator[Stage]:
    """One system for all these tests: they share nothing but its processes."""
    options = ("--latency-median=0.02", "--latency-p95=0.04")
    with stage(*options, workers=1, **LOOPBACK) as running:
        yield running


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A receiver of the test's own."""
    with an_inbox() as found:
        yield found


@pytest.fixture
def texts(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Six rows that no other test has."""
    start = abs(hash(request.node.name)) % 1_000_000
    return write_rows(tmp_path / "texts.jsonl", 6, start=start)


def maestrale(on: Stage, *arguments: str, code: int = 0) -> str:
    """One command of a user of this home, to its end."""
    done = subprocess.run(
        [MAESTRALE, *arguments],
        env=environment(on.client.settings),
        cwd=on.home,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


# -- what is sent ----------------------------------------------------------------------------------


def test_every_message_fits_the_schema_and_its_signature(
    on: Stage, inbox: Inbox, texts: Path, tmp_path: Path
) -> None:
    """Jobs that succeed, fail, pause and are cancelled; a test; an endpoint that is gone."""
    hooks = on.client.webhooks
    everything, secret = hooks.add(inbox.url + "/all")
    hooks.add(inbox.url + "/gone", patterns=["job.succeeded"])
    good = on.client.generate(texts, recipe="translate")
    assert on.client.wait(good.id).state == JobState.SUCCEEDED
    more, others = (write_rows(tmp_path / f"{n}.jsonl", 4, start=n) for n in (77_000, 78_000))
    on.steer("faults", rates={"empty_content": 1})
    bad = on.client.generate(more, recipe="translate", max_failed_share=0.0)
    assert on.client.wait(bad.id).state == JobState.FAILED
    on.steer("faults", rates={"unauthorized": 1})
    given_up = on.client.generate(others, recipe="translate")
    assert on.client.wait(given_up.id).state == JobState.PAUSED
    on.client.cancel(given_up.id)
    on.steer("faults")
    assert hooks.test(everything.id).is_good

    last = [
        ("job.succeeded", good.id),
        ("job.failed", bad.id),
        ("job.paused", given_up.id),
        ("job.cancelled", given_up.id),
        ("webhook.test", everything.id),
        ("endpoint.disabled", ""),
    ]
    for kind, subject in last:
        inbox.awaited("/all", kind, subject)
    for job in (good, bad, given_up):  # the last one may come before another
        eventually(
            lambda j=job: in_whole(inbox.at("/all", subject=j.id)), "each of its events once"
        )
    told = inbox.at("/all")
    for message in told:
        VALID.validate(message.told)
        assert message.is_signed_with(secret)
        assert message.headers["content-type"] == "application/json"
        assert len(message.body) < 20_000
    kinds = {message.told["type"] for message in told}
    assert kinds >= {kind for kind, _ in last} | {"job.queued", "job.running"}
    assert kinds <= set(EVENT_TYPES)
    assert {m.told["type"] for m in inbox.at("/gone")} == {"job.succeeded"}
    (gone,) = [one for one in hooks.all_() if one.url.endswith("/gone")]
    assert (gone.state, "410" in gone.reason) == ("disabled", True)
    hooks.disable(everything.id)


def in_whole(messages: list[Message]) -> bool:
    """Whether none of a job's events is missing or there twice."""
    numbers = sorted(message.told["data"]["seq"] for message in messages)
    return numbers == list(range(1, len(numbers) + 1))


def test_an_endpoint_is_tried_from_the_command_line(on: Stage, inbox: Inbox) -> None:
    """Exit code 0 with its answer, 1 with what went wrong; and a log of it."""
    hooks = on.client.webhooks
    good, secret = hooks.add(inbox.url + "/in", patterns=["webhook.test"])
    bad, _ = hooks.add(inbox.url + "/bad", patterns=["webhook.test"])
    assert "answered 204" in maestrale(on, "webhooks", "test", good.id)
    assert inbox.awaited("/in", "webhook.test").is_signed_with(secret)
    assert "500" in maestrale(on, "webhooks", "test", bad.id, code=1)
    failed = hooks.deliveries(failed=True, endpoint_id=bad.id)
    assert [(one["event_type"], one["last_status"]) for one in failed] == [("webhook.test", 500)]
    for one in (good, bad):
        hooks.disable(one.id)


def test_after_a_rotation_the_old_and_the_new_secret_verify(on: Stage, inbox: Inbox) -> None:
    """A receiver that was changed and one that was not take the very same message."""
    hooks = on.client.webhooks
    endpoint, old = hooks.add(inbox.url + "/in", patterns=["webhook.test"])
    _, new, _ = hooks.rotate(endpoint.id)
    assert hooks.test(endpoint.id).is_good
    (message,) = inbox.at("/in")
    assert len(message.headers["webhook-signature"].split()) == 2
    assert message.is_signed_with(old)
    assert message.is_signed_with(new)
    hooks.disable(endpoint.id)


def test_a_replayed_message_has_its_old_id_and_body(on: Stage, inbox: Inbox) -> None:
    """So that a receiver knows it again."""
    hooks = on.client.webhooks
    endpoint, secret = hooks.add(inbox.url + "/in", patterns=["webhook.test"])
    tested = hooks.test(endpoint.id)
    assert tested.is_good
    maestrale(on, "webhooks", "replay", str(tested.delivery_id))
    first, again = eventually(
        lambda: len(inbox.at("/in")) == 2 and inbox.at("/in"), "it comes again"
    )
    assert (first.id, first.body) == (again.id, again.body)
    assert again.is_signed_with(secret)
    eventually(lambda: len(hooks.attempts(tested.delivery_id)) == 2, "both are in the log")
    hooks.disable(endpoint.id)


def test_a_producer_killed_before_it_publishes_changes_nothing(
    on: Stage, inbox: Inbox, texts: Path
) -> None:
    """Job, endpoint and event are one transaction: the job runs and its end is told."""
    program = (
        "import os, sys\n"
        "from producers.client import Maestrale\n"
        "from producers.cli import main\n"
        "Maestrale.ring_for = lambda *_: os._exit(9)\n"
        "main(sys.argv[1:])\n"
    )
    arguments = ["generate", str(texts), "-r", "translate", "--webhook", inbox.url + "/job"]
    killed = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=environment(on.client.settings),
        cwd=on.home,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == 9
    (job,) = on.client.jobs(limit=1)
    assert inbox.awaited("/job", "job.queued", job.id)
    assert inbox.awaited("/job", "job.succeeded", job.id).told["data"]["rows_done"] == 6
    assert {m.told["data"]["job_id"] for m in inbox.at("/job")} == {job.id}


# -- watching --------------------------------------------------------------------------------------


def test_events_are_followed_live_until_ctrl_c(on: Stage, texts: Path) -> None:
    """A line of JSON each, as they come; Ctrl-C ends it without a word."""
    with subprocess.Popen(
        [MAESTRALE, "events", "--follow", "--json"],
        env=environment(on.client.settings),
        cwd=on.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines: list[dict[str, Any]] = []
        reader = threading.Thread(target=_read, args=(process.stdout, lines))
        reader.start()
        marker, _ = on.client.webhooks.add("http://127.0.0.1:1/", patterns=["budget.reached"])
        eventually(lambda: _something_happens(on, marker.id) and lines, "it follows", within_s=60)
        job = on.client.generate(texts, recipe="translate")
        on.client.wait(job.id)
        kinds = [event.type for event in on.client.events.of(job.id)]
        eventually(lambda: len(_of(lines, job.id)) >= len(kinds), "all of the job's are shown")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        reader.join(30)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert _of(lines, job.id) == kinds
    assert kinds[0] == "job.queued"
    assert kinds[-1] == "job.succeeded"
    words = maestrale(on, "events", job.id)
    assert [line.split()[3] for line in words.strip().split("\n")] == kinds


def _read(stream: Iterator[str], lines: list[dict[str, Any]]) -> None:
    lines.extend(map(json.loads, stream))


def _of(lines: list[dict[str, Any]], subject: str) -> list[str]:
    """The types of one subject's events as they were shown."""
    return [one["type"] for one in list(lines) if one["subject"] == subject]


def _something_happens(on: Stage, endpoint_id: str) -> bool:
    """An event that nobody is told of."""
    on.client.webhooks.disable(endpoint_id)
    on.client.webhooks.enable(endpoint_id)
    return True


# -- secrets ---------------------------------------------------------------------------------------


def test_secrets_lie_nowhere_in_the_open(on: Stage, inbox: Inbox, texts: Path) -> None:
    """Not in the database, the logs, the broker's file or a spool, whatever was done with them."""
    hooks = on.client.webhooks
    made = json.loads(maestrale(on, "webhooks", "add", inbox.url + "/secret", "--json"))
    _, rotated, _ = hooks.rotate(made["id"])
    arguments = ("generate", str(texts), "-r", "translate", "--json")
    ran = json.loads(maestrale(on, *arguments, "--webhook", inbox.url + "/other"))
    inbox.awaited("/other", "job.succeeded", ran["job"]["id"])
    assert hooks.test(made["id"]).is_good
    secrets = [made["secret"], rotated, ran["webhooks"][0]["secret"]]
    assert len(set(secrets)) == 3
    files = [path for path in sorted(on.home.rglob("*")) if path.is_file()]
    assert any(path.name == "maestrale.db" for path in files)
    assert any(path.suffix == ".log" for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.removeprefix("whsec_").encode() not in content, path
