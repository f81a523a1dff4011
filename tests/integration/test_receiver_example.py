"""`examples/receiver.py` as a user runs it: it takes what is genuine, once, and nothing else."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from builders import eventually

from producers.processes import free_port, listens
from worker.webhooks import signing

RECEIVER = Path(__file__).parents[2] / "examples" / "receiver.py"
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ANOTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "job.failed", "timestamp": "2026-08-13T10:30:00Z", "data": {"seq": 2}})


@dataclass
class Running:
    """The receiver's process and what it writes."""

    port: int
    out: Path

    def post(self, headers: dict[str, str], body: str = BODY) -> int:
        """The status of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("POST", "/", body.encode(), headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def verified(self) -> list[str]:
        """The lines it printed."""
        return [line for line in self.out.read_text().split("\n") if line.startswith("verified")]


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Started as its docstring says, by the system's own Python without our packages."""
    out = tmp_path_factory.mktemp("receiver") / "out.txt"
    port = free_port()
    with out.open("w") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(RECEIVER), str(port)],
            env={"WEBHOOK_SECRET": SECRET, "PATH": os.environ["PATH"]},
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
    eventually(lambda: listens(port), "the receiver listens")
    yield Running(port, out)
    process.terminate()
    process.wait(10)


def signed(
    message_id: str, *secrets: str, at: float | None = None, body: str = BODY
) -> dict[str, str]:
    """The headers of a genuine message, unless told otherwise."""
    now = int(time.time() if at is None else at)
    return signing.headers(secrets or (SECRET,), message_id, now, body.encode())


def test_a_genuine_message_is_taken_and_printed(receiver: Running) -> None:
    """With its id, its type and its data."""
    assert receiver.post(signed("evt_a_1")) == 204
    assert 'verified evt_a_1 job.failed {"seq": 2}' in receiver.verified()


def test_a_replayed_message_is_taken_and_done_once(receiver: Running) -> None:
    """204 again, or it would come for days; but nothing is done twice."""
    assert [receiver.post(signed("evt_b_1")) for _ in range(3)] == [204] * 3
    assert sum("evt_b_1" in line for line in receiver.verified()) == 1


def test_either_signature_of_a_rotation_will_do(receiver: Running) -> None:
    """The receiver knows the old secret or the new one."""
    assert receiver.post(signed("evt_c_1", ANOTHER, SECRET)) == 204
    assert receiver.post(signed("evt_c_2", SECRET, ANOTHER)) == 204


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": signed("evt_d_1", ANOTHER)["webhook-signature"]},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1a,ééé \u00ff"},
        {"webhook-id": "evt_d_2"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "9" * 9000},
        {"webhook-timestamp": "-1"},
    ],
)
def test_what_is_not_genuine_is_refused(receiver: Running, change: dict[str, str]) -> None:
    """401, and nothing is printed."""
    before = receiver.verified()
    assert receiver.post({**signed("evt_d_1"), **change}) == 401
    assert receiver.verified() == before


def test_another_body_is_refused(receiver: Running) -> None:
    """A single byte is enough."""
    assert receiver.post(signed("evt_e_1"), BODY.replace("2", "3", 1)) == 401


@pytest.mark.parametrize("late_s", [-400, 400])
def test_a_message_of_another_time_is_refused(receiver: Running, late_s: float) -> None:
    """Rightly signed, listened to, and sent again by somebody else."""
    assert receiver.post(signed("evt_f_1", at=time.time() + late_s)) == 401


def test_a_message_without_headers_or_too_long_is_refused(receiver: Running) -> None:
    """And the receiver goes on."""
    assert receiver.post({}) == 401
    assert receiver.post({**signed("evt_g_1"), "content-length": "70000"}, "") == 413
    assert receiver.post({**signed("evt_g_1"), "content-length": "9" * 5000}, "") == 413
    assert receiver.post({**signed("evt_g_1"), "content-length": "0" * 9 + "99999999"}, "") == 413
    assert receiver.post(signed("evt_g_1")) == 204
