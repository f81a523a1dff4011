"""Builds the Celery app of the workers: settings, tasks, clock, and the hooks of the runtime."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from celery.signals import (
    celeryd_init,
    worker_init,
    worker_process_init,
    worker_shutdown,
    worker_shutting_down,
)

from models.doorbell import CLOCK, SHARDS, TICK, TRANSPORTS, make_celery
from models.errors import BadInputError, MaestraleError
from models.settings import Settings, settings_of_process
from worker import logs, process, tasks, tracing

TICK_S = 15.0
"""How often beat rings the clock, seconds. The workers' own clocks tick every 5 s; beat's is for
the case that theirs do not, and each tick is a task that Flower keeps."""


def build_app() -> Celery:
    """The app behind `celery -A worker worker|beat|flower`. Opens nothing."""
    settings = settings_of_process()
    _check_server(settings.broker_url)
    _default_flower_to_loopback()
    app = make_celery(settings)
    app.conf.update(
        worker_pool="threads",
        worker_concurrency=settings.shards_in_flight,
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        task_track_started=True,
        worker_enable_remote_control=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_proc_alive_timeout=30,
        beat_schedule={
            "tick": {
                "task": TICK,
                "schedule": TICK_S,
                "options": {"queue": CLOCK, "expires": TICK_S, "argsrepr": "the clock ticks"},
            }
        },
        beat_schedule_filename=str(settings.home / "beat"),
        beat_max_loop_interval=TICK_S,
    )
    tasks.register(app)
    _hook(app, settings)
    return app


def _check_server(url: str) -> None:
    """Ends the process where kombu would with a traceback, and without what may be a password."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in TRANSPORTS and (parts.port or 1) > 0
    except ValueError:
        is_one = False
    if not is_one:
        sys.stderr.write("the setting REDIS_URL cannot be used: `maestrale doctor` says why\n")
        raise SystemExit(BadInputError.exit_code)


def _hook(app: Celery, settings: Settings) -> None:
    traces: list[tracing.Tracing | None] = []

    def open_runtime(**_: Any) -> None:
        logs.configure(settings)
        if not traces:
            traces.append(tracing.open_tracing(settings))
        try:
            process.start(settings, app)
        except MaestraleError as error:  # no Exception: Celery swallows those of its hooks
            sys.stderr.write(f"the worker cannot start: {error}\n")
            raise SystemExit(error.exit_code) from None

    def drain(**_: Any) -> None:
        process.drain()

    def close(**_: Any) -> None:
        process.close()
        for opened in traces:
            if opened is not None:
                opened.close()

    celeryd_init.connect(_leave_training_alone, weak=False)
    worker_init.connect(open_runtime, weak=False)
    worker_process_init.connect(open_runtime, weak=False)
    worker_shutting_down.connect(drain, weak=False)
    worker_shutdown.connect(close, weak=False)


def _leave_training_alone(instance: Any, options: dict[str, Any], **_: Any) -> None:
    """Only who asks for the queue of trainings (`-Q train`) takes from it: it holds a device."""
    if not options.get("queues"):
        instance.app.amqp.queues.select([SHARDS, CLOCK])


def _default_flower_to_loopback() -> None:
    """What `celery -A worker flower` should do unless the operator says otherwise."""
    os.environ.setdefault("FLOWER_ADDRESS", "127.0.0.1")  # Flower's own default is everywhere
    os.environ.setdefault("FLOWER_MAX_TASKS", "20000")
    os.environ.setdefault("FLOWER_TASKS_COLUMNS", "name,args,state,received,runtime,result,worker")
    os.environ.setdefault("FLOWER_PURGE_OFFLINE_WORKERS", "3600")
    found = importlib.util.find_spec("dashboard")  # found by name: nothing here imports it
    if found and found.origin:
        configuration = Path(found.origin).with_name("flower_config.py")
        os.environ.setdefault("FLOWER_CONF", str(configuration))
