"""The page Jobs: which there are, how far, how fast, at what cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from dashboard import pace
from dashboard.frame import View
from models.states import JobKind, JobState
from models.store import pulses, trainings
from models.store.engine import read_now
from models.store.views import board
from models.store.views.board import PAGE, SORTS, Listed, Wanted

COLUMNS: Mapping[str, str] = {
    "job": "Job",
    "state": "State",
    "progress": "Progress",
    "pace": "Calls/s",
    "refusals": "Refused",
    "cost": "Cost",
    "left": "Time left",
    "created": "Created",
}
"""In the order of the table; those that are no `SORTS` are known of a page's jobs only."""
FARTHEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """A job with what its counters do not tell. None: not known, or it does not run."""

    job: Listed
    calls_per_s: float | None = None
    share: float | None = None
    """Of its model's limit."""
    seconds_left: float | None = None

    @property
    def settled(self) -> float:
        """Per cent of the rows, done or failed."""
        return pace.per_cent(self.job.rows_done + self.job.rows_failed, self.job.rows_total)

    @property
    def done(self) -> float:
        """Per cent of the rows."""
        return pace.per_cent(self.job.rows_done, self.job.rows_total)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of jobs, and how many there are beside it."""

    now: float
    wanted: Wanted
    lines: list[Line]
    total: int
    states: Mapping[str, int]

    @property
    def pages(self) -> int:
        """At least one."""
        return max(1, -(-self.total // PAGE))


class JobsView(View):
    """`/jobs?state=&kind=&text=&sort=&order=&page=`: what does not make sense filters nothing."""

    tab = "jobs"

    async def get(self) -> None:
        """Answers with the page."""
        found = await self.database.read(look, self.wanted())
        self.show(
            "maestrale/jobs.html",
            title="Jobs",
            found=found,
            columns=COLUMNS,
            sorts=SORTS,
            states=list(JobState),
            kinds=list(JobKind),
            link=lambda **changes: self.link(found.wanted, **changes),
        )

    def wanted(self) -> Wanted:
        """What the query string asks for."""
        state, kind, sort = self.query("state"), self.query("kind"), self.query("sort")
        page = self.query("page", limit=9)
        return Wanted(
            state=state if state in set(JobState) else "",
            kind=kind if kind in set(JobKind) else "",
            text=self.query("text").strip(),
            sort=sort if sort in SORTS else "created",
            descending=self.query("order") != "asc",
            page=min(FARTHEST, max(1, int(page))) if page.isdecimal() else 1,
        )

    def link(self, wanted: Wanted, **changes: Any) -> str:
        """The address of this list, changed; back on its first page unless that is the change."""
        other = replace(wanted, **{"page": 1, **changes})
        return self.address(
            "jobs",
            state=other.state,
            kind=other.kind,
            text=other.text,
            sort="" if other.sort == "created" else other.sort,
            order="" if other.descending else "asc",
            page="" if other.page == 1 else other.page,
        )


def look(connection: Connection, wanted: Wanted) -> Found:
    """Everything the page shows. A page beyond the end is the last one."""
    now, total = read_now(connection), board.count(connection, wanted)
    wanted = replace(wanted, page=max(1, min(wanted.page, -(-total // PAGE))))
    found = with_runs(connection, board.listed(connection, wanted))
    moving = [job.id for job in found if job.state == JobState.RUNNING]
    rates = pulses.rates_now(connection, moving) if moving else {}
    asked = board.models_asked(connection, moving) if moving else {}
    limits = pace.limits_by_model(board.standings(connection)) if moving else {}
    lines = [_line(job, rates.get(job.id), asked.get(job.id, {}), limits, now) for job in found]
    return Found(now, wanted, lines, total, board.by_state(connection))


def with_runs(connection: Connection, found: Sequence[Listed]) -> list[Listed]:
    """The jobs, sweeps with what their runs have cost in place of their own nothing."""
    trained = [job.id for job in found if job.kind == JobKind.TRAIN]
    sums: Mapping[str, Mapping[str, Any]] = trainings.paid_by_runs(connection, trained)
    return [replace(job, **sums.get(job.id, {})) for job in found]


def _line(
    job: Listed,
    calls_per_s: float | None,
    asked: Mapping[str, int],
    limits: Mapping[str, float],
    now: float,
) -> Line:
    if calls_per_s is None:
        return Line(job)
    counted = {} if job.kind == JobKind.EMBED else asked  # texts share requests
    share = pace.share_of_limit(calls_per_s, counted, limits)
    return Line(job, calls_per_s, share, pace.seconds_left(job, calls_per_s, now))
