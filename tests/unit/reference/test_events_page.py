"""The page of events and its schema tell the truth: of what is sent, and how it is signed."""

import base64
import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from models.events import EVENT_TYPES
from reference import events
from worker.webhooks import signing

VALID = Draft202012Validator(events.schema())
QUEUED = events.example("job.queued")["data"]


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_type_has_an_example_that_fits_the_schema(name: str) -> None:
    """And it is printed on the page."""
    told = events.example(name)
    VALID.validate(told)
    assert told["type"] == name
    blocks = re.findall(r"```json\n(.*?)```", events.page(), re.DOTALL)
    assert told in [json.loads(block) for block in blocks]
    assert f"| `{name}` | {EVENT_TYPES[name].meaning} |" in events.page()


def test_the_schema_is_a_schema() -> None:
    """Of the draft it names."""
    Draft202012Validator.check_schema(events.schema())


@pytest.mark.parametrize(
    "change",
    [
        {"type": "job.invented"},
        {"type": "budget.reached"},  # carries a sum too
        {"timestamp": 5},
        {"extra": 1},
        {"data": {}},
        {"data": {**QUEUED, "prompt": "never"}},
        {"data": {name: QUEUED[name] for name in QUEUED if name != "reason"}},
        {"data": {**QUEUED, "seq": 0}},
        {"data": {**QUEUED, "cost_usd": "0"}},
    ],
)
def test_what_is_never_sent_does_not_fit(change: dict[str, Any]) -> None:
    """Nothing unnamed, nothing missing, nothing of another kind."""
    with pytest.raises(ValidationError):
        VALID.validate({**events.example("job.queued"), **change})


def test_the_signature_on_the_page_is_right() -> None:
    """Whoever writes a receiver can try it on the example."""
    page = events.page()
    message_id, timestamp, signature, body = re.findall(
        r"webhook-id: (.*)\nwebhook-timestamp: (\d+)\nwebhook-signature: (.*)\n\n(.*)\n```", page
    )[0]
    (secret,) = re.findall(r"`(whsec_[^`]+)`\. ", page)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    ours = signing.sign([secret], message_id, int(timestamp), body.encode())
    assert ours == signature
    VALID.validate(json.loads(body))
