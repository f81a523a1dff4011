"""Conducts the runs of pipelines: claims the stages that are due, has them done, settles the runs.

A stage is started by the event that ends the one before; a clock looks at all open runs for what
was missed. Any number of conductors may work beside each other: claims keep them apart.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection

from models.crashing import crash_point
from models.errors import MaestraleError
from models.pipelines.due import Due, due
from models.states import WORKABLE
from models.store import events, jobs, stages, stages_seen
from models.store.engine import read_now
from models.store.families import family
from models.store.stages import StageInHand
from models.tables import Job
from producers.client import Maestrale
from producers.pipelines import collecting, serving, sharing
from producers.pipelines.doing import do
from producers.pipelines.outcomes import Later, Lost, Made, Outcome, Submitted, TakenOver

LOOK_S = 0.3
"""How often new events are looked for."""
SWEEP_S = 3.0
"""How often all open runs are."""
LOOK_BACK = 200
"""Ids of events to look back by: a long transaction makes its event visible after later ones."""
LATER_S = 3.0
"""Until a stage about which nothing could be done is looked at again."""
AT_ONCE = 4
"""Stages that one conductor has in hand at the same time."""

log = logging.getLogger(__name__)


class Conductor:
    """One conductor: `tick()` again and again, or `run()` until it is told to stop."""

    def __init__(self, maestrale: Maestrale, *, only: str | None = None) -> None:
        self._maestrale = maestrale
        self._only = only
        """The one run that it looks at; None: all."""
        self._hold_s = maestrale.settings.lease_s
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="stage")
        self._held: dict[tuple[str, str], StageInHand] = {}
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._swept_at = self._renewed_at = float("-inf")
        self._seen: set[int] = set()
        self._floor: int | None = None
        self._later: dict[tuple[str, str], float] = {}
        self._stopping = False
        self._reporting: Future[None] | None = None
        self._passed_over: set[str] = set()

    def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Conducts until it is stopped; what the database refuses for a while is tried again."""
        while not self._stopping and not until():
            with _going_on("the conductor goes on in a moment"):
                self.tick()
            self._bell.wait(LOOK_S)
            self._bell.clear()

    def stop(self) -> None:
        """Ends `run` soon. Safe from any thread and from signal handlers."""
        self._stopping = True
        self._bell.set()

    def close(self) -> None:
        """Ends what is in hand in good order; what is not begun is not begun."""
        self.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def tick(self) -> None:
        """One small step for each run that something happened to."""
        self._renew()
        for run_id in self._due_runs():
            with _going_on(run_id):
                self._step(run_id)

    # -- which runs ----------------------------------------------------------------------------

    def _due_runs(self) -> list[str]:
        now = time.monotonic()
        if now - self._swept_at >= SWEEP_S:
            self._swept_at = now
            with _going_on("servers that nobody needs any more"):
                serving.end_left(self._maestrale)
            self._report()
            with self._maestrale.store.read() as connection:
                found = [run.id for run in stages_seen.open_runs(connection)]
        else:
            found = self._touched()
        return [run_id for run_id in found if self._only in (None, run_id)]

    def _touched(self) -> list[str]:
        """Open runs that events since the last look are about."""
        with self._maestrale.store.read() as connection:
            if self._floor is None:
                self._floor = events.last_id(connection)
            new = events.later(connection, self._floor - LOOK_BACK)
            fresh = [event for event in new if event.id not in self._seen]
            self._seen = {event.id or 0 for event in new}
            self._floor = max(self._seen, default=self._floor)
            subjects = sorted({event.subject_id for event in fresh})
            return sorted(stages_seen.runs_touched(connection, subjects)) if subjects else []

    def _report(self) -> None:
        """Evaluations that ended with nobody watching: a thread makes what reports are lacking."""
        if self._only is None and (self._reporting is None or self._reporting.done()):
            self._reporting = self._threads.submit(_catch_up, self._maestrale, self._passed_over)

    # -- one run -------------------------------------------------------------------------------

    def _step(self, run_id: str) -> None:
        with self._maestrale.store.read() as connection:
            seen = _look(connection, run_id)
        if seen is None:
            return
        run, told = seen
        self._move(run_id, is_due=bool(told.skip or told.stands))
        for name in (*told.collect, *told.begin):
            self._take(run, name)
        if told.is_over:
            self._settle(run)

    def _move(self, run_id: str, *, is_due: bool) -> None:
        """Counts the run anew. `is_due`: it seems to stand, or stages are to be passed over."""
        with self._maestrale.store.write() as connection:
            goes_on = _passed_or_paused(connection, run_id) if is_due else None
            stages.recount(connection, run_id)
        if goes_on:
            self._maestrale.ring_for(goes_on)

    def _take(self, run: Job, name: str) -> None:
        """Claims the stage and has it done by a thread."""
        with self._lock:
            is_busy = len(self._held) >= AT_ONCE or (run.id, name) in self._held
        if is_busy or self._later.get((run.id, name), 0.0) > time.monotonic():
            return
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        with self._maestrale.store.write() as connection:
            held = stages.claim(connection, run.id, name, owner, hold_s=self._hold_s)
        if held is not None:
            with self._lock:
                self._held[held.key] = held
            self._threads.submit(self._work, run, held)

    def _work(self, run: Job, held: StageInHand) -> None:
        """In a thread: does the stage and writes what came of it."""
        crash_point("stage.claimed")
        try:
            outcome = do(self._maestrale, run, held)
            crash_point("stage.done")
            with self._maestrale.store.write() as connection:
                is_ours = _write(connection, held, outcome)
            log.info("%s %s: %s%s", *held.key, outcome, "" if is_ours else " (not ours any more)")
            if isinstance(outcome, Later):
                self._later[held.key] = time.monotonic() + LATER_S
        except Exception:  # the next claim begins anew
            log.exception("%s %s: left until its claim runs out", *held.key)
        finally:
            with self._lock:
                self._held.pop(held.key, None)
            self._bell.set()

    def _settle(self, run: Job) -> None:
        """Its report, its end with its event, and the servers that were started for it."""
        collecting.collect(self._maestrale, run)
        crash_point("run.collected")
        with self._maestrale.store.write() as connection:
            stages.settle(connection, run.id)
        serving.end_left(self._maestrale)  # of no run that was opened again meanwhile

    def _renew(self) -> None:
        """Keeps the claims of what is in hand, well before they run out."""
        now = time.monotonic()
        with self._lock:
            held = list(self._held.values())
        if not held or now - self._renewed_at < self._hold_s / 4:
            return
        self._renewed_at = now
        with self._maestrale.store.write() as connection:
            for one in held:
                stages.renew(connection, one, hold_s=self._hold_s)


@contextmanager
def _going_on(what: str) -> Iterator[None]:
    """What goes wrong inside is for the log: others go on, and the next look tries again."""
    try:
        yield
    except MaestraleError as error:
        log.warning("%s: %s", what, error)
    except Exception:
        log.exception("%s: left until the next look", what)


def _catch_up(maestrale: Maestrale, passed_over: set[str]) -> None:
    from producers.evaluating import reports  # noqa: PLC0415 # charts are slow to import

    with _going_on("reports of evaluations"):
        reports.catch_up(maestrale, passed_over)


def _look(connection: Connection, run_id: str) -> tuple[Job, Due] | None:
    """The run and what may be done about it; None: nothing, it is paused or over."""
    run = jobs.get(connection, run_id)
    if run is None or run.state not in WORKABLE:
        return None
    found = stages_seen.of_run(connection, run_id)
    at_work = stages_seen.jobs_of(connection, found)
    return run, due(found, at_work, read_now(connection))


def _passed_or_paused(connection: Connection, run_id: str) -> str | None:
    """Passes over what will not be done, and pauses a run that stands if no money can be passed on.

    It looks again with all of the run locked: since the first look a user may have resumed or
    retried a job, or another conductor passed money on. Answers the job to ring for, if any.
    """
    jobs.lock(connection, family(connection, run_id))
    seen = _look(connection, run_id)
    if seen is None:
        return None
    _, told = seen
    for name, reason in told.skip.items():
        stages.skip(connection, run_id, name, reason)
    goes_on = sharing.pass_on(connection, run_id) if told.stands else None
    if told.stands and not goes_on:
        jobs.pause(connection, run_id, told.stands)
    return goes_on


def _write(connection: Connection, held: StageInHand, outcome: Outcome) -> bool:
    """The move that belongs to the outcome; False: the stage is not ours any more."""
    match outcome:
        case Submitted(job_id, notes):
            return stages.submitted(connection, held, job_id, notes)
        case Made(output):
            return stages.finish(connection, held, output)
        case TakenOver(known):
            return stages.reuse(connection, held, known)
        case Later(reason):
            return stages.hand_back(connection, held, reason)
        case Lost(reason):
            return stages.fail(connection, held, reason)
