"""The doorbell: what producers and workers share of Celery. Messages are hints and carry ids only.

The database is the queue of record; a message may be lost, doubled or late (FAULTS 1).
"""

from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES

from models.payloads import ShardMessage
from models.settings import Settings
from models.store import fleet, shards
from models.store.engine import Store

RUN_SHARD = "maestrale.run_shard"
TICK = "maestrale.tick"
SHARDS = "shards"
"""The queue of shard messages (API work: generate, embed, evaluate)."""
TRAIN = "train"
"""The queue of trainings on our own machines: processes of one slot each take from it alone."""
CLOCK = "clock"
"""The queue of the clock's ticks."""
KEY_PREFIX = "maestrale:"
UNREADABLE = (ValueError, KeyError)
"""What kombu raises for a REDIS_URL that does not parse, or names another kind of server: the job
is there all the same, and `maestrale doctor` says what is wrong."""
PRIORITY_STEPS = [0, 3, 6, 9]
"""Redis has no priorities: kombu keeps one list per step and empties the lower number first."""

TRANSPORTS = dict.fromkeys(("redis", "rediss"), "models.broker:Transport")
"""By URL scheme, in place of kombu's own: by name, so that each producer need not import it."""
TRANSPORT_OPTIONS: dict[str, Any] = {
    "global_keyprefix": KEY_PREFIX,
    "visibility_timeout": 600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 15,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 15,  # never retry_on_timeout: it turns batched publishing off
    "max_retries": 0,  # of a connection: else 2 s of sleep and all of the patience once more
    "max_connections": 50,
    "client_name": "maestrale",
    "priority_steps": PRIORITY_STEPS,
    "queue_order_strategy": "priority",
}


def make_celery(settings: Settings, *, patience_s: float = 15.0) -> Celery:
    """A Celery app that can talk to the broker. Workers add tasks to it; producers only send.

    `patience_s` bounds how long a dead broker may hold the caller (producers: seconds).
    """
    TRANSPORT_ALIASES.update(TRANSPORTS)
    app = Celery("maestrale", set_as_current=False)
    transport = {**TRANSPORT_OPTIONS, "socket_timeout": patience_s}
    transport["socket_connect_timeout"] = min(5.0, patience_s)
    app.conf.update(
        broker_url=settings.broker_url,
        broker_transport_options=transport,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that refuses writes (a full disk) comes back
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,  # a thread holds its message until the shard is settled
        task_queues=[
            Queue(name, Exchange(name), routing_key=name) for name in (SHARDS, TRAIN, CLOCK)
        ],
        task_default_queue=SHARDS,
        task_create_missing_queues=False,  # else Flower's broker page lists the wrong queues
        task_send_sent_event=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
    )
    return app


def ring(app: Celery, messages: Iterable[ShardMessage]) -> bool:
    """Sends shard messages; False: the broker did not take them (the sweeper will ring)."""
    try:
        with app.producer_or_acquire() as producer:
            for message in messages:
                app.send_task(
                    RUN_SHARD,
                    args=(message.job_id, message.no),
                    queue=TRAIN if message.on_device else SHARDS,
                    priority=message.priority,
                    producer=producer,
                    argsrepr=message.label,
                    kwargsrepr="",
                    retry=False,
                )
    except (OperationalError, OSError, *UNREADABLE):
        return False
    return True


def ring_for(store: Store, app: Celery, job_id: str) -> bool:
    """Publishes the job's next shards; False: the broker took none, and the sweeper will ring."""
    with store.write() as connection:
        messages = shards.take_window(connection, job_id, slots=fleet.slots(connection))
    rung = ring(app, messages)
    if not rung and messages:
        with store.write() as connection:
            shards.unpublish(connection, [(found.job_id, found.no) for found in messages])
    return rung


def queued(app: Celery) -> int | None:
    """Shard messages in Redis now; None if the broker does not answer."""
    try:
        with app.connection_for_read() as connection:
            channel: Any = connection.default_channel
            # kombu's own count over all priority lists
            return sum(int(channel._size(queue)) for queue in (SHARDS, TRAIN))
    except (OperationalError, OSError, *UNREADABLE):
        return None
