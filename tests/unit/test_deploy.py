"""The deployment's files: careful by construction, and in step with the code."""

import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import kombu.transport.redis
import pytest
import yaml

from models.doorbell import TRAIN
from models.settings import Settings
from producers.services import CONDUCTING, TRAINER_DRAIN_S
from worker.training.running import STOP_S

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
PACKAGES = ("models", "producers", "worker", "dashboard", "simulator", "recipes", "examples")
OURS = ("maestrale", "maestrale-trainer")
CLOSING_S = 30
"""What a worker may take after its drain to commit and close (`Runtime.close`)."""


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_runs_with_as_little_as_it_needs(name: str):
    """Read-only, no capabilities, nothing to gain, never root, images by version."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    is_ours = service["image"] in OURS  # their Dockerfile names the user
    assert is_ours or service["user"] != "0:0"
    assert is_ours or re.search(r":v?\d", service["image"])
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys()


def test_nothing_is_published_beyond_this_machine():
    """Web pages on loopback only; database and server on a network without a way out."""
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {
        "flower": ["127.0.0.1:5555:5555"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }
    assert COMPOSE["networks"]["backend"] == {"internal": True}
    assert SERVICES["redis"]["networks"] == SERVICES["postgres"]["networks"] == ["backend"]


def test_no_secret_stands_in_the_file():
    """Passwords come as files; the environment with the URLs is a file as well."""
    told = [str(v) for s in SERVICES.values() for v in s.get("environment", {}).items()]
    assert [line for line in told if "PASSWORD" in line and "/run/secrets/" not in line] == []
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    ignored = (ROOT / "deploy" / "secrets" / ".gitignore").read_text().split()
    assert ignored == ["*", "!.gitignore"]


def test_each_service_is_given_what_it_needs_and_no_more(made: Path):
    """The clock knows the broker, the conductor and Flower the database as well; the keys are the
    workers' only."""
    given = {name: s["env_file"] for name, s in SERVICES.items() if "env_file" in s}
    assert {name: variables(made / path) for name, path in given.items()} == {
        "migrate": {"REDIS_URL", "DATABASE_URL", "MAESTRALE_SECRET_KEY", "MISTRAL_API_KEY"},
        "worker": {"REDIS_URL", "DATABASE_URL", "MAESTRALE_SECRET_KEY", "MISTRAL_API_KEY"},
        "trainer": {"REDIS_URL", "DATABASE_URL", "MAESTRALE_SECRET_KEY", "MISTRAL_API_KEY"},
        "clock": {"REDIS_URL"},
        "conductor": {"REDIS_URL", "DATABASE_URL"},
        "flower": {"REDIS_URL", "DATABASE_URL"},
    }
    assert "default" in SERVICES["worker"]["networks"]  # the way out: to the API and to webhooks


def variables(path: Path) -> set[str]:
    """Names set by an environment file."""
    return {line.partition("=")[0] for line in path.read_text().splitlines()}


def test_what_watches_comes_by_profile_from_files_that_are_there():
    """Prometheus and Grafana start on demand only, with our configuration read-only."""
    for name in ("prometheus", "grafana"):
        service = SERVICES[name]
        assert service["profiles"] == ["monitoring"]
        assert "healthcheck" in service
        mounted = [volume for volume in service["volumes"] if volume.startswith("./")]
        assert mounted
        for volume in mounted:
            source, _target, mode = volume.split(":")
            assert mode == "ro"
            assert (ROOT / source).is_dir(), source
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {
        "prometheus",
        "grafana",
        "trainer",
    }


def test_a_trainer_takes_training_runs_only_one_at_a_time():
    """On the queue of trainings, from the image that has torch; a hub's models outlive it."""
    trainer = SERVICES["trainer"]
    words = trainer["command"]
    assert words[words.index("-Q") + 1] == TRAIN
    assert (
        words[words.index("-c") + 1] == trainer["environment"]["MAESTRALE_SHARDS_IN_FLIGHT"] == "1"
    )
    assert f"FROM run AS {trainer['build']['target']}" in (ROOT / "Dockerfile").read_text()
    assert trainer["environment"]["HF_HOME"].startswith("/var/lib/maestrale/")
    drain_s = float(trainer["environment"]["MAESTRALE_DRAIN"])
    assert STOP_S < drain_s == TRAINER_DRAIN_S
    assert float(trainer["stop_grace_period"].removesuffix("s")) > drain_s + CLOSING_S


def test_a_conductor_shares_the_home_with_those_who_work_for_it():
    """By the command of `maestrale up`; workers, trainer and it find each other's files."""
    conductor = SERVICES["conductor"]
    assert conductor["command"] == ["python", *CONDUCTING[1:]]
    homes = [SERVICES[name]["volumes"] for name in ("conductor", "worker", "trainer")]
    assert homes == [["home:/var/lib/maestrale"]] * 3


def test_prometheus_reads_the_password_and_the_ports_that_compose_gives():
    """Configuration and compose name the same secret, service and port."""
    scraping = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in scraping["scrape_configs"]}
    (locked,) = (job for job in jobs.values() if "basic_auth" in job)
    assert locked["basic_auth"]["username"] == "prometheus"
    assert locked["basic_auth"]["password_file"] == "/run/secrets/scrape_password"
    assert SERVICES["prometheus"]["secrets"] == ["scrape_password"]
    port = SERVICES["worker"]["environment"]["MAESTRALE_METRICS"].rpartition(":")[2]
    told = str(scraping)
    assert "flower:5555" in told
    assert "worker" in told
    assert port in told


def test_it_is_what_old_and_new_compose_read():
    """Neither `version` (dropped by the specification) nor `name` (unknown to compose 1.29)."""
    assert not {"version", "name"} & COMPOSE.keys()


def test_a_worker_has_the_time_to_drain():
    """Compose kills after its grace period: later than the worker is done by itself."""
    grace_s = float(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace_s > Settings.model_fields["drain_s"].default + CLOSING_S


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the deployment with secrets made for it."""
    folder = tmp_path_factory.mktemp("deployment")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    for name in ("docker-compose.yml", "Dockerfile"):
        shutil.copy(ROOT / name, folder)
    for old in (folder / "deploy" / "secrets").glob("[!.]*"):
        old.unlink()
    done = make_secrets(folder)
    assert done.returncode == 0, done.stderr
    return folder


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the script as a user would."""
    return subprocess.run(
        ["sh", "deploy/make-secrets.sh"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "MISTRAL_API_KEY": "a-key"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_secrets_are_made_once_and_kept_to_their_owner(made: Path):
    """Random, different, in a folder of the owner's; a second run changes nothing."""
    folder = made / "deploy" / "secrets"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    passwords = {name: text.strip() for name, text in texts.items() if name.endswith("_password")}
    (people, scraper) = passwords["flower_password"].splitlines()
    assert re.fullmatch("maestrale:[0-9a-f]{48}", people)
    assert scraper == "prometheus:" + passwords["scrape_password"]
    of_one = {
        name: passwords[f"{name}_password"] for name in ("redis", "postgres", "grafana", "scrape")
    }
    sealing = re.search("^MAESTRALE_SECRET_KEY=(.*)$", texts["maestrale.env"], re.M)[1]
    every = [*of_one.values(), people.removeprefix("maestrale:"), sealing]
    assert all(re.fullmatch("[0-9a-f]{48}", secret) for secret in every)
    assert len(set(every)) == len(every)
    assert set(passwords) == {f"{name}_password" for name in (*of_one, "flower")}
    for name in ("maestrale.env", "broker.env", "dashboard.env"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    again = make_secrets(made)
    assert again.returncode == 1
    assert {path.name: path.read_text() for path in folder.iterdir()} == texts


def test_the_settings_read_the_environment_that_was_made(made: Path):
    """The URLs carry the very passwords that the servers are given."""
    folder = made / "deploy" / "secrets"
    settings = Settings(_env_file=folder / "maestrale.env")
    redis, postgres = (
        (folder / f"{n}_password").read_text().strip() for n in ("redis", "postgres")
    )
    assert settings.redis_url == f"redis://maestrale:{redis}@redis:6379/0"
    assert settings.sqlalchemy_url.endswith(f"://maestrale:{postgres}@postgres:5432/maestrale")
    assert settings.sqlalchemy_url.startswith("postgresql+psycopg://")
    assert settings.api_key.get_secret_value() == "a-key"


def test_compose_accepts_the_file(made: Path):
    """docker-compose 1.29 or newer, where there is one."""
    compose = shutil.which("docker-compose")
    if compose is None:
        pytest.skip("no docker-compose here")
    command = [compose, "config", "--quiet"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def allowed() -> set[str]:
    """Commands that the ACL grants, with subcommands as `script|load`."""
    line = (ROOT / "deploy" / "redis" / "users.acl").read_text().splitlines()[1]
    return {word[1:] for word in line.split() if word.startswith("+")}


def test_our_scripts_may_call_what_they_call():
    """Every command in our Lua, on paths that no test happens to take as well."""
    scripts = sorted((ROOT / "worker").rglob("*.lua"))
    called = {
        command.lower()
        for path in scripts
        for command in re.findall(r"redis\.p?call\('(\w+)'", path.read_text())
    }
    assert scripts
    assert called <= allowed()


def test_kombu_may_call_what_it_calls():
    """The same for the transport, as far as its source names its commands."""
    source = Path(kombu.transport.redis.__file__).read_text()
    scripted = {command.lower() for command in re.findall(r"redis\.call\('(\w+)'", source)}
    prefixed = kombu.transport.redis.PrefixedStrictRedis.PREFIXED_SIMPLE_COMMANDS
    assert scripted | {command.lower() for command in prefixed} <= allowed()


def test_the_acl_grants_nothing_that_looks_at_or_changes_the_server():
    """No categories, no wildcards: a list of commands, for our keys and two channels."""
    lines = (ROOT / "deploy" / "redis" / "users.acl").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].split()[:3] == ["user", "default", "off"]
    words = lines[1].split()
    assert [word for word in words if word[0] in "~%"] == ["~maestrale:*"]
    assert all(word.startswith("&maestrale:/0.celery") for word in words if word[0] == "&")
    assert not any(word.startswith("+@") or word in ("allkeys", "allcommands") for word in words)
    assert not {"flushall", "flushdb", "keys", "config", "acl", "eval", "shutdown"} & allowed()


def test_the_image_is_built_from_what_the_lock_names():
    """Every package is copied and let through; build requirements are hatchling's, hashed."""
    image = (ROOT / "Dockerfile").read_text()
    let_through = (ROOT / ".dockerignore").read_text().split()
    assert let_through[0] == "*"
    for package in PACKAGES:
        assert f"COPY {package} {package}\n" in image
        assert f"!{package}" in let_through
    assert image.count("--require-hashes") == 3
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", image, re.M))
    assert len(set(re.findall(r"^FROM (\S+)", image, re.M)) - stages) == 1
    copied = set(" ".join(re.findall(r"^COPY (requirements.*) \./$", image, re.M)).split())
    assert copied <= {name.removeprefix("!") for name in let_through}
    assert re.search(r"^USER 10001:10001$", image, re.M)
    named = [set(names.split("|")) for names in re.findall(r"\^\((\S+?)\)==", image)]
    assert named == [needs_of("hatchling")]


def test_what_the_image_does_not_need_stays_out():
    """Tests, documents and the deployment's own files (secrets!) are not copied."""
    image = (ROOT / "Dockerfile").read_text()
    let_through = (ROOT / ".dockerignore").read_text()
    for folder in ("deploy", "tests", "docs", "benchmarks", "faults", "proving", "reference"):
        assert f"COPY {folder}" not in image
        assert f"!{folder}" not in let_through


def needs_of(package: str) -> set[str]:
    """A package and what it needs, as the comments of the lock tell."""
    lock = (ROOT / "requirements-dev.txt").read_text()
    blocks = re.findall(r"^([a-z0-9-]+)==(.*?)(?=^[a-z]|\Z)", lock, re.M | re.S)
    via = {
        name: set(re.findall(r"^    #\s+(?:via )?([a-z0-9-]+)$", text, re.M))
        for name, text in blocks
    }
    found = {package}
    while more := {name for name, parents in via.items() if parents & found} - found:
        found |= more
    return found


def test_the_wheel_holds_every_file_that_the_code_reads(tmp_path: Path):
    """Lua, recipes, prices and Flower's configuration are no Python and still belong to it."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = {
        p.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("*.*")
    }
    wanted = {name for name in files if "__pycache__" not in name and (ROOT / name).is_file()}
    assert wanted <= inside
    others = {name.split("/")[0] for name in inside} - set(PACKAGES)
    assert [name for name in others if not name.endswith(".dist-info")] == []


def test_make_lists_what_it_can_do_and_says_what_it_needs(tmp_path: Path):
    """`make` alone is help; a Python that is too old is named, not stumbled over."""
    for name in ("Makefile", "requirements-dev.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    told = subprocess.run(["make"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "check", "bench", "lock", "clean"):
        assert f"make {target} " in told.stdout
    command = ["make", "venv", "PYTHON=false"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
