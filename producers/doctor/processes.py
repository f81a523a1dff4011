"""Who is alive: the processes of this home, the workers of the database, the clock."""

import shutil
import time
from collections.abc import Iterator

from models.pipelines.due import alone_s
from models.settings import Settings
from models.store import fleet, stages_seen
from models.words import counted
from producers import trainers
from producers.client import Maestrale
from producers.doctor.findings import Finding, bad, good, note
from producers.services import Services

SWEEP_LATE_S = 60.0
"""The sweep is due every few seconds; later than this, nobody does it."""
ALONE_S = 60.0
"""Conductors look every few seconds; what is due for longer, nobody does."""
SKEW_S = 60.0
"""Receivers refuse signatures that are five minutes off; this is a good while earlier."""


def check_processes(settings: Settings) -> Iterator[Finding]:
    """What `maestrale up` started here still runs."""
    noted = Services(settings).noted()
    dead = [service.name for service in noted if not service.is_alive]
    if dead:
        found = f"{', '.join(dead)} died"
        yield bad("processes", found, "run `maestrale up`: it starts them again")
    if any(service.name == "clock" and service.is_alive for service in noted):
        yield good("clock", "runs here")
    else:
        yield note("clock", "not started here: the workers keep time themselves")


def check_account(settings: Settings) -> Iterator[Finding]:
    """The workers of this home have the key that is set here; they keep the one they began with."""
    services = Services(settings)
    works = any(one.name.startswith("worker") for one in services.running())
    if works and not services.serves_us:
        found = "the workers here were started with another MISTRAL_API_KEY or MISTRAL_BASE_URL"
        yield bad("key", found, "run `maestrale down && maestrale up`: then they have this one")


def check_workers(maestrale: Maestrale) -> Iterator[Finding]:
    """Workers of any machine that gave a sign of life."""
    workers = Services(maestrale.settings).living(maestrale.workers())
    if not workers:
        yield bad("workers", "none is alive", "run `maestrale up`")
        return
    slots = sum(worker.slots for worker in workers)
    yield good("workers", f"{len(workers)} alive, {slots} shards at once")


def check_clock(maestrale: Maestrale) -> Iterator[Finding]:
    """Somebody sweeps, and this machine's clock is the database's."""
    with maestrale.store.read() as connection:
        late_s = fleet.overdue_s(connection, "sweep")
    if late_s > SWEEP_LATE_S and Services(maestrale.settings).living(maestrale.workers()):
        advice = "restart the workers, and see their logs: dead shards are not rescued"
        yield bad("clock", f"nobody has swept for {late_s:,.0f} s", advice)
    skew_s = time.time() - maestrale.store.now()
    if abs(skew_s) > SKEW_S:
        found = f"this machine is {abs(skew_s):,.0f} s {'ahead of' if skew_s > 0 else 'behind'}"
        advice = "set it by NTP: receivers refuse webhooks that are signed at the wrong time"
        yield note("clock", f"{found} the database", advice)


def check_conductor(maestrale: Maestrale) -> Iterator[Finding]:
    """Whether somebody takes runs of pipelines from stage to stage, here or elsewhere."""
    if any(service.name == "conductor" for service in Services(maestrale.settings).running()):
        yield good("conductor", "runs here")
        return
    with maestrale.store.read() as connection:
        runs = stages_seen.open_runs(connection)
        found = [(run, stages_seen.of_run(connection, run.id)) for run in runs]
        at_work = stages_seen.jobs_of(connection, [one for _, stages in found for one in stages])
    now = maestrale.store.now()
    is_claimed = any((one.claimed_until or 0.0) > now for _, stages in found for one in stages)
    left = [run.id for run, stages in found if alone_s(run, stages, at_work, now) > ALONE_S]
    if left and not is_claimed:  # one that is at another run comes to these, too
        runs_left = f"{counted(len(left), 'run')} of pipelines: {', '.join(left[:3])}"
        advice = f"run `maestrale up`, or conduct it yourself: `maestrale watch {left[0]}`"
        yield bad("conductor", f"nobody conducts {runs_left}", advice)


def check_trainer(maestrale: Maestrale) -> Iterator[Finding]:
    """Whether runs of `maestrale train` find a trainer; generating needs none."""
    python = maestrale.settings.train_python
    if python and shutil.which(python) is None:
        found = f"MAESTRALE_TRAIN_PYTHON names {python}, which is no program here"
        yield note("trainer", found, "name the Python that has the extra `train`, then restart")
    elif lack := trainers.what_lacks(maestrale.settings):
        others = trainers.strangers(maestrale)
        unless = f" (unless {others} trains)" if others else ""
        yield note("trainer", f"{lack.why}{unless}", f"to train: {lack.advice}")
    else:
        yield good("trainer", "runs here")
