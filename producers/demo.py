"""The demo's own world below `.demo/`: server, simulator, receiver, two workers; none of it after.

It never touches the user's own home. The simulator listens on the same port each time, because
the ledger tells servers apart by their address: then a second run pays nothing.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from importlib.resources import files
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from pydantic import SecretStr

from models.errors import SetupError
from models.settings import Settings
from producers.client import Maestrale
from producers.demo_receiver import start_receiver
from producers.processes import free_port, is_free
from producers.services import START_S, Services

FOLDER = ".demo"
WORKERS = 2
RECIPE = "amira"
REQUESTS_PER_MINUTE = 1800
SIMULATED = (
    f"--limit=*={REQUESTS_PER_MINUTE}",
    "--window=1",  # no bursts: the limit holds in every second
    "--latency-median=0.3",
    "--latency-p95=0.6",
    "--fault=server_error=0.01",
    "--fault=invalid_json=0.01",
    "--fault=wrong_shape=0.01",
)
DRAIN_S = 5.0
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Busy = Callable[[str], AbstractContextManager[Any]]


def sample() -> Path:
    """The rows of the demo: 187 titles and abstracts (`recipes/amira/SAMPLE.md`)."""
    return Path(str(files("recipes") / RECIPE / "sample.jsonl"))


class Demo:
    """Everything a job needs, from `with` to its end. Raises `SetupError` for what is missing."""

    def __init__(self, folder: Path, busy: Busy = nullcontext) -> None:
        """`busy("starting ...")` is entered while something takes its time."""
        self.home = folder.resolve()
        self._busy = busy
        self._stack = ExitStack()

    def __enter__(self) -> "Demo":
        with self._stack:
            self._stack.enter_context(_interruptible())
            with self._busy("starting a server, the simulator and two workers"):
                self._open()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _open(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        Services(_settings(self.home, 1)).stop(patience_s=DRAIN_S)  # left by a run that was killed
        port, self.has_moved = _choose_port(self.home / "simulator.port")
        self.services = Services(_settings(self.home, port))
        self._stack.callback(self._stop)
        self.services.start_server()
        self.services.start_simulator(*SIMULATED, port=port)
        self.client = self._stack.enter_context(Maestrale(self.services.settings))
        receiver_port, _ = _choose_port(self.home / "receiver.port")
        self.receiver = start_receiver(self.client, self.services, receiver_port)
        _start_workers(self.client, self.services)

    def _stop(self) -> None:
        """Leaves nothing running; no second Ctrl-C prevents that."""
        _heed(signal.SIG_IGN)
        with self._busy("stopping"):
            self.services.stop(patience_s=DRAIN_S + 5)


def _settings(home: Path, port: int) -> Settings:
    """The demo's own: nothing of the user's environment or `.env` has a say in them."""
    own: dict[str, Any] = {
        name: field.get_default() for name, field in Settings.model_fields.items()
    }
    own.update(
        home=home,
        base_url=f"http://127.0.0.1:{port}",
        api_key=SecretStr("demo"),
        drain_s=DRAIN_S,
        webhook_networks=["127.0.0.0/8"],  # the receiver listens on this machine, without TLS
        webhook_http=True,
        webhook_ports="*",
    )
    return Settings(_env_file=None, **own)


def _choose_port(note: Path) -> tuple[int, bool]:
    """The port of the run before, or a free one; and whether it had to change."""
    known = int(note.read_text()) if note.exists() else None
    if known is not None and is_free(known):
        return known, False
    note.write_text(str(port := free_port()))
    return port, known is not None


def _start_workers(client: Maestrale, services: Services) -> None:
    """Workers need the tables, so the database is opened (and made) before them."""
    client.workers()
    started = services.start_workers(WORKERS)
    deadline = time.monotonic() + START_S
    while len(client.workers()) < WORKERS:
        for worker in started:
            services.check_alive(worker)
        if time.monotonic() > deadline:
            raise SetupError(f"the workers do not come up: see {services.log('worker1')}")
        time.sleep(0.1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does; what comes after is ignored, to
    the end of the process."""
    before = [signal.getsignal(number) for number in _INTERRUPTS]
    interrupted = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        _heed(signal.SIG_IGN)
        raise KeyboardInterrupt

    _heed(interrupt)
    try:
        yield
    finally:
        # a second Ctrl-C may come when all is stopped: it would end the interpreter half way out
        for number, handler in zip(_INTERRUPTS, before, strict=True):
            signal.signal(number, signal.SIG_IGN if interrupted else handler)


def _heed(handler: Any) -> None:
    for number in _INTERRUPTS:
        signal.signal(number, handler)
