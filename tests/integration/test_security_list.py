"""The security list, line by line: what `tests/security_list.py` does not point to is proved here.

The other lines have their tests where the thing itself is tested; that those tests are there is
checked by `tests/unit/test_security_table.py`.
"""

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
from builders import a_stored_job, claimed, done, eventually, settled
from kombu import Connection, Exchange, Queue
from running import PAPERS, SLOW_S, Deployment, a_deployment

from models.doorbell import RUN_SHARD, SHARDS, make_celery
from models.payloads import Succeeded
from models.states import JobState
from models.store.engine import Store
from producers.client import Maestrale
from producers.spreadsheets import disarmed

ROOT = Path(__file__).parents[2]


class Payload:
    """What a pickle may be: a command that runs when somebody opens it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The worker of the deployment, under its own ACL and command."""
    with a_deployment(tmp_path_factory.mktemp("deployment")) as running:
        assert running.start("migrate").wait(SLOW_S) == 0, running.log("migrate")
        running.start("worker")
        yield running


def send(deployment: Deployment, body: Any, **how: Any) -> None:
    """A message of anybody's making, into the queue that the worker reads."""
    app = make_celery(deployment.settings)
    with app.connection_for_write() as connection:
        producer = connection.Producer()
        queue = Queue(SHARDS, Exchange(SHARDS), routing_key=SHARDS)
        producer.publish(body, exchange=queue.exchange, routing_key=SHARDS, **how)
    app.close()


def is_read(deployment: Deployment) -> bool:
    """Whether nothing waits in the queue any more."""
    app = make_celery(deployment.settings)
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        return int(channel._size(SHARDS)) == 0


def test_json_only_a_pickle_is_never_opened(deployment: Deployment, tmp_path: Path) -> None:
    """Nor YAML, nor half a message: the worker throws them away, and works on."""
    marker = tmp_path / "owned"
    headers = {"task": RUN_SHARD, "id": "1", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    evil = Payload(marker)
    bodies: list[Any] = [evil, ([evil, 0], {}, {}), {"task": RUN_SHARD, "args": [evil]}]
    for body in bodies:
        send(deployment, body, serializer="pickle", headers=headers)
    of_yaml = f"!!python/object/apply:os.system ['touch {marker}']"
    for kind in ("application/x-yaml", "application/x-python-serialize", "text/plain"):
        send(deployment, of_yaml, content_type=kind, content_encoding="utf-8", headers=headers)
    for half in ("{", "[]", '[["job_x"], {}, null]', "null"):
        send(
            deployment,
            half,
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
        )
    eventually(lambda: is_read(deployment), "the worker took them all", within_s=SLOW_S)
    with Maestrale(deployment.settings) as maestrale:
        job = maestrale.generate(PAPERS, recipe="amira", limit=3)
        ended = (JobState.SUCCEEDED, JobState.FAILED)
        eventually(
            lambda: maestrale.get(job.id).state in ended, "a job is done", within_s=2 * SLOW_S
        )
        assert maestrale.get(job.id).rows_done == 3
    assert not marker.exists()


def test_a_pickle_would_have_run_where_it_is_allowed(tmp_path: Path) -> None:
    """The message above is a real one: kombu opens it for whoever accepts pickles."""
    marker = tmp_path / "owned"
    with Connection("memory://") as connection:
        queue = connection.SimpleQueue("open", serializer="pickle")
        queue.put(Payload(marker))
        queue.consumer.accept = {"application/x-python-serialize"}
        message = queue.get(timeout=5)
        message.accept = {"application/x-python-serialize"}
        assert message.payload == 0
    assert marker.exists()


def test_a_webhooks_secret_is_in_no_file_as_it_is(tmp_path: Path) -> None:
    """Encrypted at rest: neither the database nor its log hold it, in any spelling."""
    from models.settings import Settings  # noqa: PLC0415 # only here

    home = tmp_path / "home"
    settings = Settings(_env_file=None, home=home)
    with Maestrale(settings) as maestrale:
        maestrale.migrate()
        _, secret = maestrale.webhooks.add("https://hooks.example.org/in")
        found = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"hooks.example.org" in found
    assert secret.startswith("whsec_")
    assert secret.removeprefix("whsec_").encode() not in found
    keys = [path for path in home.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [path for path in keys if "key" in path.name] == []


FORMS: tuple[Literal["jsonl", "csv", "parquet"], ...] = ("jsonl", "csv", "parquet")
SAID = [
    "../../../../tmp/owned",
    "/etc/passwd",
    "{{ 7*7 }}{% include 'x' %}",
    "'; DROP TABLE jobs; --",
    "=cmd|'/c calc'!A0",
    "$(touch owned)`touch owned`",
    "<script>alert(1)</script>",
    "https://169.254.169.254/latest",
    "\u202egnp.exe",
]


def test_what_a_model_says_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a shell's, an SQL's or a template's, no file's name and no URL: it comes out as it
    went in, and nothing else is there."""
    from models.settings import Settings  # noqa: PLC0415 # only here

    monkeypatch.chdir(tmp_path)
    settings = Settings(_env_file=None, home=tmp_path / "home")
    records = [{"id": said, "file": said, "text": said, said: said} for said in SAID]
    with Maestrale(settings) as maestrale:
        maestrale.migrate()
        job_id = _a_job_that_said(maestrale.store, records)
        for form in FORMS:
            maestrale.export(job_id, tmp_path / f"{form}.{form}", form)
        assert [record for _, found in maestrale.results(job_id) for record in found] == records
        assert maestrale.get(job_id).state == JobState.SUCCEEDED
    told = [orjson.loads(line) for line in Path("jsonl.jsonl").read_bytes().splitlines()]
    assert told == records
    with Path("csv.csv").open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert disarmed(SAID[4]) in cells
    assert SAID[4] not in cells
    made = {f"{form}.{end}" for form in FORMS for end in (form, "provenance.jsonl")}
    assert {path.name for path in tmp_path.iterdir()} == {"home"} | made


def _a_job_that_said(store: Store, records: list[dict[str, Any]]) -> str:
    spec = json.dumps({"recipe": {"steps": [], "output": {"record": {"text": ""}}}})
    count = len(records)
    job_id = a_stored_job(store, rows_count=count, shard_size=count, spec=spec)
    held = claimed(store, job_id)
    said = [
        done(held, seq, outcome=Succeeded([record], {"seq": seq}))
        for seq, record in enumerate(records)
    ]
    assert settled(store, held, said)
    return job_id


WITHOUT_HASHES = "requirements-train.txt"
"""Torch comes in several builds, and which one is right the machine decides; it says so itself."""


def test_every_line_of_every_lock_has_its_hash() -> None:
    """What is installed is what was locked, byte for byte; every line names one version."""
    for lock in sorted(ROOT.glob("requirements*.txt")):
        text = lock.read_text()
        entries = re.findall(r"^[A-Za-z0-9].*(?:\n    --hash.*)*", text, re.M)
        assert len(entries) > 5, lock.name
        assert [entry for entry in entries if "==" not in entry.split()[0]] == [], lock.name
        bare = [entry for entry in entries if "--hash=sha256:" not in entry]
        if lock.name == WITHOUT_HASHES:
            assert "# No hashes: " in text
        else:
            assert bare == [], lock.name
