"""The page of one job, and what may be done to it."""

import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection
from tornado.ioloop import IOLoop
from tornado.web import HTTPError

from dashboard import evaluation, stages, training
from dashboard.charts import job
from dashboard.frame import Action, View
from dashboard.job_facts import facts_of
from dashboard.reasons import MEANINGS
from models import doorbell
from models.budgets import parse_budget
from models.errors import BadInputError
from models.prices import load_prices
from models.settings import Settings
from models.states import JobState
from models.store import jobs, money, retries
from models.store.views import jobpage

BY_HAND = "paused on the dashboard"
UNKNOWN = "there is no such job: the tab Jobs lists them"
KNOWN_ID = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""What an id may look like: nothing else is asked of the database."""

log = logging.getLogger(__name__)


class JobView(View):
    """`/job/ID`: how it stands, what happened, what failed, and its buttons."""

    tab = "jobs"

    async def get(self, job_id: str) -> None:
        """The page; 404 in the same look for an id that is none."""
        page = None
        if KNOWN_ID.fullmatch(job_id):
            page = await self.database.read(jobpage.read, job_id)
        if page is None:
            raise HTTPError(404, UNKNOWN)
        facts = facts_of(page)
        is_real_time = page.points or not facts.goes_by_batch
        self.show(
            "maestrale/job.html",
            title=page.job.id,
            page=page,
            job=page.job,
            facts=facts,
            charts=job.of_job(page.points) if is_real_time else [],
            training=training.facts_of(page),
            evaluation=evaluation.facts_of(page),
            stages=stages.lines_of(page),
            meanings=MEANINGS,
            moves=[name for name, move in MOVES.items() if page.job.state in move.sources],
        )


@dataclass(frozen=True, slots=True)
class Move:
    """Something a person may do to a job. `make` answers whether (or for how many rows) it won."""

    make: Callable[..., int]
    sources: frozenset[JobState]
    """Where its button is shown; whether it may is decided by the write."""
    done: str
    lost: str
    rings: bool = False
    """Whether shards are open after it, for which workers are rung."""


MOVES: Mapping[str, Move] = {
    "pause": Move(
        partial(jobs.pause, reason=BY_HAND),
        frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING}),
        "It is paused: calls in flight finish, nothing new starts.",
        "there is nothing to pause",
    ),
    "resume": Move(
        money.resume,
        frozenset({JobState.PAUSED}),
        "It goes on.",
        "there is nothing to resume",
        rings=True,
    ),
    "cancel": Move(
        jobs.cancel,
        frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.PAUSED}),
        "It is cancelled for good. What was paid for stays in the ledger.",
        "it cannot be cancelled",
    ),
    "retry": Move(
        retries.retry,
        frozenset({JobState.SUCCEEDED, JobState.FAILED}),
        "Its failed rows are open again.",
        "none of its failed rows can be tried again",
        rings=True,
    ),
}


class JobAction(Action):
    """`POST /job/ID/MOVE`: the store's own guarded moves, so that a lost race changes nothing."""

    async def act(self, job_id: str, name: str) -> str:
        """Moves the job, rings for its shards if there are any, and says what came of it."""
        if not KNOWN_ID.fullmatch(job_id):
            raise HTTPError(404, UNKNOWN)
        back = self.address("job", job_id)
        move = MOVES[name]
        try:
            make = partial(move.make, **self._wishes(name))
            won, state = await self.database.write(_make, job_id, make)
        except BadInputError as problem:
            self.tell(f"Nothing was changed: {problem}.")
            return back
        if state is None:
            raise HTTPError(404, UNKNOWN)
        self.tell(move.done if won else f"Nothing was changed: it is {state}, {move.lost}.")
        if won and move.rings:
            self._ring(job_id)
        return back

    def _wishes(self, name: str) -> dict[str, int]:
        """The budget a resumed job is given, if it is given one. Raises `BadInputError`."""
        text = str(self.get_body_argument("budget", "")).strip()
        if name != "resume" or not text:
            return {}
        return {"budget_nano": parse_budget(text[:40], load_prices(Settings().prices_file))}

    def _ring(self, job_id: str) -> None:
        """Not waited for: a broker that is away holds up nobody, and the sweeper rings anyway."""
        store, app = self.database.store(), self.application.capp
        waiting: Any = IOLoop.current().run_in_executor(None, doorbell.ring_for, store, app, job_id)
        waiting.add_done_callback(_note)


def _make(
    connection: Connection, job_id: str, make: Callable[[Connection, str], int]
) -> tuple[int, str | None]:
    """What the move answered, and the job's state after it."""
    won = make(connection, job_id)
    after = jobs.control(connection, [job_id]).get(job_id)
    return won, after.state if after else None


def _note(waiting: "Future[bool]") -> None:
    if error := waiting.exception():
        log.warning("nobody was rung (the sweeper will): %s", error)
