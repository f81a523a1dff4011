"""What the page of a training job reads: on SQLite and on PostgreSQL alike."""

import pytest
from builders import a_stored_job
from sqlalchemy import update

from models.payloads import CallRecord, DoubtRecord, Usage
from models.states import JobKind
from models.store import calls, jobs, money, registry, trainings
from models.store.engine import Store
from models.store.views import jobpage
from models.store.views.trainingpage import DRAWN, POINTS, RUN_POINTS, TrainingPage
from models.tables import TunedModel


def a_training(store: Store, **changes: object) -> str:
    return a_stored_job(store, rows_count=1, shard_size=1, kind=JobKind.TRAIN, **changes)


def tell(store: Store, job_id: str, *told: tuple[int, dict[str, object]]) -> None:
    with store.write() as connection:
        for step, values in told:
            trainings.tell(connection, job_id, step, values)


def page_of(store: Store, job_id: str) -> TrainingPage:
    with store.read() as connection:
        page = jobpage.read(connection, job_id)
    assert page is not None
    assert page.training is not None
    return page.training


def test_another_job_has_no_such_part(store: Store) -> None:
    """The page of a generation job asks nothing of trainings."""
    job_id = a_stored_job(store)
    with store.read() as connection:
        page = jobpage.read(connection, job_id)
    assert page is not None
    assert page.training is None


def test_a_run_that_told_nothing_is_empty(store: Store) -> None:
    """No step, no curve, no model."""
    assert page_of(store, a_training(store)) == TrainingPage(0, [], [], None, [], None, [])


def test_a_run_tells_its_curves_its_best_and_its_checkpoints(store: Store) -> None:
    """Losses and validations apart, in order; the newest checkpoint first."""
    job_id = a_training(store)
    first = (0, {"valid_loss": 4.0})
    second = (10, {"valid_loss": 2.0, "checkpoint": "checkpoint-10"})
    third = (20, {"loss": 1.0, "valid_loss": 2.5, "checkpoint": "checkpoint-20"})
    tell(store, job_id, (5, {"loss": 3.0}), third, second, first)
    page = page_of(store, job_id)
    assert page.step == 20
    assert [point.step for point in page.losses] == [5, 20]
    assert [point.valid_loss for point in page.validations] == [4.0, 2.0, 2.5]
    assert page.best is not None
    assert (page.best.step, page.best.valid_loss) == (10, 2.0)
    assert [point.checkpoint for point in page.checkpoints] == ["checkpoint-20", "checkpoint-10"]


@pytest.mark.parametrize("count", [POINTS - 1, POINTS, POINTS + 1, 5 * POINTS + 3])
def test_a_long_curve_is_thinned_and_keeps_both_ends(store: Store, count: int) -> None:
    """However many steps were told, a page shows about as many points."""
    job_id = a_training(store)
    tell(store, job_id, *((step, {"loss": float(step)}) for step in range(1, count + 1)))
    steps = [point.step for point in page_of(store, job_id).losses]
    assert (steps[0], steps[-1]) == (1, count)
    assert steps == sorted(steps)
    assert min(count, POINTS // 2) <= len(steps) <= POINTS + 1


def test_the_runs_of_a_sweep_are_ranked_by_the_loss_of_what_was_kept(store: Store) -> None:
    """The registry's word counts for more than the points; who told nothing comes last."""
    parent = a_training(store)
    silent, told, kept = (a_training(store, parent_id=parent, name=name) for name in "abc")
    a_stored_job(store, parent_id=parent)  # generates: no run
    tell(store, told, (0, {"valid_loss": 4.0}), (7, {"valid_loss": 2.0}), (9, {"valid_loss": 2.2}))
    tell(store, kept, (0, {"valid_loss": 4.0}), (9, {"valid_loss": 3.0}))
    model = TunedModel(
        name="c", base="b", trainer="local", place="runs/c", job_id=kept, created_at=0.0
    )
    with store.write() as connection:
        metrics = {"valid_loss_before": 3.9, "valid_loss_after": 1.5}
        registry.register(connection, model, metrics)
    runs = page_of(store, parent).runs
    assert [(run.id, run.step, run.loss_before, run.loss_after) for run in runs] == [
        (kept, 9, 3.9, 1.5),
        (told, 9, 4.0, 2.0),
        (silent, 0, None, None),
    ]
    stored = page_of(store, kept).model
    assert stored is not None
    assert stored.name == "c"


def test_a_hosted_run_was_not_measured_before(store: Store) -> None:
    """Its first checkpoint is no measure of the model as it was."""
    parent = a_training(store)
    hosted = a_training(store, parent_id=parent)
    tell(store, hosted, (50, {"valid_loss": 4.0}), (100, {"valid_loss": 2.0}))
    (run,) = page_of(store, parent).runs
    assert (run.loss_before, run.loss_after) == (None, 2.0)


def test_the_best_runs_of_a_sweep_tell_their_curves(store: Store) -> None:
    """Each thinned for itself, with both its ends; the others tell none."""
    parent = a_training(store)
    for number in range(DRAWN + 2):
        run = a_training(store, parent_id=parent, name=f"n-{number:02d}")
        steps = 3 * RUN_POINTS + 2 if number == 0 else 2
        losses = ((step, {"loss": 1.0, "valid_loss": number + 1.0}) for step in range(steps))
        tell(store, run, *losses)
    silent = a_training(store, parent_id=parent, name="n-99")
    runs = page_of(store, parent).runs
    curves = {run.name: [point.step for point in run.validations] for run in runs}
    assert curves["n-00"][0] == 0
    assert curves["n-00"][-1] == 3 * RUN_POINTS + 1
    assert RUN_POINTS // 2 <= len(curves["n-00"]) <= RUN_POINTS + 1
    assert all(curves[f"n-{number:02d}"] == [0, 1] for number in range(1, DRAWN))
    assert [runs[-1].id, *(len(run.validations) for run in runs[DRAWN:])] == [silent, 0, 0, 0]


def test_a_sweep_tells_what_its_runs_cost(store: Store) -> None:
    """By model and by run; what is in doubt too."""
    parent = a_training(store)
    runs = [a_training(store, parent_id=parent, name=name) for name in "ab"]
    other = a_training(store)
    with store.write() as connection:
        for number, run in enumerate([*runs, other]):
            record = CallRecord(f"c-{number}", "training", "m", "", Usage(), 5, 0, run)
            money.spend(connection, [record])
        found = update(jobs.jobs).where(jobs.jobs.c.id == runs[0])
        connection.execute(found.values(calls_made=1, cost_nano=5))
        calls.doubt(connection, [DoubtRecord("d", runs[1], "m", "failed", None, "d")])
    page = page_of(store, parent)
    assert [(cost.key, cost.calls, cost.cost_nano) for cost in page.costs] == [("m", 2, 10)]
    assert [(run.calls_made, run.cost_nano) for run in page.runs] == [(1, 5), (0, 0)]
    with store.read() as connection:
        whole = jobpage.read(connection, parent)
    assert whole is not None
    assert [(group.reason, group.calls) for group in whole.doubts] == [("failed", 1)]
