"""The demo's receiver of webhooks: `examples/receiver.py` as a process, known as an endpoint."""

import sys
import time
from pathlib import Path

from models.states import EndpointState
from models.tables import Job
from producers.client import Maestrale
from producers.services import Services

NAME = "receiver"
PATIENCE_S = 10.0
"""How long the last event may take: workers look for events every second or so."""
_LOOK_S = 0.05


def receiver_file() -> Path | None:
    """Beside our packages, in a checkout and in the wheel; None where somebody left it out."""
    path = Path(__file__).resolve().parents[1] / "examples" / "receiver.py"
    return path if path.is_file() else None


def start_receiver(client: Maestrale, services: Services, port: int) -> str:
    """Has it listen and hear of every event; answers its URL. Empty: it is not installed."""
    path = receiver_file()
    if path is None:
        return ""
    url = f"http://127.0.0.1:{port}/"
    secret = _register(client, url)
    command = [sys.executable, "-P", str(path), str(port)]
    services.await_port(services.spawn(NAME, command, url, WEBHOOK_SECRET=secret), port)
    return url


def verified(services: Services, job: Job) -> list[str]:
    """The types of the job's events that the receiver verified; waits a while for the last."""
    last = f"job.{job.state}"
    deadline = time.monotonic() + PATIENCE_S
    while last not in (types := _types(services.log(NAME), job.id)):
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK_S)
    return types


def _register(client: Maestrale, url: str) -> str:
    """The secret of the endpoint at `url`; those that earlier runs left elsewhere are disabled."""
    hooks = client.webhooks
    for known in hooks.all_():
        if known.url == url:
            hooks.enable(known.id)
            return hooks.rotate(known.id)[1]
        if known.state == EndpointState.ACTIVE:
            hooks.disable(known.id, "the demo's receiver moved")
    return hooks.add(url)[1]


def _types(log: Path, job_id: str) -> list[str]:
    """What stands behind `verified evt_<job>_<number>` in the receiver's words."""
    try:
        lines = log.read_text("utf-8", "replace").split("\n")
    except OSError:
        return []
    found = (line.split(" ", 3) for line in lines if line.startswith(f"verified evt_{job_id}_"))
    return [words[2] for words in found if len(words) == 4]
