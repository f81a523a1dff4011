"""`python -P -m faults.hurt_worker [HURT ...] -- CELERY OPTIONS`: a worker with a flaw built in.

`poison=WORD` dies at once of a row whose text is the word, as an extension in C might.
`visibility=S` takes a message that is not acknowledged after so many seconds for lost.
`haste=S` takes who holds remote work for dead after so long, and waits so long for its lists.
`claims=S` claims calls and deliveries of webhooks for so long: so soon they are others' again.
`twice` puts every message that it sends into its queue two times.
"""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models import broker, doorbell
from models.payloads import RowOutcome

CELERY = (sys.executable, "-P", "-m", "celery", "-A", "worker", "--quiet")


def command(name: str, *hurts: str) -> list[str]:
    """The command of such a worker, as `Services.spawn` takes it."""
    options = ["--without-gossip", "--without-mingle", "--loglevel=WARNING", "-n", f"{name}@%h"]
    return [sys.executable, "-P", "-m", "faults.hurt_worker", *hurts, "--", "worker", *options]


@contextmanager
def sending_twice() -> Iterator[None]:
    """Within the block, every message about a shard that this process sends arrives two times."""
    channel: Any = broker.Channel
    put = channel._put
    _send_twice()
    try:
        yield
    finally:
        channel._put = put


def _send_twice(_: str = "") -> None:
    channel: Any = broker.Channel
    put = channel._put

    def put_twice(self: Any, queue: str, *args: Any, **named: Any) -> None:
        for _ in range(2 if queue.startswith(doorbell.SHARDS) else 1):
            put(self, queue, *args, **named)

    channel._put = put_twice


def _lose_sight_after(seconds: str) -> None:
    changes = {"visibility_timeout": float(seconds), "unacked_restore_interval": 1}
    doorbell.TRANSPORT_OPTIONS.update(changes)


def _hurry(seconds: str) -> None:
    operations: Any = importlib.import_module("worker.remote.operations")
    starting: Any = importlib.import_module("worker.remote.starting")
    operations.HOLD_S = starting.ANSWER_S = starting.LAG_S = float(seconds)


def _claim_for(seconds: str) -> None:
    calls: Any = importlib.import_module("worker.ledger.claims")
    deliverer: Any = importlib.import_module("worker.webhooks.deliverer")
    lanes: Any = importlib.import_module("worker.webhooks.lanes")
    calls.TTL_S = deliverer.CLAIM_S = float(seconds)
    lanes.FRESH_S = float(seconds) / 2  # what waits longer is not begun any more


def _die_of(word: str) -> None:
    kind: Any = importlib.import_module("worker.kinds.generate")
    run_row = kind.run_row

    async def run(one: Any) -> RowOutcome:
        if one.row.data["text"] == word:
            os.write(2, b"dead of a row\n")
            os.kill(os.getpid(), signal.SIGKILL)
        outcome: RowOutcome = await run_row(one)
        return outcome

    kind.run_row = run


_HURTS: dict[str, Any] = {
    "claims": _claim_for,
    "haste": _hurry,
    "poison": _die_of,
    "visibility": _lose_sight_after,
    "twice": _send_twice,
}


def main() -> None:
    """Hurts this process, and runs Celery in it."""
    at = sys.argv.index("--")
    for told in sys.argv[1:at]:
        name, _, value = told.partition("=")
        _HURTS[name](value)
    from worker.celery import app  # noqa: PLC0415 # after what hurts it

    raise SystemExit(app.worker_main(sys.argv[at + 1 :]))


if __name__ == "__main__":
    main()
