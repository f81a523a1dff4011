"""What is stored to be sent fits the published schema, for every type of event."""

import json
from pathlib import Path

import pytest
from builders import a_stored_job
from jsonschema import Draft202012Validator
from sinks import an_endpoint
from sqlalchemy import select, update

from models.events import EVENT_TYPES, EndpointEvent
from models.store import deliveries, events
from models.store.engine import Store
from models.tables import Delivery, Job

SCHEMA = Path(__file__).parents[2] / "docs/reference/events.schema.json"
messages = Delivery.__table__  # type: ignore[attr-defined]
jobs = Job.__table__  # type: ignore[attr-defined]
A_STAGE = {
    "stage": "pairs",
    "stage_kind": "generate",
    "stage_state": "done",
    "stage_job": None,
    "stage_reason": "",
}
MORE = {
    "stage.started": A_STAGE,
    "stage.done": A_STAGE,
    "stage.failed": A_STAGE,
    "model.registered": {
        "model": "news-smollm2",
        "base": "smollm2",
        "trainer": "local",
        "metrics": {"valid_loss": 0.3, "valid_accuracy": None},
    },
}
"""What an event tells beside its job's figures."""


@pytest.mark.parametrize("unpriced", [0, 1])
@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_every_event_is_stored_as_the_schema_says(store: Store, kind: str, unpriced: int) -> None:
    """The bytes that will be signed and sent validate, with a known and an unknown cost."""
    job_id = a_stored_job(store)
    hearer, subject = an_endpoint(store), an_endpoint(store)
    with store.write() as connection:
        values = {"budget_nano": 5_000_000_000, "cost_nano": 7, "calls_unpriced": unpriced}
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))
        if issubclass(EVENT_TYPES[kind].data, EndpointEvent):
            events.write_of_endpoint(connection, subject, kind, origin="https://a.example")
        else:
            events.write(connection, job_id, kind, **MORE.get(kind, {}))
    with store.write() as connection:
        deliveries.relay(connection)
    with store.read() as connection:
        sent = select(messages.c.body).where(
            messages.c.endpoint_id == hearer, messages.c.event_type == kind
        )
        told = json.loads(connection.scalars(sent.order_by(messages.c.id.desc())).first() or "{}")
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(told)
    if "cost_usd" in told["data"]:
        assert (told["data"]["cost_usd"] is None) is bool(unpriced)
