"""A budget's parts, on both databases: promised once, given anew where a sweep's runs stand."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import a_job, a_stored_job, a_submission, at_once, the_job
from sqlalchemy import Connection, update
from test_store_sweeps import crossed

from models.errors import SpentError
from models.pipelines import load_pipeline
from models.pipelines.due import due
from models.pipelines.schema import RunSpec
from models.states import JobKind, JobState, StageState
from models.store import jobs, joining, money, portions, remote, stages, stages_seen, trainings
from models.store.engine import Store
from models.store.retries import retry
from models.tables import Job
from models.training import DatasetRef, TrainingSpec
from models.training.plan import Plan, Planned
from producers import training_jobs
from producers.pipelines import sharing
from producers.pipelines.outcomes import Later, Lost
from producers.readers import ReadOptions, read
from producers.submitting import submit
from proving.pipelines_stage import write_recipe
from worker.remote import training_costs

BUDGET = 1_000_000
SPENT = "budget: it is spent"
BY_HAND = "paused by the user"


def a_run(store: Store, budget: int | None = BUDGET) -> str:
    """The id of a committed run of a pipeline, without its stages."""
    run = a_job(kind=JobKind.PIPELINE, budget_nano=budget)
    with store.write() as connection:
        jobs.create(connection, run)
    return run.id


def a_child(store: Store, parent: str, state: str, **values: Any) -> str:
    """A job below, with what it spent and may spend."""
    child: str = a_stored_job(store, rows_count=1, state=state, parent_id=parent, **values)
    return child


def a_sweep(store: Store, parent: str | None, *runs: dict[str, Any]) -> tuple[str, list[str]]:
    """A sweep under way that may spend `BUDGET`, and its runs."""
    facts = {"kind": JobKind.TRAIN, "rows_total": len(runs), "shards_total": len(runs)}
    allowed = (len(runs) - 1) / len(runs)
    sweep = a_job(**facts, parent_id=parent, budget_nano=BUDGET, max_failed_share=allowed)
    with store.write() as connection:
        jobs.create(connection, sweep)
    theirs = [a_child(store, sweep.id, kind=JobKind.TRAIN, **values) for values in runs]
    with store.write() as connection:
        jobs.start(connection, sweep.id)
    return sweep.id, theirs


def left_and_stood(store: Store, parent: str | None = None) -> tuple[str, list[str]]:
    """A sweep one of whose runs is done for 100,000 of 500,000, and the other stands for more."""
    done = {"state": "succeeded", "budget_nano": BUDGET // 2, "cost_nano": 100_000}
    sweep, runs = a_sweep(store, parent, done, {"state": "running", "budget_nano": BUDGET // 2})
    with store.write() as connection:
        assert money.reach(connection, runs[1], "me", BUDGET)
    return sweep, runs


def submit_rows(store: Store, run: str, folder: Path, budget: int | None) -> Job:
    """A job of rows below the run, which was told that it may spend so much."""
    folder.mkdir()
    source = folder / "texts.jsonl"
    source.write_text('{"id": "a", "text": "x"}\n')
    with read(source, ReadOptions(), folder / "staging") as found:
        return submit(store, a_submission(parent_id=run, budget_nano=budget, again=True), found)[0]


def submit_sweep(store: Store, run: str, budget: int) -> Job:
    """The same with a sweep of two runs."""
    dataset = DatasetRef(name="d", folder="d", hash="0" * 64, train_rows=1)
    base = TrainingSpec(name="m", base="b", trainer="mistral", dataset=dataset, steps=1)
    plan = Plan(1, None, None, None, None, None)
    planned = [Planned(base.model_copy(update={"name": name}), plan) for name in ("m1", "m2")]
    how = training_jobs.Submission(parent_id=run, budget_nano=budget)
    return training_jobs.submit(store, planned, how, sweep="m")[0]


def budgets(store: Store, parent: str) -> list[int | None]:
    """Of the jobs below it."""
    with store.read() as connection:
        return [job.budget_nano for job in trainings.children(connection, parent)]


def stand(store: Store, job_id: str, reason: str = SPENT) -> None:
    """Paused, as if its next call were too dear."""
    with store.write() as connection:
        jobs.pause(connection, job_id, reason)


def test_what_is_submitted_gets_no_more_than_is_left_by_then(store: Store, tmp_path: Path) -> None:
    """Two stages were told a share each before either had a job: together they keep the budget."""
    run = a_run(store)
    first = submit_rows(store, run, tmp_path / "a", 700_000)
    assert (first.budget_nano, first.parent_id) == (700_000, run)
    sweep = submit_sweep(store, run, 500_000)
    assert the_job(store, sweep.id).budget_nano == sweep.budget_nano == 300_000
    assert budgets(store, sweep.id) == [150_000, 150_000]
    with pytest.raises(SpentError, match="nothing is left"):
        submit_rows(store, run, tmp_path / "b", 10)
    with store.read() as connection:
        assert len(trainings.children(connection, run)) == 2


def join(connection: Connection, run: str, budget: int) -> str:
    """A job made below the run, as who submits ends."""
    job = a_job(parent_id=run, budget_nano=budget)
    jobs.create(connection, job)
    joining.stay_below(connection, job.id, run)
    return job.id


def test_jobs_submitted_at_once_keep_the_budget(store: Store) -> None:
    """The second waits for the first: what is promised is the budget, and no more."""
    run = a_run(store)
    one = partial(join, run=run, budget=600_000)
    crossed(store, one, one, lambda _: True)
    assert sorted(filter(None, budgets(store, run))) == [400_000, 600_000]


def test_runs_that_stand_beside_each_other_stop_their_sweep(store: Store) -> None:
    """The second waits for the first, and then knows that none is under way."""
    one = {"state": "running", "budget_nano": 1}
    sweep, runs = a_sweep(store, None, one, one)
    first, other = (partial(jobs.pause, job_id=run, reason=SPENT) for run in runs)
    crossed(store, first, other, lambda _: True)
    assert the_job(store, sweep).state == JobState.PAUSED


def test_a_stage_in_hand_is_held_against_a_budget_given_meanwhile(
    store: Store, tmp_path: Path
) -> None:
    """The run had none when it was told, or another; the jobs there share the new one."""
    run = a_run(store, budget=None)
    child = a_child(store, run, "running", cost_nano=100_000)
    with store.write() as connection:
        jobs.pause(connection, run, BY_HAND)
        assert jobs.resume(connection, run, budget_nano=BUDGET)
    assert the_job(store, child).budget_nano == BUDGET
    with pytest.raises(SpentError):
        submit_rows(store, run, tmp_path / "a", None)
    with store.write() as connection:
        done = {"state": "succeeded", "finished_at": 1.0}
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == child).values(**done))
    assert submit_rows(store, run, tmp_path / "b", None).budget_nano == 900_000


def test_a_new_budget_is_shared_with_a_job_that_was_not_paused(store: Store) -> None:
    """It was submitted between the run's pause and its own."""
    run = a_run(store)
    stood = a_child(store, run, "paused", budget_nano=600_000)
    late = a_child(store, run, "queued", budget_nano=400_000)
    stand(store, run)
    with store.write() as connection:
        connection.execute(
            update(jobs.jobs).where(jobs.jobs.c.id == late).values(state=JobState.QUEUED)
        )
        assert jobs.resume(connection, run, budget_nano=600_000)
        assert portions.committed_nano(connection, run) == 600_000
    assert [the_job(store, one).budget_nano for one in (stood, late)] == [300_000, 300_000]


def test_who_finds_nothing_waits_where_something_came_back(store: Store) -> None:
    """Another job ended between the look and the answer."""
    run = a_run(store)
    child = a_child(store, run, "succeeded", budget_nano=BUDGET, cost_nano=BUDGET - 1)
    stage = stages_seen.Stage(run_id=run, name="pairs", kind="generate", place=0)
    assert isinstance(sharing.broke(store, the_job(store, run), stage), Later)
    with store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == child)
        connection.execute(mine.values(cost_nano=BUDGET))
    assert isinstance(sharing.broke(store, the_job(store, run), stage), Lost)


def test_a_job_whose_submitter_died_is_no_promise_to_another(store: Store, tmp_path: Path) -> None:
    """Begun anew, the stage is answered its own job, though all of the budget is that one's."""
    write_recipe(tmp_path / "small")
    told = RunSpec(pipeline=load_pipeline(str(tmp_path / "small")))
    run = a_job(kind=JobKind.PIPELINE, budget_nano=BUDGET)
    planned = [one.model_dump(include={"name", "kind", "needs"}) for one in told.pipeline.stages]
    with store.write() as connection:
        stages.create(connection, run, planned)
        held = stages.claim(connection, run.id, "pairs", "me", hold_s=30)
    assert held is not None
    a_child(store, run.id, "queued", budget_nano=BUDGET, idempotency_key=f"{run.id}/pairs/h/0")
    assert sharing.share_of(store, run.id, told, held.stage) == BUDGET
    a_child(store, run.id, "queued", budget_nano=BUDGET, idempotency_key=f"{run.id}/exam/h/0")
    assert sharing.share_of(store, run.id, told, held.stage) == 0


def test_a_sweep_stands_with_the_last_of_its_runs(store: Store) -> None:
    """In the same transaction, with its event and the run's reason; so the pipeline's run does."""
    run = a_run(store)
    sweep, runs = left_and_stood(store, run)
    stood = the_job(store, sweep)
    assert (stood.state, stood.state_reason) == (
        JobState.PAUSED,
        the_job(store, runs[1]).state_reason,
    )
    stage = {"run_id": run, "name": "tuned", "kind": "train", "place": 0, "job_id": sweep}
    found = [stages_seen.Stage(**stage, state=StageState.RUNNING)]
    assert f"{sweep} is paused: budget:" in due(found, {sweep: stood}, 1.0).stands


def test_a_sweep_with_a_run_under_way_does_not_stand(store: Store) -> None:
    """It does when that one is over, given up, or paused; those at once see each other."""
    one = {"state": "running", "budget_nano": 1}
    sweep, runs = a_sweep(store, None, one, one, one)
    stand(store, runs[0])
    assert the_job(store, sweep).state == JobState.RUNNING
    at_once(partial(stand, store, runs[1]), partial(stand, store, runs[2], BY_HAND))
    stood = the_job(store, sweep)
    assert (stood.state, stood.state_reason) == (JobState.PAUSED, BY_HAND), "more is no help"
    sweep, runs = a_sweep(store, None, one, one)
    stand(store, runs[0])
    with store.write() as connection:
        jobs.cancel(connection, runs[1])
    assert the_job(store, sweep).state == JobState.PAUSED


def test_a_resumed_sweep_shares_what_its_runs_left(store: Store) -> None:
    """Under its own budget or another; a run that is resumed by itself takes the sweep along."""
    sweep, runs = left_and_stood(store)
    with store.write() as connection:
        assert jobs.resume(connection, sweep)
    assert the_job(store, runs[1]).state == JobState.QUEUED
    assert budgets(store, sweep) == [BUDGET // 2, 900_000]
    stand(store, runs[1])
    with store.write() as connection:
        assert jobs.resume(connection, sweep, budget_nano=2 * BUDGET)
    assert budgets(store, sweep) == [BUDGET // 2, 1_900_000]
    stand(store, runs[1])
    with store.write() as connection:
        assert jobs.resume(connection, runs[1], budget_nano=5)
    assert [the_job(store, one).state for one in (sweep, runs[1])] == [JobState.QUEUED] * 2


def test_what_a_sweeps_runs_left_is_passed_on_among_them(store: Store) -> None:
    """Though all of the run's budget is the sweep's; once, for then it has nothing left."""
    run = a_run(store)
    sweep, runs = left_and_stood(store, run)
    with store.write() as connection:
        assert sharing.pass_on(connection, run) == sweep
    assert the_job(store, sweep).budget_nano == BUDGET
    assert the_job(store, runs[1]).budget_nano == 900_000
    stand(store, runs[1])
    assert the_job(store, sweep).state == JobState.PAUSED
    with store.write() as connection:
        assert sharing.pass_on(connection, run) is None


def test_what_money_does_not_help_gets_none(store: Store) -> None:
    """A training of which nobody says the cost leaves it to the others."""
    run = a_run(store)
    unknown = a_submission().estimate.model_dump_json()
    priceless = a_child(store, run, "waiting", budget_nano=100_000, estimate=unknown)
    with store.write() as connection:
        facts = {"kind": "training", "endpoint": "", "model": "b", "shard_no": 0}
        remote.create(connection, job_id=priceless, **facts)
        (operation,) = trainings.operations_of(connection, priceless, 0)
        assert not training_costs.afford(connection, operation, None)
    assert the_job(store, priceless).state_reason.startswith("price: ")
    other = a_child(
        store, run, "paused", budget_nano=400_000, cost_nano=400_000, state_reason=SPENT
    )
    with store.write() as connection:
        assert sharing.pass_on(connection, run) == other
    assert the_job(store, other).budget_nano == 900_000


def a_lost_child(store: Store, run: str) -> str:
    """A job below the run whose one row failed: it spent 300,000, and might have spent all."""
    facts = {"kind": JobKind.GENERATE, "budget_nano": BUDGET, "cost_nano": 300_000}
    lost = a_child(store, run, "failed", rows_failed=1, **facts)
    failed = update(jobs.rows).where(jobs.rows.c.job_id == lost).values(state="failed")
    done = update(jobs.shards).where(jobs.shards.c.job_id == lost).values(state="done")
    with store.write() as connection:
        connection.execute(failed)
        connection.execute(done)
    return lost


@pytest.mark.parametrize(("promised", "allowed"), [(600_000, 400_000), (800_000, 300_000)])
def test_what_is_tried_again_gets_no_more_than_is_left(
    store: Store, promised: int, allowed: int
) -> None:
    """A failed job's remainder was given to another: it promises none of it anew. Where nothing is
    left it may spend what it has spent, so it stands at its first call."""
    run = a_run(store)
    lost = a_lost_child(store, run)
    a_child(store, run, "running", budget_nano=promised)
    with store.write() as connection:
        assert retry(connection, lost) == 1
    with store.read() as connection:
        assert portions.budget_of(connection, lost) == allowed
