"""What the page of a training job reads: on SQLite and on PostgreSQL alike."""

import pytest
from builders import a_stored_job

from models.states import JobKind
from models.store import jobpage, registry, trainings
from models.store.engine import Store
from models.store.trainingpage import POINTS, TrainingPage
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
