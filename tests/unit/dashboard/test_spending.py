"""What a job's page says of money."""

from typing import Any

import pytest
from builders import a_job

from dashboard.spending import spent_on
from models.nano import NANO
from models.states import JobKind, JobState
from models.store.money import Cost
from models.store.views.jobpage import DoubtGroup, Hands, JobPage
from models.store.views.trainingpage import SweptRun, TrainingPage


def a_page(*runs: SweptRun, kind: str = JobKind.TRAIN, **told: Any) -> JobPage:
    """A job with the counters in `job`; and whatever else is told."""
    names = ("standings", "points", "operations", "failures", "costs", "doubts", "events")
    nothing: dict[str, Any] = dict.fromkeys([*names, "deliveries", "ancestors", "children"], ())
    job = a_job(**{"kind": kind, "state": JobState.RUNNING, **told.pop("job", {})})
    training = TrainingPage(0, [], [], None, [], None, runs, told.pop("by_model", ()))
    values: dict[str, Any] = {"now": 1.0, "calls_per_s": 0.0, "workers_alive": 1, "asked": {}}
    values |= {"job": job, "hands": Hands(0, 0)}
    values["training"] = training if kind == JobKind.TRAIN else None
    return JobPage(**{**nothing, **values, **told})


def a_run(calls: int = 1, unpriced: int = 0, nano: int = 0) -> SweptRun:
    counters = {"calls_made": calls, "calls_unpriced": unpriced, "cost_nano": nano}
    return SweptRun("job_2", "news", JobState.RUNNING, "{}", 0, None, None, **counters)


@pytest.mark.parametrize(
    ("runs", "cost"),
    [
        ([a_run(nano=NANO), a_run(nano=2 * NANO)], "$3.00"),
        ([a_run(nano=NANO), a_run(unpriced=1)], "unknown"),
        ([a_run(unpriced=1), a_run(unpriced=1)], "unknown"),
        ([a_run(nano=NANO), a_run(calls=0)], "$1.00"),
        ([a_run(calls=0)], "$0.00"),
    ],
)
def test_a_sweep_costs_what_its_runs_cost(runs: list[SweptRun], cost: str):
    """Their sum; unknown as soon as that of one is."""
    assert spent_on(a_page(*runs)).cost == cost


def test_a_sweep_lists_what_its_runs_spent_by_model():
    """Not what its own record says, which is nothing."""
    by_model = [Cost("mistral-small-latest", calls=2, cost_nano=NANO)]
    assert spent_on(a_page(a_run(2, nano=NANO), by_model=by_model)).lines == by_model


def test_the_lines_tell_no_less_than_the_cost():
    """A training that counted its cost without a model is a line all the same."""
    spent = spent_on(a_page(job={"calls_made": 1, "calls_unpriced": 1}))
    assert spent.cost == "unknown"
    assert [(line.calls, line.calls_unpriced) for line in spent.lines] == [(1, 1)]
    generated = spent_on(a_page(kind=JobKind.GENERATE, job={"calls_made": 1}))
    assert list(generated.lines) == []


def test_nothing_paid_is_said_as_it_is():
    """Yet, for good, or only not for certain."""
    assert spent_on(a_page()).nothing == "Nothing was paid yet"
    assert spent_on(a_page(job={"state": JobState.FAILED})).nothing == "Nothing was paid"
    doubts = [DoubtGroup("failed", 1, 1, 0)]
    assert spent_on(a_page(doubts=doubts)).nothing == "Nothing was paid for certain"
