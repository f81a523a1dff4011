"""Listens to what Celery's workers tell of their tasks, as Flower does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from models.doorbell import make_celery
from proving.stage import Stage

NOTHING = "nothing to do"
"""How the answer begins of a task whose shard is settled, stopped, or in other hands."""


@dataclass
class Heard:
    """Tasks as they were told of since the ear is open."""

    received: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event, repr=False)
    closed: threading.Event = field(default_factory=threading.Event, repr=False)

    def shards_received(self) -> int:
        """Messages about shards that workers took."""
        return sum(str(one["name"]).endswith("run_shard") for one in self.received)

    def answers(self, words: str) -> int:
        """Tasks whose answer has these words in it."""
        return sum(words in str(one["result"]) for one in self.ended)


@contextmanager
def listening(on: Stage) -> Iterator[Heard]:
    """An open ear, for as long as the block lasts."""
    heard = Heard()
    thread = threading.Thread(target=_listen, args=(on, heard), daemon=True)
    thread.start()
    heard.opened.wait(10)
    try:
        yield heard
    finally:
        heard.closed.set()
        thread.join(5)


def _listen(on: Stage, heard: Heard) -> None:
    app = make_celery(on.client.settings)
    handlers = {"task-received": heard.received.append, "task-succeeded": heard.ended.append}
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers=handlers)
        with receiver.consumer_context() as (own, _, _):
            heard.opened.set()
            while not heard.closed.is_set():
                with suppress(TimeoutError):
                    own.drain_events(timeout=0.2)
