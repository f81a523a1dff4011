"""A job is not retried where nobody would read what that brings, on both databases."""

import pytest
from test_store_runs_again import TRAINED, a_sweep_of, retry
from test_store_stages import a_child, a_run, claim, lost, move, seen, the_run
from test_store_sweeps import end

from models.errors import BadInputError
from models.states import JobState
from models.store import stages
from models.store.engine import Store


def finished(store: Store, run: str, name: str, job_id: str) -> None:
    """The stage is done, by that job."""
    assert move(store, "finish", claim(store, run, name), {"job": job_id})


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_job_of_a_stage_that_is_done_stays_as_it_is(store: Store, *, is_settled: bool) -> None:
    """Its rows are written and read already: what a retry brings would be paid for in vain."""
    run = a_run(store)
    child = a_child(store, run)
    move(store, "submitted", claim(store, run, "pairs"), child, {})
    end(store, child, lost=True)
    finished(store, run, "pairs", child)
    if is_settled:
        lost(store, run, "data")
        move(store, "skip", run, "exam", "it needs data")
        assert move(store, "settle", run) == JobState.FAILED
    before = the_run(store, child)
    with pytest.raises(BadInputError, match=f"{child} did the stage pairs of {run}.*--again"):
        retry(store, child)
    assert the_run(store, child) == before
    assert seen(store, run)["pairs"].state == "done"


def test_neither_does_what_a_sweep_that_is_done_left(store: Store) -> None:
    """One of its runs, all of it, and what ranked them, which its key names."""
    run = a_run(store, TRAINED)
    sweep, (one, other) = a_sweep_of(store, run)
    move(store, "submitted", claim(store, run, "model"), sweep, {})
    end(store, one, lost=True)
    end(store, other)
    ranking = a_child(store, run, state="failed", idempotency_key=f"{run}/model/d/0.ranking")
    move(store, "submitted", claim(store, run, "model"), ranking, {stages.SWEEP: sweep})
    finished(store, run, "model", sweep)
    for job_id in (one, sweep, ranking):
        with pytest.raises(BadInputError, match=f"the stage model of {run}"):
            retry(store, job_id)
    assert the_run(store, one).state == JobState.FAILED


def test_a_job_of_a_stage_that_waits_for_it_is_retried(store: Store) -> None:
    """It failed, and the stage is not collected yet."""
    run = a_run(store)
    child = a_child(store, run)
    move(store, "submitted", claim(store, run, "pairs"), child, {})
    end(store, child, lost=True)
    assert retry(store, child) == 1
    assert the_run(store, child).state == JobState.QUEUED
