"""The deployment's server, ACL and commands, run for real: enough rights to work, and no more."""

import json
from collections.abc import Iterator

import pytest
import redis
from builders import eventually
from redis.exceptions import AuthenticationError, NoPermissionError
from running import PAPERS, SLOW_S, Deployment, a_deployment, ask

from models.doorbell import KEY_PREFIX, SHARDS, make_celery
from models.states import JobState
from producers.client import Maestrale


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The server under the shipped ACL."""
    with a_deployment(tmp_path_factory.mktemp("deployment")) as running:
        yield running


@pytest.fixture
def refusals(deployment: Deployment) -> Iterator[redis.Redis]:
    """The server's log of refused commands, empty at first."""
    with deployment.server.user("watcher") as watcher:
        watcher.acl_log_reset()
        yield watcher


def told(watcher: redis.Redis) -> list[tuple[str, str]]:
    """(reason, what) of each refusal."""
    return [(entry["reason"], entry["object"]) for entry in watcher.acl_log()]


def test_the_services_work_with_these_rights_and_use_no_others(
    deployment: Deployment, refusals: redis.Redis
):
    """Migration, worker, clock and Flower by compose's own commands: a job is done, the clock
    ticks, Flower sees the worker and its tasks, the scripts of limiter and claims run, all stop
    when told; and the server refused nothing."""
    assert deployment.start("migrate").wait(60) == 0, deployment.log("migrate")
    deployment.start("worker")
    deployment.start("clock")
    flower_port = deployment.start_flower(FLOWER_UNAUTHENTICATED_API="1")

    with Maestrale(deployment.settings) as maestrale:
        job = maestrale.generate(PAPERS, recipe="amira", limit=20)
        eventually(
            lambda: maestrale.get(job.id).state == JobState.SUCCEEDED,
            "the job is done",
            within_s=SLOW_S,
        )

    # claims run out soon: look before waiting for beat's first tick
    keys = {key.rsplit(":", 1)[0] for key in refusals.scan_iter(f"{KEY_PREFIX}*")}

    def seen_by_flower() -> bool:
        tasks = json.loads(ask(flower_port, "/api/tasks")).values()
        return {"maestrale.tick", "maestrale.run_shard"} <= {
            task["name"] for task in tasks if task["state"] == "SUCCESS"
        }

    eventually(seen_by_flower, "events of a shard and of a tick reached Flower", within_s=SLOW_S)
    workers = json.loads(ask(flower_port, "/api/workers?refresh=1"))
    assert [set(found) >= {"stats", "active_queues", "conf"} for found in workers.values()] == [
        True
    ]

    assert f"{KEY_PREFIX}call" in keys
    assert any(key.startswith(f"{KEY_PREFIX}limit:") for key in keys)
    assert [key for key in refusals.scan_iter("*") if not key.startswith(KEY_PREFIX)] == []

    codes = {name: deployment.stop(name) for name in ("flower", "clock", "worker")}
    assert set(codes.values()) == {0}, codes
    assert told(refusals) == []


def test_messages_of_a_dead_worker_can_be_given_back(deployment: Deployment, refusals: redis.Redis):
    """kombu's restoring of what was taken and never acknowledged has its rights as well."""
    app = make_celery(deployment.settings)
    app.send_task("maestrale.nothing", queue=SHARDS)
    with app.connection_for_read() as connection:
        channel = connection.default_channel
        assert channel.basic_get(SHARDS) is not None
        assert channel._size(SHARDS) == 0
        channel.qos.visibility_timeout = 0
        channel.qos.restore_visible(interval=1)
        assert channel._size(SHARDS) == 1
        again = channel.basic_get(SHARDS)
        channel.qos.reject(again.delivery_tag, requeue=True)
        assert channel._size(SHARDS) == 1
        channel.queue_purge(SHARDS)
    assert told(refusals) == []


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "SCAN 0",
        "CONFIG GET *",
        "CONFIG SET maxmemory 1",
        "SHUTDOWN NOSAVE",
        "ACL LIST",
        "ACL SETUSER maestrale allcommands",
        "MONITOR",
        "REPLICAOF 127.0.0.1 1",
        "MODULE LIST",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
        "SCRIPT FLUSH",
        "FUNCTION LIST",
        "EVAL return 0",
        "SAVE",
        "INFO",
        "SWAPDB 0 1",
        "GET another:key",
        "SET another:key 1",
        "DEL maestrale:mine another:key",
        "PUBLISH another:channel 1",
        "PSUBSCRIBE *",
        "SUBSCRIBE maestrale:/0.another",
    ],
)
def test_everything_else_is_refused(deployment: Deployment, command: str):
    """Neither the server nor anybody else's keys and channels are within reach of a worker."""
    with deployment.server.user() as user, pytest.raises(NoPermissionError):
        user.execute_command(*command.split())


def test_scripts_have_no_more_rights_than_their_caller(deployment: Deployment):
    """Lua is let in, but only through the same list."""
    with deployment.server.user() as user:
        for call in ("'FLUSHALL'", "'KEYS', '*'", "'GET', 'another:key'"):
            sha = user.script_load(f"return redis.call({call})")
            with pytest.raises(redis.ResponseError, match=r"ACL|permission"):
                user.evalsha(sha, 0)


def test_nobody_enters_without_a_password(deployment: Deployment):
    """The default user is off; a wrong password is refused; the right one is stored as a hash."""
    with redis.Redis(port=deployment.server.port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    with deployment.server.user(password="wrong") as user, pytest.raises(AuthenticationError):
        user.ping()
    written = (deployment.server.folder / "run" / "users.acl").read_text()
    assert deployment.server.password not in written
    assert "@PASSWORD@" not in written


def test_the_server_keeps_what_it_took_and_refuses_when_full(deployment: Deployment):
    """AOF every second, and noeviction: a full server says no, and forgets nothing."""
    with deployment.server.user("watcher") as watcher:
        config = watcher.config_get("append*", "maxmemory-policy")
    assert (config["appendonly"], config["appendfsync"]) == ("yes", "everysec")
    assert config["maxmemory-policy"] == "noeviction"
