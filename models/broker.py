"""kombu's Redis transport, closed twice without harm: what a lost connection cannot restore stays.

When a connection is lost, Celery 5.7 collects it and then closes it. A channel with a BRPOP in
flight survives the first of these (reading that answer fails), the second restores its
unacknowledged messages by a transport without a client, and kombu 5.7.0 raises AttributeError
("'NoneType' object has no attribute 'hostname'"), which Celery takes for the end of the worker
(celery/kombu#582 and #970 are the same by other doors). The server still holds these messages and
gives them out again when `visibility_timeout` is over; the sweeper is there long before.
"""

from typing import Any

from kombu.transport import redis


class QoS(redis.QoS):
    """The messages a channel took and has not acknowledged."""

    def restore_unacked(self, client: Any = None) -> None:
        """Gives them back to their queues, unless the connection they came by was given up."""
        transport = self.channel.connection
        if transport is not None and transport.client is not None:
            super().restore_unacked(client)
        elif self._delivered:
            self._delivered.clear()


class Channel(redis.Channel):
    """A channel with our `QoS`."""

    QoS = QoS


class Transport(redis.Transport):
    """What `redis://`, `rediss://` and `redis+socket://` mean to kombu once an app was made."""

    Channel = Channel
