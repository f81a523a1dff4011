"""`maestrale up`, `down` and `status`: what runs where, in words."""

import time
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from models.errors import SetupError
from models.settings import Settings
from models.states import WORKABLE, JobState
from models.store import schema
from models.store.views import board
from producers import trainers
from producers.cli.opening import read_settings
from producers.cli.rendering import facts, showing
from producers.cli.rendering.words import counted, safe
from producers.cli.runs.following import OTHER_ACCOUNT
from producers.cli.voice import Voice
from producers.client import Maestrale
from producers.doctor import check_redis, wants_key
from producers.processes import Service, listens
from producers.services import START_S, Services

NO_KEY = (
    "MISTRAL_API_KEY is not set: {} will refuse every call. "
    "Set it, then `maestrale down`, then `maestrale up`."
)
_PAUSED = "`maestrale jobs --state paused` lists them, `maestrale resume JOB` lets one go on"


def bring_up(voice: Voice, workers: int, flower_port: int | None) -> None:
    """Starts what is missing and waits until the workers have given a sign of life."""
    settings = read_settings()
    services = Services(settings)
    _check_given_redis(settings)
    with Maestrale(settings) as maestrale:
        revision = _revision(maestrale)
        with voice.busy(f"starting {counted(workers, 'worker')}"):
            started = services.start(workers=workers, flower_port=flower_port)
            _await_workers(maestrale, services, started)
            _await_flower(services, flower_port)
    running = services.running()
    voice.facts(
        {
            "started": [s.name for s in started],
            "running": [_service_facts(services, s) for s in running],
            "database_revision": revision,
        },
        *_up_words(services, started, running),
    )
    warn(voice, services)


def warn(voice: Voice, services: Services) -> None:
    """Of what runs otherwise than the user may think."""
    settings = services.settings
    if not services.serves_us:
        voice.say(showing.warning(OTHER_ACCOUNT))
    if lack := trainers.what_lacks(settings):
        voice.say(showing.warning(lack.words))
    if not settings.api_key.get_secret_value() and wants_key(settings):
        voice.say(showing.warning(NO_KEY.format(settings.base_url)))


def take_down(voice: Voice) -> None:
    """Stops what runs, workers first."""
    services = Services(read_settings())
    with voice.busy("stopping: calls in flight finish first"):
        stopped = services.stop()
    names = [service.name for service in stopped]
    said = f"  Stopped {', '.join(names)}." if names else "  Nothing was running."
    voice.facts({"stopped": names}, said)


def show_status(voice: Voice) -> None:
    """Processes of this home, workers of this database, limits, and jobs under way."""
    settings = read_settings()
    services = Services(settings)
    running, dead = services.running(), [s for s in services.noted() if not s.is_alive]
    with Maestrale(settings) as maestrale:
        workers, limits = services.living(maestrale.workers()), maestrale.limits()
        found = [job for state in sorted(WORKABLE) for job in maestrale.jobs(state=state)]
        with maestrale.store.read() as connection:  # the list above ends somewhere
            counts = board.by_state(connection)
        now = maestrale.store.now()
    under_way, paused = sum(counts.get(state, 0) for state in WORKABLE), counts.get(JobState.PAUSED)
    words: list[RenderableType] = [_table(services, running)] if running else []
    words += [
        showing.warning(f"{service.name} has died: `maestrale up` starts it again")
        for service in dead
    ]
    words += [
        showing.pairs(
            [
                (
                    "workers alive",
                    f"{len(workers):,}" if workers else "none: start them with `maestrale up`",
                ),
                *(
                    ("limit", f"{safe(model)}: {showing.limit_words(limit)}")
                    for model, limit in sorted(limits.items())
                ),
                ("jobs under way", f"{under_way:,}"),
                *([("jobs paused", f"{paused:,}: {_PAUSED}")] if paused else []),
            ]
        )
    ]
    words += [showing.jobs(found, now)] if found else []
    voice.facts(
        {
            "home": str(settings.home),
            "processes": [_service_facts(services, service) for service in running],
            "died": [service.name for service in dead],
            "workers_alive": len(workers),
            "jobs": [facts.job_facts(job) for job in found],
        },
        *words,
    )


def _revision(maestrale: Maestrale) -> str | None:
    """Opens the database first: workers cannot start without its tables."""
    maestrale.workers()
    with maestrale.store.read() as connection:
        return schema.revision(connection)


def _check_given_redis(settings: Settings) -> None:
    """Workers would wait for a server that does not answer, and never say so here."""
    if settings.redis_url_given.get_secret_value():
        for finding in check_redis(settings):
            if finding.is_bad:
                raise SetupError(f"redis: {finding.found}: {finding.advice}")


def _await_workers(maestrale: Maestrale, services: Services, started: list[Service]) -> None:
    """Waits for the first sign of life of the workers that were started."""
    new = [service for service in started if service.name.startswith("worker")]
    deadline = time.monotonic() + START_S
    while new and time.monotonic() < deadline:
        for service in new:
            services.check_alive(service)
        pids = {worker.id.split(":")[1] for worker in maestrale.workers()}
        if all(str(service.pid) in pids for service in new):
            return
        time.sleep(0.1)


def _await_flower(services: Services, port: int | None) -> None:
    found = [service for service in services.running() if service.name == "flower"]
    if found and port is not None and not listens(port):
        services.await_port(found[0], int(found[0].address.rpartition(":")[2]))


def _up_words(
    services: Services, started: list[Service], running: list[Service]
) -> list[RenderableType]:
    new = {service.name for service in started}
    if not new:
        head = "Everything runs already."
    elif len(new) == len(running):
        head = "Started."
    else:
        head = f"Started what was missing: {', '.join(sorted(new))}."
    return [
        Text(f"  {head}", style="bold"),
        _table(services, running),
        Text(),
        showing.hint("Logs:", str(services.home / "logs")),
        showing.hint("Run a job:", "maestrale generate FILE --recipe NAME"),
        showing.hint("Stop:", "maestrale down"),
    ]


def _table(services: Services, running: list[Service]) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    for service in running:
        table.add_row(service.name, Text(f"pid {service.pid}", style="dim"), Text(service.address))
    return showing.indented(table)


def _service_facts(services: Services, service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "pid": service.pid,
        "address": service.address,
        "log": str(services.log(service.name)),
    }
