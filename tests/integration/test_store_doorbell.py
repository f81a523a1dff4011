"""The doorbell over a real broker: ids only, lost without harm, quick when nobody answers."""

import re
import socket
import time
from collections.abc import Iterator

import pytest
from builders import a_stored_job, at_once
from celery import Celery
from pydantic import SecretStr
from redis import Redis

from faults.canaries import holds
from models import doorbell
from models.doorbell import SHARDS, make_celery, queued, ring
from models.payloads import ShardMessage
from models.settings import Settings
from models.store import shards
from models.store.engine import Store
from proving.servers import Valkey, free_port

CANARIES = ("canary-key", "canary-prompt", "canary-row")


@pytest.fixture
def app(redis_url: str) -> Iterator[object]:
    settings = Settings(_env_file=None, REDIS_URL=redis_url, MISTRAL_API_KEY="canary-key")
    app = make_celery(settings, patience_s=3)
    yield app
    app.close()


def _dump(url: str) -> bytes:
    """Every byte the server holds, values and names."""
    with Redis.from_url(url) as client:
        keys = client.keys("*")
        read = {b"list": lambda key: client.lrange(key, 0, -1), b"set": client.smembers}
        read |= {b"hash": client.hgetall, b"string": client.get}
        read |= {b"zset": lambda key: client.zrange(key, 0, -1)}
        return b"\n".join(key + repr(read[client.type(key)](key)).encode() for key in keys)


def _messages(count: int = 3, *, priority: int = 5) -> list[ShardMessage]:
    return [
        ShardMessage(job_id="job_x", no=no, kind="generate", priority=priority, label=f"shard {no}")
        for no in range(count)
    ]


def test_messages_carry_ids_only(store: Store, redis_url: str, app: object) -> None:
    """I6: of the job's spec, its rows and the key not a byte is in Redis; ids and label are."""
    job_id = a_stored_job(
        store, spec='{"recipe": {"prompt": "canary-prompt"}}', input_name="canary-row.jsonl"
    )
    with store.write() as connection:
        messages = shards.take_window(connection, job_id, slots=8)
    assert ring(app, messages)  # type: ignore[arg-type]
    held = _dump(redis_url)
    assert job_id.encode() in held
    assert b"shard 1/2 rows 0-1" in held
    for canary in CANARIES:
        assert not holds(held, canary)
    assert b"pickle" not in held
    with Redis.from_url(redis_url) as client:
        assert all(key.startswith(b"maestrale:") for key in client.keys("*"))


def test_a_canary_in_a_message_would_be_found(redis_url: str, app: Celery) -> None:
    """kombu writes arguments as base64, wherever they begin in it: they are looked for so, too."""
    for before in range(3):
        assert ring(app, _messages(1))
        app.send_task("any", args=("x" * before, CANARIES[1]), queue=SHARDS, argsrepr="label")
        held = _dump(redis_url)
        assert CANARIES[1].encode() not in held
        assert holds(held, CANARIES[1])
        app.control.purge()
        assert not holds(_dump(redis_url), CANARIES[1])


def test_messages_wait_by_priority(redis_url: str, app: object) -> None:
    """All are counted, whichever of the priority lists they stand in."""
    assert queued(app) == 0  # type: ignore[arg-type]
    assert ring(app, _messages(2, priority=0) + _messages(3, priority=9))  # type: ignore[arg-type]
    assert queued(app) == 5  # type: ignore[arg-type]
    assert ring(app, [])  # type: ignore[arg-type]
    assert queued(app) == 5  # type: ignore[arg-type]


def test_a_dead_broker_is_told_within_seconds() -> None:
    """Nobody listens: `ring` answers False and `queued` None, soon, and neither raises."""
    url = SecretStr(f"redis://127.0.0.1:{free_port()}/0")
    app = make_celery(Settings(_env_file=None, redis_url_given=url), patience_s=1.0)
    began = time.monotonic()
    assert at_once(lambda: ring(app, _messages()), lambda: queued(app)) == [False, None]
    assert time.monotonic() - began < 3.5, "kombu's own retries would wait 6 s"
    app.close()


def test_a_silent_broker_is_told_within_seconds() -> None:
    """FAULTS 2, 9: a black hole that never answers holds the caller for its patience."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as hole:
        url = SecretStr(f"redis://127.0.0.1:{hole.getsockname()[1]}/0")
        app = make_celery(Settings(_env_file=None, redis_url_given=url), patience_s=1.0)
        began = time.monotonic()
        assert not ring(app, _messages())
        assert time.monotonic() - began < 3.5, "its patience of 1 s is not spent twice"
        app.close()


def test_a_wrong_password_is_no_answer(redis_url: str) -> None:
    """A broker that refuses us is one that does not take messages: False, no exception."""
    wrong = re.sub(":[^:@]+@", ":wrong@", redis_url)
    app = make_celery(Settings(_env_file=None, REDIS_URL=wrong), patience_s=1.0)
    assert at_once(lambda: ring(app, _messages()), lambda: queued(app)) == [False, None]
    app.close()


def test_a_broker_that_comes_back_is_used_again(own_redis: Valkey) -> None:
    """The same app rings again after a restart, without being made anew."""
    app = make_celery(Settings(_env_file=None, REDIS_URL=own_redis.url), patience_s=1.0)
    assert ring(app, _messages())
    own_redis.stop(9)
    assert not ring(app, _messages())
    own_redis.start()
    assert ring(app, _messages())
    assert queued(app) == 3
    app.close()


def test_only_json_is_accepted() -> None:
    """A pickle in the queue would be code: it is neither written nor read."""
    app = make_celery(Settings(_env_file=None))
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    assert doorbell.TRANSPORT_OPTIONS["global_keyprefix"] == "maestrale:"
