"""The registry of tuned models: put there with its event, looked up, listed."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from models.store import events, reading
from models.store import jobs as job_moves
from models.store.engine import now_s, one_at_a_time
from models.tables import TunedModel, table_of

models = table_of(TunedModel)


def register(
    connection: Connection, model: TunedModel, metrics: Mapping[str, float | None]
) -> TunedModel:
    """Puts the model of its job there with its event, once; answers it as it stands there.

    A name that another job's model has is kept apart by the job's id: none is ever replaced.
    """
    job_moves.lock(connection, [model.job_id])
    one_at_a_time(connection, "registry")  # two runs of one name may end in one moment
    if known := of_job(connection, model.job_id):
        return known
    if by_name(connection, model.name) is not None:
        model = model.model_copy(update={"name": f"{model.name}-{model.job_id[4:]}"})
    values = model.model_dump(exclude={"created_at", "metrics"})
    told = orjson.dumps(dict(metrics)).decode()
    connection.execute(insert(models).values(**values, metrics=told, created_at=now_s()))
    events.write(
        connection,
        model.job_id,
        "model.registered",
        model=model.name,
        base=model.base,
        trainer=model.trainer,
        metrics=dict(metrics),
    )
    stored = of_job(connection, model.job_id)
    assert stored is not None
    return stored


def by_name(connection: Connection, name: str) -> TunedModel | None:
    """The model of this name, or None."""
    return _one(connection, models.c.name == name)


def by_place(connection: Connection, place: str) -> TunedModel | None:
    """The model that the provider calls so, or that lies there below a home; or None."""
    return _one(connection, models.c.place == place)


def of_job(connection: Connection, job_id: str) -> TunedModel | None:
    """What the job's training became, or None."""
    return _one(connection, models.c.job_id == job_id)


def newest(connection: Connection, *, limit: int = 50) -> list[TunedModel]:
    """The newest models first."""
    query = select(models).order_by(models.c.created_at.desc(), models.c.name).limit(limit)
    return reading.all_of(connection, query, TunedModel)


def _one(connection: Connection, which: Any) -> TunedModel | None:
    return reading.one(connection, select(models).where(which), TunedModel)
