"""The registry, and what training runs told: on SQLite and on PostgreSQL alike."""

import json
from typing import Any

from builders import a_stored_job

from models.states import JobKind
from models.store import events, registry, trainings
from models.store.engine import Store
from models.tables import TunedModel

METRICS: dict[str, float | None] = {"valid_loss_before": 4.0, "valid_loss_after": None}


def a_model(job_id: str, **changes: Any) -> TunedModel:
    values = {
        "name": "news-smollm2",
        "base": "smollm2",
        "trainer": "local",
        "place": f"runs/{job_id}/adapter",
        "job_id": job_id,
        "created_at": 0.0,
    }
    return TunedModel(**{**values, **changes})


def a_training(store: Store, **changes: Any) -> str:
    return a_stored_job(store, rows_count=1, shard_size=1, kind=JobKind.TRAIN, **changes)


def registered(store: Store, model: TunedModel) -> TunedModel:
    with store.write() as connection:
        return registry.register(connection, model, METRICS)


def test_a_model_is_registered_once_with_its_event(store: Store) -> None:
    """Again (after a death) it stands as it stood, and nothing is told twice."""
    job_id = a_training(store)
    first = registered(store, a_model(job_id))
    assert registered(store, a_model(job_id, name="other")) == first
    with store.read() as connection:
        told = events.of_subject(connection, job_id)
        assert registry.by_name(connection, "news-smollm2") == first
        assert [one.name for one in registry.newest(connection)] == ["news-smollm2"]
    assert [one.type for one in told] == ["job.queued", "model.registered"]
    data = json.loads(told[1].data)
    assert (data["model"], data["metrics"], data["trainer"]) == ("news-smollm2", METRICS, "local")


def test_no_model_is_ever_replaced(store: Store) -> None:
    """A name that another job's model has is kept apart by the job's id."""
    first, second = a_training(store), a_training(store)
    registered(store, a_model(first))
    assert registered(store, a_model(second)).name == f"news-smollm2-{second[4:]}"


def test_what_is_told_of_a_step_adds_up(store: Store) -> None:
    """A loss, then a validation, then the loss again after a resume: one point."""
    job_id = a_training(store)
    with store.write() as connection:
        trainings.tell(connection, job_id, 2, {"loss": 3.0})
        trainings.tell(connection, job_id, 1, {"loss": 4.0})
        trainings.tell(connection, job_id, 2, {"valid_loss": 2.5, "checkpoint": "checkpoint-2"})
        trainings.tell(connection, job_id, 2, {"loss": 2.9})
    with store.read() as connection:
        one, two = trainings.of_job(connection, job_id)
    assert (one.step, one.loss, one.valid_loss) == (1, 4.0, None)
    assert (two.loss, two.valid_loss, two.checkpoint) == (2.9, 2.5, "checkpoint-2")
    assert two.at > 1e9


def test_the_newest_trainings_tell_how_fast_they_went(store: Store) -> None:
    """Those that told something, with their specs."""
    silent, told = a_training(store), a_training(store)
    with store.write() as connection:
        for step in (1, 2):
            trainings.tell(connection, told, step, {"loss": 1.0})
    with store.read() as connection:
        found = trainings.recent(connection)
    assert [job_id for job_id, _ in found] == [told]
    assert silent != told


def test_the_children_of_a_sweep_stand_in_their_order(store: Store) -> None:
    """By name, which is numbered."""
    parent = a_training(store)
    ids = [a_training(store, parent_id=parent, name=f"news-{no:02d}") for no in (2, 1)]
    with store.read() as connection:
        found = trainings.children(connection, parent)
    assert [job.id for job in found] == ids[::-1]
