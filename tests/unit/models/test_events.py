"""The vocabulary of events: names, ids, bodies, and who hears what."""

import json

import pytest

from models.events import EVENT_TYPES, JobEvent, matches, message_body, message_id


@pytest.mark.parametrize(
    ("patterns", "kind", "heard"),
    [
        ([], "job.failed", True),
        (["job.failed"], "job.failed", True),
        (["job.*"], "job.failed", True),
        (["job.*"], "budget.reached", False),
        (["job.succeeded", "budget.*"], "budget.reached", True),
        (["job"], "job.failed", False),
        (["job.fail*"], "job.failed", False),
        (["*"], "job.failed", False),
    ],
)
def test_an_endpoint_hears_what_it_asked_for(
    patterns: list[str], kind: str, *, heard: bool
) -> None:
    """Whole names and whole families; nothing asked for is everything."""
    assert matches(patterns, kind) is heard


def test_a_message_has_the_three_keys_of_the_standard() -> None:
    """Type, an ISO 8601 time in UTC, and the data as they are."""
    body = json.loads(message_body("job.queued", 1_750_000_000.25, {"seq": 1}))
    assert body == {
        "type": "job.queued",
        "timestamp": "2025-06-15T15:06:40.250Z",
        "data": {"seq": 1},
    }


def test_a_message_is_named_by_its_event() -> None:
    """The same event has the same id, another one another."""
    assert message_id("job_a", 1) == "evt_job_a_1" != message_id("job_a", 2)


def test_every_type_is_a_family_and_a_past_or_present_form() -> None:
    """`family.what`, each with a meaning that is one line."""
    for name, found in EVENT_TYPES.items():
        family, what = name.split(".")
        assert family
        assert what
        assert "\n" not in found.meaning


def test_what_is_not_in_the_model_is_refused() -> None:
    """Nothing slips into an event unnoticed: a prompt, say."""
    with pytest.raises(ValueError, match="prompt"):
        JobEvent.model_validate({"prompt": "secret"})
