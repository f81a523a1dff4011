"""Stages on both databases: claims, guarded moves, what a run comes to."""

from typing import Any

import orjson
import pytest
from builders import a_job, a_stored_job, at_once
from sqlalchemy import update

from models.events import EVENT_TYPES
from models.states import STAGE_OPEN, JobKind, JobState, StageState
from models.store import events, jobs, retries, stages, stages_seen
from models.store.engine import Store
from models.store.stages import StageInHand
from models.tables import Job, Stage

CHAIN = (("pairs", "generate", []), ("data", "dataset", ["pairs"]), ("exam", "evaluate", ["data"]))


def a_run(store: Store, planned: Any = CHAIN, **changes: Any) -> str:
    """The id of a committed run."""
    names = ("name", "kind", "needs")
    run = a_job(kind=JobKind.PIPELINE, rows_total=len(planned), max_failed_share=0.0, **changes)
    with store.write() as connection:
        stages.create(connection, run, [dict(zip(names, one, strict=True)) for one in planned])
    return run.id


def claim(store: Store, run: str, name: str, owner: str = "me", hold_s: float = 30) -> Any:
    """A stage in hand, or None."""
    with store.write() as connection:
        return stages.claim(connection, run, name, owner, hold_s=hold_s)


def move(store: Store, name: str, *args: Any) -> Any:
    """One of the moves, in a transaction of its own."""
    with store.write() as connection:
        return getattr(stages, name)(connection, *args)


def seen(store: Store, run: str) -> dict[str, Stage]:
    """The stages by name."""
    with store.read() as connection:
        return {stage.name: stage for stage in stages_seen.of_run(connection, run)}


def states(store: Store, run: str) -> list[str]:
    """In the order of the file."""
    return [str(stage.state) for stage in seen(store, run).values()]


def the_run(store: Store, run: str) -> Job:
    """As it stands."""
    with store.read() as connection:
        found = jobs.get(connection, run)
    assert found is not None
    return found


def told(store: Store, run: str) -> list[str]:
    """The types of the run's events."""
    with store.read() as connection:
        return [event.type for event in events.of_subject(connection, run)]


def a_child(
    store: Store,
    run: str,
    state: str = "running",
    idempotency_key: str | None = None,
    **counters: int,
) -> str:
    """A job of the run, in a state, having counted so much."""
    told = {"parent_id": run, "idempotency_key": idempotency_key}
    child: str = a_stored_job(store, rows_count=1, state=state, **told)
    if counters:
        with store.write() as connection:
            mine = update(jobs.jobs).where(jobs.jobs.c.id == child)
            connection.execute(mine.values(**counters))
    return child


def lost(store: Store, run: str, name: str = "pairs", job_id: str | None = None) -> None:
    """The stage fails, of a job that failed if one is named; what needs it is passed over."""
    held = claim(store, run, name)
    if job_id:
        move(store, "submitted", held, job_id, {})
        held = claim(store, run, name)
    move(store, "fail", held, "it broke")
    for other in [one for one in seen(store, run).values() if one.state == StageState.WAITING]:
        move(store, "skip", run, other.name, f"it needs {name}")


def test_two_conductors_claim_a_stage_once(store: Store) -> None:
    """However close they come; the run starts with its first claim, once."""
    run = a_run(store)
    won = at_once(*(lambda n=n: claim(store, run, "pairs", f"conductor {n}") for n in range(4)))
    assert sum(one is not None for one in won) == 1
    assert the_run(store, run).state == JobState.RUNNING
    assert told(store, run) == ["job.queued", "job.running", "stage.started"]


def test_a_claim_that_ran_out_is_taken_over_and_its_holder_writes_no_more(store: Store) -> None:
    """A conductor that was away too long changes nothing behind the other's back."""
    run = a_run(store)
    slow = claim(store, run, "pairs", "slow", hold_s=0)
    quick = claim(store, run, "pairs", "quick")
    assert quick is not None
    assert not move(store, "finish", slow, {"hash": "slow"})
    with store.write() as connection:
        assert not stages.renew(connection, slow, hold_s=30)
        assert stages.renew(connection, quick, hold_s=30)
    assert move(store, "finish", quick, {"hash": "quick"})
    assert orjson.loads(seen(store, run)["pairs"].output) == {"hash": "quick"}
    assert told(store, run).count("stage.started") == 1


@pytest.mark.parametrize("state", ["paused", "succeeded", "failed", "cancelled"])
def test_no_stage_of_a_run_that_stands_is_claimed(store: Store, state: str) -> None:
    """Paused, or over."""
    run = a_run(store)
    with store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == run)
        connection.execute(mine.values(state=JobState(state)))
    assert claim(store, run, "pairs") is None


def test_a_run_settles_with_its_last_stage_and_counts_its_jobs(store: Store) -> None:
    """Calls and cost are the sum of the jobs below; its rows are its stages."""
    run = a_run(store)
    child = a_child(store, run, calls_made=7, cost_nano=5_000)
    held = claim(store, run, "pairs")
    assert move(store, "submitted", held, child, {"note": 1})
    assert move(store, "settle", run) is None
    held = claim(store, run, "pairs")
    assert orjson.loads(held.stage.output) == {"note": 1}
    move(store, "finish", held, {"hash": "h"})
    for name in ("data", "exam"):
        move(store, "finish", claim(store, run, name), {"hash": "h"})
    assert the_run(store, run).state == JobState.RUNNING
    assert move(store, "settle", run) == JobState.SUCCEEDED
    assert move(store, "settle", run) is None
    job = the_run(store, run)
    assert (job.calls_made, job.cost_nano, job.rows_done, job.rows_failed) == (7, 5_000, 3, 0)
    assert told(store, run)[-1] == "job.succeeded"
    assert told(store, run).count("job.succeeded") == 1


def test_the_runs_of_a_sweep_count_too(store: Store) -> None:
    """A sweep is a job of the run, and its runs are jobs of the sweep."""
    run = a_run(store)
    sweep = a_child(store, run, cost_nano=1)
    a_child(store, sweep, cost_nano=10)
    a_child(store, sweep, cost_nano=100)
    move(store, "recount", run)
    assert the_run(store, run).cost_nano == 111
    move(store, "submitted", claim(store, run, "pairs"), sweep, {})
    with store.read() as connection:
        by_stage = {one.stage.name: one.cost_nano for one in stages_seen.seen(connection, run)}
    assert by_stage == {"pairs": 111, "data": 0, "exam": 0}


def test_a_failed_stage_fails_the_run_by_name(store: Store) -> None:
    """When nothing is open any more."""
    run = a_run(store)
    lost(store, run)
    assert move(store, "settle", run) == JobState.FAILED
    job = the_run(store, run)
    assert job.state_reason == "stage pairs: it broke"
    assert job.rows_failed == 3
    assert told(store, run)[-2:] == ["stage.failed", "job.failed"]


def test_retry_opens_what_was_lost_with_what_failed_of_its_job(store: Store) -> None:
    """A job that failed goes on with its failed rows; the stage waits for it."""
    run = a_run(store)
    child = a_child(store, run, state="failed", rows_failed=1, shards_done=1)
    with store.write() as connection:
        values = {"state": "failed", "failure_code": "server_error"}
        connection.execute(update(jobs.rows).where(jobs.rows.c.job_id == child).values(**values))
        done = update(jobs.shards).where(jobs.shards.c.job_id == child)
        connection.execute(done.values(state="done"))
    lost(store, run, job_id=child)
    move(store, "settle", run)
    with store.write() as connection:
        assert retries.retry(connection, run) == 3
    assert states(store, run) == ["running", "waiting", "waiting"]
    assert the_run(store, child).state == JobState.QUEUED
    job = the_run(store, run)
    assert (job.state, job.rows_failed, job.finished_at) == (JobState.QUEUED, 0, None)


def test_retry_begins_a_stage_without_a_job_anew(store: Store) -> None:
    """Under another attempt, so that what it submits is not what failed."""
    run = a_run(store)
    lost(store, run)
    move(store, "settle", run)
    with store.write() as connection:
        retries.retry(connection, run)
    stage = seen(store, run)["pairs"]
    assert (stage.state, stage.attempt, stage.job_id) == (StageState.WAITING, 1, None)
    with store.write() as connection:
        assert retries.retry(connection, run) == 0


def test_retry_collects_again_what_a_done_job_made(store: Store) -> None:
    """Nothing is asked anew where only the collecting failed."""
    run = a_run(store)
    child = a_child(store, run, state="succeeded")
    lost(store, run, job_id=child)
    move(store, "settle", run)
    with store.write() as connection:
        retries.retry(connection, run)
    assert seen(store, run)["pairs"].job_id == child
    assert states(store, run)[0] == "running"


def test_a_job_retried_by_itself_brings_its_run_back(store: Store) -> None:
    """The stage waits for it again, and what was passed over may still come."""
    run = a_run(store)
    child = a_child(store, run, state="failed", rows_failed=1, shards_done=1)
    with store.write() as connection:
        mine = update(jobs.rows).where(jobs.rows.c.job_id == child)
        connection.execute(mine.values(state="failed"))
    lost(store, run, job_id=child)
    move(store, "settle", run)
    with store.write() as connection:
        assert retries.retry(connection, child) == 1
    assert the_run(store, run).state == JobState.QUEUED
    assert states(store, run) == ["running", "waiting", "waiting"]


def test_the_end_of_a_job_settles_no_run(store: Store) -> None:
    """Which settles with its stages alone: one job may be one of many."""
    run = a_run(store)
    child = a_child(store, run)
    move(store, "submitted", claim(store, run, "pairs"), child, {})
    with store.write() as connection:
        jobs.cancel(connection, child)
    assert the_run(store, run).state == JobState.RUNNING


def test_cancel_reaches_stages_jobs_and_the_runs_of_sweeps(store: Store) -> None:
    """Nothing of it is open after."""
    run = a_run(store)
    sweep = a_child(store, run)
    swept = a_child(store, sweep)
    move(store, "submitted", claim(store, run, "pairs"), sweep, {})
    with store.write() as connection:
        assert jobs.cancel(connection, run)
    assert {the_run(store, one).state for one in (run, sweep, swept)} == {JobState.CANCELLED}
    assert not STAGE_OPEN & set(states(store, run))


@pytest.mark.parametrize("stopped", ["pause", "cancel"])
def test_a_job_submitted_while_its_run_was_stopped_is_stopped_too(
    store: Store, stopped: str
) -> None:
    """The conductor had the stage in hand, and the job was committed already."""
    run = a_run(store)
    held = claim(store, run, "pairs")
    child = a_child(store, run, state="queued")
    with store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == child)
        connection.execute(mine.values(parent_id=None))  # as if it were not there yet
        getattr(jobs, stopped)(connection, run, *(["by hand"] if stopped == "pause" else []))
        connection.execute(mine.values(parent_id=run))
    move(store, "submitted", held, child, {})
    assert the_run(store, child).state == the_run(store, run).state


def test_resume_gives_stages_what_they_spent_and_a_part_of_the_rest(store: Store) -> None:
    """Under a new budget; all of it is never promised twice."""
    run = a_run(store, budget_nano=100)
    first = a_child(store, run, state="paused", cost_nano=60)
    second = a_child(store, run, state="paused", cost_nano=20)
    move(store, "recount", run)
    with store.write() as connection:
        jobs.pause(connection, run, "by hand")
        assert jobs.resume(connection, run, budget_nano=200)
    budgets = [the_run(store, one).budget_nano for one in (first, second)]
    assert budgets == [120, 80]


def test_an_earlier_stage_of_the_same_hash_is_found(store: Store) -> None:
    """Of other runs, done or taken over, the newest first."""
    first, second, third = a_run(store), a_run(store), a_run(store)
    for run in (first, second):
        held: StageInHand = claim(store, run, "pairs")
        with store.write() as connection:
            stages.note_hash(connection, held, "same")
        move(store, "finish", held, {"hash": run})
    with store.read() as connection:
        found = stages_seen.earlier(connection, "same", third)
        assert [one.run_id for one in found] == [second, first]
        assert not stages_seen.earlier(connection, "other", third)
        assert [one.run_id for one in stages_seen.earlier(connection, "same", second)] == [first]
    held = claim(store, third, "pairs")
    move(store, "reuse", held, found[0])
    stage = seen(store, third)["pairs"]
    assert stage.state == StageState.REUSED
    assert orjson.loads(stage.output) == {"hash": second}


def test_a_stage_cost_what_all_jobs_that_it_began_cost(store: Store) -> None:
    """A sweep, its runs and what ranked them; the job of an attempt before; so stages add up to the
    run. What an earlier run paid is not paid again."""
    other, run = a_run(store), a_run(store)
    a_child(store, other, cost_nano=7, idempotency_key=f"{other}/pairs/abc/0")
    sweep = a_child(store, run, cost_nano=1, idempotency_key=f"{run}/pairs/abc/1")
    for cost in (20, 300):
        a_child(store, sweep, cost_nano=cost, calls_made=1)
    ranking = {"cost_nano": 4_000, "calls_made": 9, "calls_unpriced": 2}
    a_child(store, run, idempotency_key=f"{run}/pairs/abc/1.ranking", **ranking)
    a_child(store, run, cost_nano=50_000, idempotency_key=f"{run}/pairs/abc/0")
    a_child(store, run, cost_nano=600_000, idempotency_key=f"{run}/exam/abc/0")
    held = claim(store, run, "pairs")
    move(store, "finish", held, {"job": sweep})
    with store.read() as connection:
        found = stages_seen.seen(connection, run)
    assert [one.cost_nano for one in found] == [54_321, 0, 600_000]
    assert (found[0].spent.calls_made, found[0].spent.calls_unpriced) == (11, 2)
    move(store, "recount", run)
    assert the_run(store, run).cost_nano == sum(one.cost_nano for one in found)


def test_events_of_a_runs_jobs_lead_to_the_run(store: Store) -> None:
    """And so do its own; those of other jobs lead nowhere."""
    run, other = a_run(store), a_stored_job(store)
    child = a_child(store, run)
    with store.read() as connection:
        assert stages_seen.runs_touched(connection, [child]) == {run}
        assert stages_seen.runs_touched(connection, [run]) == {run}
        assert stages_seen.runs_touched(connection, [other]) == set()


def test_a_stages_event_says_which_and_why(store: Store) -> None:
    """Beside the run as it stands."""
    run = a_run(store)
    lost(store, run)
    with store.read() as connection:
        event = events.of_subject(connection, run)[-1]
    data = EVENT_TYPES[event.type].data.model_validate_json(event.data).model_dump()
    assert (data["stage"], data["stage_state"], data["stage_reason"]) == (
        "pairs",
        "failed",
        "it broke",
    )
    assert data["job_id"] == run
