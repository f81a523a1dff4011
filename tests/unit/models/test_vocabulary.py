"""The page and the schema of events are those that the module makes, and they tell the truth."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from models import vocabulary
from models.events import EVENT_TYPES
from worker.webhooks import signing

DOCS = Path(__file__).parents[3] / "docs"
VALID = Draft202012Validator(vocabulary.schema())
QUEUED = vocabulary.example("job.queued")["data"]


def test_the_files_are_those_that_the_module_makes() -> None:
    """After a change of the vocabulary: `python -m models.vocabulary docs`."""
    assert (DOCS / vocabulary.PAGE).read_text("utf-8") == vocabulary.page()
    assert (DOCS / vocabulary.SCHEMA).read_text("utf-8") == vocabulary.schema_text()


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_type_has_an_example_that_fits_the_schema(name: str) -> None:
    """And it is printed on the page."""
    told = vocabulary.example(name)
    VALID.validate(told)
    assert told["type"] == name
    blocks = re.findall(r"```json\n(.*?)```", vocabulary.page(), re.DOTALL)
    assert told in [json.loads(block) for block in blocks]
    assert f"| `{name}` | {EVENT_TYPES[name].meaning} |" in vocabulary.page()


def test_the_schema_is_a_schema() -> None:
    """Of the draft it names."""
    Draft202012Validator.check_schema(vocabulary.schema())


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
        VALID.validate({**vocabulary.example("job.queued"), **change})


def test_the_signature_on_the_page_is_right() -> None:
    """Whoever writes a receiver can try it on the example."""
    page = vocabulary.page()
    message_id, timestamp, signature, body = re.findall(
        r"webhook-id: (.*)\nwebhook-timestamp: (\d+)\nwebhook-signature: (.*)\n\n(.*)\n```", page
    )[0]
    (secret,) = re.findall(r"`(whsec_[^`]+)`\. ", page)
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    ours = signing.sign([secret], message_id, int(timestamp), body.encode())
    assert ours == signature
    VALID.validate(json.loads(body))


def test_the_command_writes_both_files(tmp_path: Path) -> None:
    """Into the folder it is told."""
    vocabulary.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {vocabulary.PAGE, vocabulary.SCHEMA}
