"""What a training job's page derives from what its run told."""

import math
from typing import Any

import pytest
from builders import a_job

from dashboard.training import TrainingFacts, facts_of
from models.payloads import JobSpec
from models.states import JobKind, JobState
from models.store.views.jobpage import Hands, JobPage
from models.store.views.trainingpage import SweptRun, TrainingPage
from models.tables import TrainingPoint
from models.training import DatasetRef, TrainingSpec


def a_spec(**changes: Any) -> str:
    data = DatasetRef(name="news", hash="d" * 64, folder="/data", train_rows=9)
    values = {"trainer": "local", "base": "smol", "name": "news-smol", "steps": 100}
    return JobSpec(
        training=TrainingSpec(**{**values, "dataset": data, **changes})
    ).model_dump_json()


def a_point(step: int, at: float = 0.0, **told: Any) -> TrainingPoint:
    return TrainingPoint(job_id="job_1", step=step, at=at, **told)


def facts(spec: str = "", state: JobState = JobState.RUNNING, **seen: Any) -> TrainingFacts:
    """Of a training job of which `seen` was read."""
    nothing = {"step": 0, "losses": [], "validations": [], "checkpoints": [], "runs": []}
    page = TrainingPage(**{**nothing, "best": None, "model": None, **seen})
    found = facts_of(a_page(spec or a_spec(), state, page))
    assert found is not None
    return found


def a_page(spec: str, state: JobState, training: TrainingPage | None) -> JobPage:
    names = ("standings", "points", "operations", "failures", "costs", "doubts", "events")
    nothing: dict[str, Any] = dict.fromkeys([*names, "deliveries", "ancestors", "children"], ())
    return JobPage(
        job=a_job(kind=JobKind.TRAIN, spec=spec, state=state, rows_total=1),
        now=1000.0,
        calls_per_s=0.0,
        hands=Hands(1, 1),
        workers_alive=1,
        asked={},
        training=training,
        **nothing,
    )


def test_a_job_that_trains_nothing_has_no_such_facts():
    """The page of a generation job stays as it is."""
    assert facts_of(a_page("{}", JobState.RUNNING, None)) is None


def test_a_run_tells_how_far_and_how_well():
    """Steps, newest losses, the best, and the end by the pace of the newest points."""
    losses = [a_point(step, step * 2.0, loss=3.0, learning_rate=1e-4) for step in (10, 20, 40)]
    valid = a_point(40, valid_loss=math.log(8))
    found = facts(step=40, losses=losses, validations=[valid], best=valid)
    assert (found.step, found.steps, found.percent) == (40, 100, 40.0)
    assert (found.loss, found.valid_loss, found.perplexity) == ("3.000", "2.079", "8")
    assert (found.best, found.rate) == ("best 2.079 at step 40", "1e-4")
    assert found.seconds_left == 120.0
    assert found.counts_steps


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.SUCCEEDED, JobState.WAITING])
def test_what_does_not_run_has_no_end(state: JobState):
    """However fast it went."""
    losses = [a_point(step, step * 2.0, loss=3.0) for step in (1, 2)]
    assert facts(state=state, step=2, losses=losses).seconds_left is None


def test_a_run_that_told_nothing_has_dashes():
    """And so has one whose loss is no number."""
    for found in (facts(), facts(losses=[a_point(1, loss=math.nan)])):
        assert (found.loss, found.valid_loss, found.perplexity, found.best) == ("–", "–", "–", "")
        assert found.seconds_left is None


@pytest.mark.parametrize("spec", ["{}", "{", '{"training": {"trainer": "magic"}}'])
def test_a_spec_of_another_version_leaves_the_rest(spec: str):
    """Its curves are shown; steps to come and lineage are not known."""
    found = facts(spec, step=4, losses=[a_point(4, loss=3.0)])
    assert (found.steps, found.lineage, found.counts_steps) == (None, [], False)
    assert (found.loss, len(found.charts)) == ("3.000", 3)


def test_lineage_names_the_dataset_by_its_hash():
    """And base, trainer, seed and parameters; of a sweep only what its runs share."""
    told = dict(facts(a_spec(seed=7)).lineage)
    assert (told["Dataset"], told["Dataset hash"], told["Base"]) == ("news", "d" * 16, "smol")
    assert (told["Trainer"], told["Seed"], told["Learning rate"]) == ("here", "7", "1e-4")
    run = SweptRun("job_2", "news-01", JobState.RUNNING, a_spec(), 5, 4.0, 2.0)
    swept = facts(runs=[run])
    assert "Seed" not in dict(swept.lineage)
    assert not swept.counts_steps
    assert [(one.name, one.rate, one.steps, one.after) for one in swept.runs] == [
        ("news-01", "1e-4", "5 of 100", "2.000")
    ]
    assert [chart.title.partition(",")[0] for chart in swept.charts] == [
        "Validation loss",
        "Perplexity on the validation part",
        "Validation loss by learning rate",
    ]


@pytest.mark.parametrize(
    ("trainer", "told", "state", "rate"),
    [
        ("local", 5e-5, JobState.RUNNING, ("5e-5", "now")),
        ("local", 0.0, JobState.SUCCEEDED, ("0", "at the end")),
        ("local", None, JobState.RUNNING, ("–", "not told yet")),
        ("local", None, JobState.FAILED, ("–", "none was told")),
        ("mistral", None, JobState.RUNNING, ("1e-4", "asked for")),
        ("mistral", None, JobState.SUCCEEDED, ("1e-4", "asked for")),
    ],
)
def test_a_rate_is_told_with_its_moment(
    trainer: str, told: float | None, state: JobState, rate: tuple[str, str]
):
    """A provider does not tell any: there it is what was asked for."""
    losses = [a_point(1, loss=3.0, learning_rate=told)]
    found = facts(a_spec(trainer=trainer), state, losses=losses)
    assert (found.rate, found.rate_when) == rate


def test_nothing_is_awaited_of_a_run_that_is_over():
    """Neither curves nor checkpoints come "yet"; a hosted run has no curve of rates."""
    over = facts(state=JobState.FAILED)
    assert {chart.summary for chart in over.charts} == {"Nothing was told."}
    assert over.is_over
    going = facts(a_spec(trainer="mistral"))
    assert [chart.summary for chart in going.charts] == ["Nothing was told yet."] * 2
    assert (going.is_over, going.is_hosted) == (False, True)


def test_the_best_run_is_one_that_was_validated():
    """Before that, none is told to be the best of the sweep."""
    fresh = SweptRun("job_2", "news-01", JobState.RUNNING, a_spec(), 5, None, None)
    assert facts(runs=[fresh]).best_run is None
    scored = SweptRun("job_3", "news-02", JobState.RUNNING, a_spec(), 5, 4.0, 2.0)
    best = facts(runs=[scored, fresh]).best_run
    assert best is not None
    assert (best.name, best.after) == ("news-02", "2.000")


def test_steps_told_at_the_same_moment_do_not_hide_the_pace():
    """Points that came in one go say nothing of it; the others do."""
    told = ((10, 0.0), (20, 20.0), (30, 20.0), (40, 20.0), (50, 20.0))
    losses = [a_point(step, at, loss=3.0) for step, at in told]
    assert facts(step=50, losses=losses).seconds_left == 100.0
