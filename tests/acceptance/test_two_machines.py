"""The deployment on two machines that share Redis and PostgreSQL and nothing else.

Compose's own commands, the environment files that deploy/make-secrets.sh writes, the shipped ACL;
each machine has a home of its own.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from builders import assert_all_rows_accounted_for, eventually
from running import ROOT, SERVICES, SLOW_S, Guarded, ask, inherited
from sqlalchemy import select

import simulator
from models.settings import Settings
from models.states import JobState, RowState
from models.store import rows
from models.store.shards import shards
from producers.client import Maestrale
from proving import servers

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
ROWS = 600
API_KEY = "a-key-of-the-workers"


class Secrets:
    """What make-secrets.sh wrote, with the addresses of this test's servers."""

    def __init__(self, folder: Path) -> None:
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        self.folder = folder / "deploy" / "secrets"
        for old in self.folder.glob("[!.]*"):
            old.unlink()
        environment = {"PATH": os.environ["PATH"], "MISTRAL_API_KEY": API_KEY}
        command = ["sh", str(folder / "deploy" / "make-secrets.sh")]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        self.addresses: dict[str, str] = {"/run/secrets": str(self.folder)}

    def password(self, name: str) -> str:
        """A password, as a container would read it."""
        return (self.folder / f"{name}_password").read_text().strip()

    def environment(self, service: str) -> dict[str, str]:
        """What compose gives to a service: its file, then what stands with it."""
        path = self.folder.parents[1] / SERVICES[service]["env_file"]
        told = dict(line.split("=", 1) for line in path.read_text().splitlines())
        told |= SERVICES[service].get("environment", {})
        return {name: self._here(value) for name, value in told.items()}

    def _here(self, value: str) -> str:
        for there, here in self.addresses.items():
            value = value.replace(there, here)
        return value


class OurRedis(Guarded):
    """The server with the password that was made for it."""

    secret = ""

    def __init__(self) -> None:
        super().__init__()
        self.password = self.secret
        (self.folder / "password").write_text(self.password + "\n")


class Machine:
    """A machine: a home, and the services that run on it."""

    def __init__(self, name: str, folder: Path, secrets: Secrets, api: str) -> None:
        self.name = name
        self.home = folder / name / "home"
        self.home.mkdir(parents=True)
        self._secrets = secrets
        self._image = {"MAESTRALE_HOME": str(self.home), "MAESTRALE_LOG": "json"}
        self._image["MISTRAL_BASE_URL"] = api
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, service: str, *options: str) -> subprocess.Popen[bytes]:
        """One service by compose's command."""
        process = self._running[service] = self.run(
            service, *SERVICES[service]["command"], *options
        )
        return process

    def run(self, service: str, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A program in the environment of a service, as `docker compose run` does."""
        with self.log(service).open("ab") as out:
            return subprocess.Popen(
                [str(Path(sys.executable).with_name(program)), *arguments],
                cwd=self.home,
                env=inherited() | self._image | self._secrets.environment(service),
                stdout=out,
                stderr=out,
            )

    def start_worker(self) -> subprocess.Popen[bytes]:
        """A worker, by the name that its container's hostname would give it."""
        return self.start("worker", f"--hostname=celery@{self.name}")

    def log(self, service: str) -> Path:
        """What the service has written."""
        return self.home.parent / f"{service}.log"

    def lose_power(self) -> None:
        """Everything on it is killed at once."""
        for process in self._running.values():
            process.send_signal(signal.SIGKILL)
        for process in self._running.values():
            process.wait(10)
        self._running.clear()

    def shut_down(self) -> dict[str, int]:
        """SIGTERM to everything; the exit codes."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(SLOW_S) for name, process in self._running.items()}


@pytest.fixture
def secrets(tmp_path: Path, own_postgres: servers.Postgres) -> Iterator[Secrets]:
    """Secrets, and the two servers that know them."""
    made = Secrets(tmp_path)
    OurRedis.secret = made.password("redis")
    password = made.password("postgres")
    own_postgres.execute(f"CREATE ROLE maestrale LOGIN PASSWORD '{password}'")
    own_postgres.execute("CREATE DATABASE maestrale OWNER maestrale")
    redis = servers.start(OurRedis)
    made.addresses |= {
        "@redis:6379": f"@127.0.0.1:{redis.port}",
        "@postgres:5432": f"@127.0.0.1:{own_postgres.port}",
        "0.0.0.0:9464": f"127.0.0.1:{servers.free_port()}",
        "0.0.0.0": "127.0.0.1",
    }
    yield made
    redis.remove()


@pytest.fixture
def api() -> Iterator[simulator.Spawned]:
    """The API, with a limit that makes the job last for some seconds."""
    with simulator.spawn("--latency-median", "0.3", "--limit", "*=2400") as spawned:
        yield spawned


@pytest.fixture
def machine(
    tmp_path: Path, secrets: Secrets, api: simulator.Spawned
) -> Iterator[Callable[[str], Machine]]:
    """Makes a machine by name; all of them end with the test."""
    made: list[Machine] = []

    def make(name: str) -> Machine:
        made.append(Machine(name, tmp_path, secrets, api.url))
        return made[-1]

    yield make
    for one in made:
        one.lose_power()


def status_of(port: int, path: str, password: str = "") -> int:
    """What Flower answers to this name and password."""
    try:
        ask(port, path, password)
    except HTTPError as refused:
        return refused.code
    return 200


def test_a_machine_is_lost_in_the_middle_and_no_row_with_it(
    machine: Callable[[str], Machine], secrets: Secrets, texts: Callable[[int], Path]
) -> None:
    """Both machines work on one job; one is killed with all that runs on it. The other ends the
    job with every row; the first one, back again, hands in what it had paid for; Flower is for
    those who know the password; everything stops when told."""
    first, second = machine("first"), machine("second")
    assert first.start("migrate").wait(SLOW_S) == 0, first.log("migrate").read_text()
    first._running.clear()
    first.start_worker()
    first.start("clock")
    second.start_worker()
    second.start("clock")
    flower = servers.free_port()
    second.start("flower", f"--port={flower}")
    second.start("conductor")

    environment = secrets.environment("worker")
    settings = Settings(_env_file=None, home=second.home, **environment)
    with Maestrale(settings) as maestrale:
        eventually(lambda: len(maestrale.workers()) == 2, "both are alive", within_s=SLOW_S)
        job = submitted(second, maestrale, texts(ROWS))
        eventually(lambda: len(owners(maestrale)) == 2, "both work on it", within_s=SLOW_S)
        eventually(lambda: maestrale.get(job).rows_done > 60, "it is under way", within_s=SLOW_S)
        first.lose_power()
        assert maestrale.get(job).rows_done < ROWS, "the job was under way"
        assert list(first.home.glob("spool/*.spool"))

        eventually(lambda: maestrale.get(job).state == JobState.SUCCEEDED, "done", within_s=90)
        with maestrale.store.read() as connection:
            assert rows.counts(connection, job) == {RowState.DONE: ROWS}
        assert_all_rows_accounted_for(maestrale.store, job)

        first.start_worker()
        eventually(lambda: len(maestrale.workers()) == 2, "it is back", within_s=SLOW_S)
        eventually(
            lambda: all(size(path) == 0 for path in first.home.glob("spool/*.spool")),
            "what the dead worker had paid for is in the ledger",
        )

    eventually(lambda: servers.listens(flower), "Flower listens", within_s=SLOW_S)
    person, scraper = (secrets.folder / "flower_password").read_text().split()
    assert scraper == "prometheus:" + secrets.password("scrape")
    for path in ("/workers", "/metrics"):
        assert status_of(flower, path) == 401
        assert status_of(flower, path, person + "x") == 401
        assert status_of(flower, path, person) == 200
    assert status_of(flower, "/metrics", scraper) == 200

    assert set((first.shut_down() | second.shut_down()).values()) == {0}
    nothing_of_this = [API_KEY, secrets.password("postgres"), secrets.password("redis")]
    for log in first.home.parents[1].glob("*/*.log"):
        assert not any(secret in log.read_text() for secret in nothing_of_this), log


def submitted(on: Machine, maestrale: Maestrale, source: Path) -> str:
    """Submits by the command line on a machine, and answers the job's id."""
    command = ("maestrale", "generate", str(source), "--recipe", "translate", "--detach")
    process = on.run("worker", *command)
    assert process.wait(SLOW_S) == 0, on.log("worker").read_text()[-2000:]
    (job,) = maestrale.jobs()
    return job.id


def owners(maestrale: Maestrale) -> set[str]:
    """Worker processes that hold or held shards."""
    with maestrale.store.read() as connection:
        found = connection.scalars(select(shards.c.owner).where(shards.c.owner != "").distinct())
        return set(found)


def size(path: Path) -> int:
    """Bytes of a file; 0 if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
