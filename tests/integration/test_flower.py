"""Flower, as `celery -A worker flower` starts it: shards to read, and a door that is shut."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from urllib.error import HTTPError

import psutil
import pytest
from builders import eventually
from running import API_KEY, PAPERS, SLOW_S, Deployment, a_deployment, ask

from dashboard.opening import PASSWORD_FILE, is_loopback, secure
from dashboard.task_words import readable
from models.doorbell import RUN_SHARD, TICK, make_celery
from models.errors import SetupError
from models.payloads import Options
from models.states import JobState
from producers.client import Maestrale
from proving.servers import free_port

COLUMNS = "draw=1&start=0&length=100&search[value]=&order[0][column]=0&columns[0][data]=name"
OWNER = "owner:of-this-place"


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A worker, and Flower as it comes, that have seen a good job and one that was refused."""
    with a_deployment(tmp_path_factory.mktemp("flower")) as running:
        with Maestrale(running.settings) as maestrale:
            maestrale.jobs()  # migrates
            running.start("worker")
            running.flower = running.start_flower()
            eventually(
                lambda: "@" in ask(running.flower, "/workers"),
                "Flower sees the worker",
                within_s=SLOW_S,
            )
            running.good = finished(maestrale, limit=20)
            running.api.steer("faults", rates={"refusal": 1})
            running.bad = finished(maestrale, limit=8, options={"fresh": True})
        yield running


def finished(maestrale: Maestrale, **how) -> str:
    """The id of a job that has come to its end."""
    options = Options(**how.pop("options", {}))
    job = maestrale.generate(PAPERS, recipe="amira", again=True, options=options, **how)
    ends = (JobState.SUCCEEDED, JobState.FAILED)
    eventually(lambda: maestrale.get(job.id).state in ends, "the job has ended", within_s=SLOW_S)
    return job.id


def shown(deployment: Deployment) -> dict[str, dict]:
    """The rows of Flower's tasks page, by what their first columns read."""
    rows = json.loads(ask(deployment.flower, f"/tasks/datatable?{COLUMNS}"))["data"]
    return {f"{row['name']} {row['args']}": row for row in rows}


def test_a_shard_reads_as_a_sentence_with_its_counts(deployment: Deployment):
    """Which job, which shard, which rows, and what became of them."""
    label = f"generate {deployment.good} shard 1/3 rows 0-7"
    row = eventually(lambda: shown(deployment).get(label), f"a task reads {label!r}")
    eventually(lambda: shown(deployment)[label]["state"] == "SUCCESS", "its end was seen")
    row = shown(deployment)[label]
    assert row["result"].startswith("8 done")
    assert row["kwargs"] == ""
    assert row["worker"]
    assert f"generate {deployment.good} shard 3/3 rows 16-19" in shown(deployment)


def test_a_failure_tells_its_reason(deployment: Deployment):
    """Rows that failed are counted, by name, where people look first."""
    label = f"generate {deployment.bad} shard 1/1 rows 0-7"
    eventually(lambda: shown(deployment)[label]["state"] == "SUCCESS", "its end was seen")
    result = shown(deployment)[label]["result"]
    assert "8 failed" in result
    assert "refused" in result


def test_a_task_that_broke_shows_its_error(deployment: Deployment):
    """What our own code did not foresee is a failed task with its exception."""
    app = make_celery(deployment.settings)
    app.send_task(RUN_SHARD, args=("job_without_a_number",), argsrepr="generate half a message")
    label = "generate half a message"
    eventually(lambda: shown(deployment).get(label, {}).get("state") == "FAILURE", "it failed")
    assert "missing 1 required positional argument: 'no'" in shown(deployment)[label]["exception"]


def test_it_listens_on_loopback_only(deployment: Deployment):
    """As it comes, nobody but this machine reaches it."""
    connections = psutil.Process(deployment.pid("flower")).net_connections()
    heard = {c.laddr for c in connections if c.status == psutil.CONN_LISTEN}
    assert heard == {("127.0.0.1", deployment.flower)}


def test_without_a_password_it_shows_and_does_nothing(deployment: Deployment):
    """Pages are open to this machine; the API that steers workers is closed, its buttons gone."""
    with pytest.raises(HTTPError, match="401"):
        ask(deployment.flower, "/api/workers")
    (worker,) = {row["worker"] for row in shown(deployment).values() if row.get("worker")}
    assert "Shut Down" not in ask(deployment.flower, f"/worker/{worker}")


def test_no_page_tells_a_secret(deployment: Deployment):
    """Neither the API key nor the broker's password, on any page that shows configuration."""
    (worker,) = {row["worker"] for row in shown(deployment).values() if row.get("worker")}
    pages = ("/workers", f"/worker/{worker}", "/tasks", "/broker", "/metrics")
    told = "".join(ask(deployment.flower, page) for page in pages)
    assert "maestrale" in told
    told += deployment.log("flower") + deployment.log("worker")
    assert deployment.server.password not in told
    assert API_KEY not in told


@pytest.mark.parametrize("options", [["--address=0.0.0.0"], ["--address="]])
def test_it_refuses_a_door_open_to_the_network(deployment: Deployment, options: list[str]):
    """Every address and no password: it does not start, and says what to set."""
    refused = deployment.start("open", f"--port={free_port()}", *options, service="flower")
    assert refused.wait(SLOW_S) == 1
    assert "FLOWER_BASIC_AUTH" in deployment.log("open")


def test_with_a_password_from_a_secrets_file_it_opens_to_who_knows_it(deployment: Deployment):
    """As in the deployment: every address, and every page asks; the API is there for scripts."""
    secret = deployment.folder / "flower_password"
    secret.write_text(f"{OWNER}\n")
    given = {PASSWORD_FILE: str(secret), "FLOWER_ADDRESS": "0.0.0.0"}
    port = deployment.start_flower("guarded", **given)
    for page in ("/workers", "/tasks", "/api/tasks"):
        with pytest.raises(HTTPError, match="401"):
            ask(port, page)
        with pytest.raises(HTTPError, match="401"):
            ask(port, page, "owner:guessed")
        assert ask(port, page, OWNER)
    assert deployment.stop("guarded") == 0


def some_options(**changes) -> SimpleNamespace:
    """Flower's options as far as the door asks for them."""
    usual = {"address": "127.0.0.1", "basic_auth": None, "auth": "", "unix_socket": ""}
    return SimpleNamespace(**usual | {"read_only": False} | changes)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_needs_no_password(address: str):
    """Who is on the machine may look."""
    options = some_options(address=address)
    secure(options)
    assert options.read_only


@pytest.mark.parametrize("address", ["", "0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.x"])
def test_any_other_address_needs_one(address: str):
    """What is not surely loopback is the network."""
    assert not is_loopback(address)
    with pytest.raises(SetupError, match="without a password"):
        secure(some_options(address=address))
    locked = some_options(address=address, basic_auth=["name:word"])
    secure(locked)
    assert not locked.read_only
    secure(some_options(address=address, auth=r".*@example\.org"))


@pytest.mark.parametrize("pair", ["", "name", "name:", ":word"])
def test_half_a_password_is_none(pair: str):
    """A name without a password would be an open door that looks shut."""
    with pytest.raises(SetupError, match="name:password"):
        secure(some_options(address="0.0.0.0", basic_auth=[pair]))


def test_a_password_that_flower_cannot_compare_is_refused():
    """It would answer 500 to everybody, the owner among them."""
    with pytest.raises(SetupError, match="ASCII"):
        secure(some_options(basic_auth=["jürgen:pässword"]))


def test_a_secrets_file_must_be_there_and_say_something(monkeypatch, tmp_path):
    """Otherwise Flower does not start, rather than start open."""
    monkeypatch.setenv(PASSWORD_FILE, str(tmp_path / "secret"))
    with pytest.raises(SetupError, match="cannot be read"):
        secure(some_options())
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(SetupError, match="is empty"):
        secure(some_options())


def test_what_has_not_arrived_yet_is_worded_too():
    """Events come in any order: a task may be known by name only, or by nothing."""
    for name in (RUN_SHARD, TICK, None, "another.task"):
        assert readable(SimpleNamespace(name=name, args=None, kwargs=None, result=None))
