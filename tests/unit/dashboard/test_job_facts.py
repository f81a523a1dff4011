"""What a job's page derives: pace, money, recipe and events in words."""

from types import MappingProxyType
from typing import Any

import pytest
from builders import a_job

from dashboard.job_facts import RecipeFacts, facts_of, recipe_facts
from dashboard.reasons import MEANINGS
from dashboard.webhooks import indented
from dashboard.words import status
from models.nano import NANO
from models.payloads import JobSpec, Options
from models.recipes import load_recipe
from models.recipes.compiled import cache_key
from models.states import FailureCode, JobState
from models.store.views.board import Standing
from models.store.views.jobpage import DoubtGroup, Hands, JobPage
from models.tables import Event

NOW = 10_000.0
MODEL = "mistral-small-latest"


def a_page(job: dict[str, Any] | None = None, **changes: Any) -> JobPage:
    """A job that has run for 100 s at 10 calls/s, one call a row."""
    usual = {"state": JobState.RUNNING, "started_at": NOW - 100, "rows_total": 2000}
    counters = {"rows_done": 990, "rows_failed": 10, "calls_made": 1000}
    nothing: dict[str, Any] = dict.fromkeys(
        ("points", "operations", "failures", "costs", "doubts", "events", "deliveries"), ()
    )
    values: dict[str, Any] = {
        "job": a_job(**{**usual, **counters, **(job or {})}),
        "now": NOW,
        "calls_per_s": 10.0,
        "hands": Hands(1, 1),
        "workers_alive": 1,
        "standings": [a_standing()],
        "asked": MappingProxyType({MODEL: 1000}),
        "ancestors": (),
        "children": (),
    }
    return JobPage(**{**nothing, **values, **changes})


def a_standing(**changes: Any) -> Standing:
    usual = dict.fromkeys(Standing.__slots__)
    usual |= {"account": "a", "model": MODEL, "requests_per_minute": 1200.0, "source": "told"}
    return Standing(**{**usual, **changes})


def test_pace_share_and_end_come_from_what_is_known():
    """10 calls/s of 20 allowed; 1,000 rows left at one call a row."""
    facts = facts_of(a_page())
    assert (facts.calls_per_s, facts.share, facts.seconds_left) == (10.0, 0.5, 100.0)
    assert (facts.ran_s, facts.settled_percent, facts.done_percent) == (100.0, 50.0, 49.5)


@pytest.mark.parametrize("state", [JobState.PAUSED, JobState.SUCCEEDED, JobState.CANCELLED])
def test_what_does_not_run_has_no_pace(state: JobState):
    """Neither a speed, nor a share, nor an end."""
    facts = facts_of(a_page({"state": state, "finished_at": NOW - 40}))
    assert facts.calls_per_s is facts.share is facts.seconds_left is None
    assert facts.ran_s == 60.0
    assert not facts.is_at_work


def test_a_budget_counts_what_is_in_doubt():
    """Perhaps paid is taken for paid; no budget, no share."""
    doubts = [DoubtGroup("crash", 3, 1, NANO)]
    facts = facts_of(a_page({"budget_nano": 4 * NANO, "cost_nano": NANO}, doubts=doubts))
    assert facts.budget_share == 0.5
    assert facts_of(a_page()).budget_share is None


def test_a_hold_of_its_model_is_told():
    """Only of a model that the job asks, and only while it works."""
    held = [a_standing(hold_until=NOW + 30), a_standing(model="other", hold_until=NOW + 300)]
    assert facts_of(a_page(standings=held)).hold_s == 30.0
    assert facts_of(a_page({"state": JobState.PAUSED}, standings=held)).hold_s == 0.0


def test_a_recipe_is_told_by_hashes_and_without_its_prompts():
    """The same hashes as in the provenance of its rows."""
    recipe = load_recipe("amira")
    spec = JobSpec(recipe=recipe.model_dump(mode="json"), options=Options(on_uncertain="hold"))
    facts = recipe_facts(spec.model_dump_json())
    assert recipe.hash.startswith(facts.hash)
    assert facts.hash
    assert [step.prompt_hash for step in facts.steps] == [
        cache_key(recipe, step) for step in recipe.steps
    ]
    assert facts.options is not None
    assert facts.options.on_uncertain == "hold"
    for step in recipe.steps:
        assert step.prompt[:30] not in repr(facts)


def test_a_recipe_of_another_version_leaves_the_page_whole():
    """It is told that nothing is known of it."""
    facts = recipe_facts('{"recipe": {"name": "later", "parts": []}}')
    assert (facts.hash, list(facts.steps), facts.options) == ("", [], Options())


@pytest.mark.parametrize("spec", ["not JSON", "[]", '{"options": {"attempts": "many"}}'])
def test_a_damaged_spec_leaves_the_page_whole(spec: str):
    """Nothing is known of it, its options neither."""
    assert recipe_facts(spec) == RecipeFacts("", [], None)


def test_events_tell_how_things_stood_then():
    """Their own data, not the job's of today."""
    data = '{"reason":"a key was refused","rows_done":1200,"rows_total":5000,"rows_failed":3}'
    event = Event(subject_id="job_x", seq=4, type="job.paused", data=data, created_at=NOW)
    (told,) = facts_of(a_page(events=[event])).events
    assert (told.seq, told.type, told.reason) == (4, "job.paused", "a key was refused")
    assert told.rows == "1,200 of 5,000 rows done, 3 failed"


def test_every_reason_to_fail_has_its_sentence():
    """Exhaustively: a new code shows what it means."""
    assert set(MEANINGS) == set(FailureCode)


@pytest.mark.parametrize(
    ("last_status", "error", "told"),
    [(200, "", "200"), (500, "it answered 500", "500"), (None, "timed out", "no answer")],
)
def test_a_status_in_a_word(last_status: int | None, error: str, told: str):
    """HTTP's number, or that none came; before the first attempt a dash."""
    assert status(last_status, error) == told
    assert status(None, "") == "–"


def test_a_body_is_indented_and_harmless():
    """As people read JSON; what would hide or move is spelt out."""
    assert indented('{"a":{"b":1}}') == '{\n  "a": {\n    "b": 1\n  }\n}'
    assert "\\u202e" in indented('{"a":"\u202e"}')
