"""Which stages may begin, be collected or are lost, by how all of them stand."""

from typing import Any

import orjson
import pytest
from builders import a_job

from models.pipelines.due import due
from models.states import JobState, StageState
from models.tables import Stage

NOW = 1_000.0


def a_stage(name: str, *needs: str, state: str = "waiting", **more: Any) -> Stage:
    """A stage of a run."""
    told = orjson.dumps(needs).decode()
    values = {"place": 0, "kind": "dataset", "needs": told, "state": StageState(state), **more}
    return Stage(run_id="job_run", name=name, **values)


def test_what_needs_nothing_begins_and_so_does_what_has_all_it_needs() -> None:
    """At the same time, where they need nothing of each other."""
    found = due(
        [
            a_stage("a", state="done"),
            a_stage("b", state="reused"),
            a_stage("c", "a", "b"),
            a_stage("d"),
            a_stage("e", "c"),
        ],
        {},
        NOW,
    )
    assert found.begin == ["c", "d"]
    assert not found.is_over


def test_what_needs_a_lost_stage_is_passed_over_to_the_last() -> None:
    """While what does not goes on."""
    stages = [a_stage("a", state="failed"), a_stage("b", "a"), a_stage("c", "b"), a_stage("d")]
    found = due(stages, {}, NOW)
    assert list(found.skip) == ["b", "c"]
    assert "a" in found.skip["b"]
    assert found.begin == ["d"]


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_a_stage_whose_job_is_over_is_collected(state: JobState) -> None:
    """However it ended: its stage says what that means."""
    job = a_job(state=state)
    stage = a_stage("a", state="running", job_id=job.id)
    assert due([stage], {job.id: job}, NOW).collect == ["a"]


def test_a_stage_whose_job_is_gone_is_collected() -> None:
    """And will fail by name, instead of waiting for ever."""
    assert due([a_stage("a", state="running", job_id="job_gone")], {}, NOW).collect == ["a"]


def test_a_stage_whose_job_is_at_work_is_left_alone() -> None:
    """Nothing is due."""
    job = a_job(state=JobState.RUNNING)
    found = due([a_stage("a", state="running", job_id=job.id)], {job.id: job}, NOW)
    assert not found.collect
    assert not found.stands


@pytest.mark.parametrize(("until", "due_again"), [(NOW + 1, []), (NOW, ["a"]), (None, ["a"])])
def test_a_claim_that_ran_out_is_anybodys(until: float | None, due_again: list[str]) -> None:
    """Whoever had it died."""
    stage = a_stage("a", state="working", claimed_until=until)
    assert due([stage], {}, NOW).collect == due_again


def test_a_run_stands_when_all_that_is_left_waits_for_a_paused_job() -> None:
    """And says which, and why."""
    job = a_job(state=JobState.PAUSED, state_reason="account: the key is refused")
    stages = [a_stage("a", state="running", job_id=job.id), a_stage("b", "a")]
    found = due(stages, {job.id: job}, NOW)
    assert "stage a" in found.stands
    assert "the key is refused" in found.stands


def test_a_run_does_not_stand_while_anything_else_moves() -> None:
    """Others finish what they have."""
    paused, going = a_job(state=JobState.PAUSED), a_job(state=JobState.RUNNING)
    stages = [
        a_stage("a", state="running", job_id=paused.id),
        a_stage("b", state="running", job_id=going.id),
    ]
    assert not due(stages, {paused.id: paused, going.id: going}, NOW).stands


def test_a_run_is_over_when_no_stage_is_open() -> None:
    """Done, taken over, failed or passed over."""
    states = ("done", "reused", "failed", "skipped")
    stages = [a_stage(state, state=state) for state in states]
    assert due(stages, {}, NOW).is_over


def test_a_run_stands_though_a_stage_waits_for_what_others_leave() -> None:
    """Who says what it waits for was looked at: alone it moves nothing, whether begun or to be
    collected."""
    paused = a_job(state=JobState.PAUSED, state_reason="budget: all is spent")
    over = a_job(state=JobState.SUCCEEDED)
    jobs = {paused.id: paused, over.id: over}
    held = a_stage("a", state="running", job_id=paused.id)
    waits = {"reason": "it waits for what others leave of the budget"}
    assert "stage a" in due([held, a_stage("b", **waits)], jobs, NOW).stands
    ranked = a_stage("c", state="running", job_id=over.id, **waits)
    found = due([held, ranked], jobs, NOW)
    assert "stage a" in found.stands
    assert found.collect == ["c"]
    assert not due([held, a_stage("b")], jobs, NOW).stands
    assert not due([a_stage("b", **waits)], {}, NOW).stands
