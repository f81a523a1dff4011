"""Our transport over a real server that is killed: closing the connection says no more of it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Consumer, Exchange, Queue
from kombu.transport import redis as kombu_redis
from pydantic import SecretStr

from models import broker
from models.doorbell import SHARDS, make_celery, queued, ring
from models.payloads import ShardMessage
from models.settings import Settings
from proving.servers import Valkey

REPLIES = Queue("replies", Exchange("replies", type="fanout"), auto_delete=True)
"""As Celery's remote control has one: deleting it fails when the server is away."""


def _app(url: str) -> Celery:
    given = SecretStr(url)
    return make_celery(Settings(_env_file=None, redis_url_given=given), patience_s=2)


@pytest.fixture
def app(own_redis: Valkey) -> Iterator[Celery]:
    made = _app(own_redis.url)
    message = ShardMessage(job_id="job_x", no=0, kind="generate", priority=5, label="shard 0")
    assert ring(made, [message])
    yield made
    made.close()


def _consumed_as_a_worker_does(connection: Any) -> Any:
    """The channel has taken the message, has not acknowledged it, and waits for the next one."""
    channel, taken = connection.default_channel, []
    channel.basic_qos(0, 4, False)
    queue = Queue(SHARDS, Exchange(SHARDS), routing_key=SHARDS)
    Consumer(
        channel, [queue], callbacks=[lambda *told: taken.append(told)], accept=["json"]
    ).consume()
    Consumer(connection.channel(), [REPLIES], callbacks=[print]).consume()
    while not taken:
        connection.drain_events(timeout=5)
    with contextlib.suppress(TimeoutError):
        connection.drain_events(timeout=0.1)
    assert channel._in_poll, "a BRPOP is in flight"
    return channel


def test_a_lost_connection_is_given_up_in_peace(app: Celery, own_redis: Valkey) -> None:
    """The server is killed; Celery collects the connection, then closes it: neither raises more
    than a connection's error, and the worker would connect anew."""
    connection = app.connection_for_read()
    channel = _consumed_as_a_worker_does(connection)
    errors = connection.connection_errors
    own_redis.stop(9)
    with contextlib.suppress(*errors):
        connection.collect(socket_timeout=1)
    assert not channel.closed, "the half that kombu leaves open, or this test proves nothing"
    with contextlib.suppress(*errors):
        connection.close()
    assert channel.closed


def test_an_orderly_close_gives_messages_back(app: Celery) -> None:
    """A worker told to stop leaves what it took to the next one, at once."""
    connection = app.connection_for_read()
    _consumed_as_a_worker_does(connection)
    assert queued(app) == 0
    connection.close()
    assert queued(app) == 1


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("redis://127.0.0.1:6379/0", False),
        ("rediss://127.0.0.1:6379/0", True),
        ("redis+socket:///tmp/none.sock", False),
    ],
)
def test_every_kind_of_address_has_our_transport(url: str, *, encrypted: bool) -> None:
    """Encryption and unix sockets are kombu's own business still."""
    with _app(url).connection_for_read() as connection:
        assert connection.get_transport_cls() is broker.Transport
        assert issubclass(broker.Transport, kombu_redis.Transport)
        assert bool(connection.ssl) is encrypted
