"""The stages of a run as lines of its page."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from builders import a_job

from dashboard.stages import COLOURS, DASH, lines_of
from models.states import StageState
from models.store.stages_seen import Spent, StageSeen
from models.tables import Job, Stage


def a_line(job: Job | None = None, cost: int = 0, **told: Any) -> Any:
    """The line of one stage of a run, looked at in second 100."""
    values = {"run_id": "job_run", "name": "pairs", "place": 0, "kind": "generate", **told}
    seen = StageSeen(Stage(**values), job, Spent(cost, job.calls_made if job else 0))
    return lines_of(cast("Any", SimpleNamespace(stages=[seen], now=100.0)))[0]


@pytest.mark.parametrize("state", StageState)
def test_every_state_has_a_colour(state: StageState) -> None:
    """That of the job's state it is like."""
    assert a_line(state=state).colour == COLOURS[state]


def test_a_stage_at_work_says_how_far_it_is_and_what_it_cost() -> None:
    """By its own job."""
    job = a_job(parent_id="job_run", rows_total=10, rows_done=4, rows_failed=1, calls_made=5)
    line = a_line(job, 2_000_000_000, state=StageState.RUNNING, started_at=55.0)
    assert (line.job, line.rows, line.took) == (job.id, "5 of 10, 1 failed", "45 s")
    assert "2.00" in line.cost


def test_what_an_earlier_run_paid_is_not_told_as_paid_again() -> None:
    """A stage that was taken over links to the job, and cost nothing."""
    job = a_job(parent_id="job_other", rows_total=10, rows_done=10)
    line = a_line(job, 0, state=StageState.REUSED, started_at=1.0)
    assert (line.job, line.rows, line.cost, line.took) == (job.id, DASH, DASH, DASH)
