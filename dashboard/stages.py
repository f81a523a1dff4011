"""What the page of a pipeline's run derives: its stages, worded. Pure."""

from dataclasses import dataclass

from dashboard import words
from models.states import STAGE_GOOD, StageState
from models.store.stages_seen import StageSeen
from models.store.views.jobpage import JobPage
from models.words import duration

COLOURS = {
    StageState.WAITING: "queued",
    StageState.WORKING: "running",
    StageState.RUNNING: "running",
    StageState.DONE: "succeeded",
    StageState.REUSED: "succeeded",
    StageState.FAILED: "failed",
    StageState.SKIPPED: "cancelled",
    StageState.CANCELLED: "cancelled",
}
"""A job's state of the same colour."""
DASH = "–"


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage as a line of the table; `job`: an id to link to, or empty."""

    name: str
    kind: str
    needs: str
    state: str
    colour: str
    reason: str
    job: str
    job_state: str
    rows: str
    cost: str
    took: str
    is_evaluation: bool
    """Whether its job has a report to link to."""


def lines_of(page: JobPage) -> list[StageLine]:
    """The stages of a run in the order of the file; none: the job is no run."""
    return [_line(one, page.now) for one in page.stages]


def _line(one: StageSeen, now: float) -> StageLine:
    stage, job = one.stage, one.job
    return StageLine(
        name=stage.name,
        kind=stage.kind,
        needs=", ".join(one.needs) or DASH,
        state=stage.state,
        colour=COLOURS[StageState(stage.state)],
        reason=stage.reason,
        job=job.id if job else "",
        job_state=job.state if job and one.is_own else "",
        rows=_rows(one),
        cost=_cost(one),
        took=_took(one, now),
        is_evaluation=stage.kind == "evaluate" and stage.state in STAGE_GOOD,
    )


def _rows(one: StageSeen) -> str:
    job = one.job
    if job is None or not one.is_own:
        return DASH
    failed = f", {job.rows_failed:,} failed" if job.rows_failed else ""
    return f"{job.rows_done + job.rows_failed:,} of {job.rows_total:,}{failed}"


def _cost(one: StageSeen) -> str:
    spent = one.spent
    if not one.is_own and not spent.calls_made and not spent.cost_nano:
        return DASH
    return words.short_cost(spent.cost_nano, calls=spent.calls_made, unpriced=spent.calls_unpriced)


def _took(one: StageSeen, now: float) -> str:
    began, quiet = one.stage.started_at, (StageState.WAITING, StageState.REUSED)
    if began is None or one.stage.state in quiet:
        return DASH
    return duration((one.stage.finished_at or now) - began)
