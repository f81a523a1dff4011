"""Runs of pipelines whose work is opened again, stopped or joined by others: nothing is paid twice,
nobody waits for each other, nothing is begun below what is over."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from builders import a_doubt, a_job, a_stored_job, a_submission, eventually, the_job
from sqlalchemy import Connection, update
from test_store_stages import a_child, a_run, claim, lost, move, seen, states
from test_store_sweeps import crossed, end, pause, ready, settling, somebody_waits

from models.errors import BadInputError, MaestraleError
from models.states import JobKind, JobState, StageState
from models.store import calls, jobs, retries, stages
from models.store.engine import Store
from models.tables import Job
from models.training import TrainingSpec
from models.training.plan import Plan, Planned
from models.training.spec import DatasetRef
from producers import training_jobs
from producers.readers import ReadOptions, read
from producers.submitting import submit

TRAINED = (("model", "train", []), ("exam", "evaluate", ["model"]))


def a_sweep_of(store: Store, run: str, runs: int = 2) -> tuple[str, list[str]]:
    """The ids of a sweep that is a job of a pipeline's run, and of its runs."""
    told: dict[str, Any] = {"rows_total": runs, "shards_total": runs}
    allowed = (runs - 1) / runs
    sweep = a_job(kind=JobKind.TRAIN, parent_id=run, max_failed_share=allowed, **told)
    with store.write() as connection:
        jobs.create(connection, sweep)
    one: dict[str, Any] = {"kind": JobKind.TRAIN, "parent_id": sweep.id}
    return sweep.id, [a_stored_job(store, rows_count=1, **one) for _ in range(runs)]


def a_lost_sweep(store: Store) -> tuple[str, str, list[str]]:
    """A run that failed, for none of its sweep's runs left a model."""
    run = a_run(store, TRAINED)
    sweep, runs = a_sweep_of(store, run)
    move(store, "submitted", claim(store, run, "model"), sweep, {})
    for one in runs:
        end(store, one, lost=True)
    assert the_job(store, sweep).state == JobState.FAILED
    move(store, "fail", claim(store, run, "model"), "it broke")
    move(store, "skip", run, "exam", "it needs model")
    move(store, "settle", run)
    return run, sweep, runs


def a_lost_ranking(store: Store, state: str) -> tuple[str, str, str]:
    """A run that failed while the runs of its sweep were put to a suite: that job is in `state`."""
    run = a_run(store, TRAINED)
    sweep, runs = a_sweep_of(store, run)
    held = claim(store, run, "model")
    with store.write() as connection:
        stages.note_hash(connection, held, "h")
    move(store, "submitted", held, sweep, {})
    for one in runs:
        end(store, one)
    ranking = a_child(store, run, state=state)
    move(store, "submitted", claim(store, run, "model"), ranking, {stages.SWEEP: sweep})
    lost(store, run, "model")
    move(store, "settle", run)
    return run, sweep, ranking


def retry(store: Store, job_id: str) -> int:
    """In a transaction of its own."""
    with store.write() as connection:
        return retries.retry(connection, job_id)


@pytest.mark.parametrize("which", ["sweep", "run of it"])
def test_a_sweep_retried_by_itself_brings_its_run_back(store: Store, which: str) -> None:
    """Whether all of it or one of its runs: the stage waits for it, and nothing is trained anew."""
    run, sweep, runs = a_lost_sweep(store)
    assert retry(store, sweep if which == "sweep" else runs[0]) == (2 if which == "sweep" else 1)
    assert the_job(store, run).state == JobState.QUEUED
    assert states(store, run) == ["running", "waiting"]
    assert retry(store, run) == 0, "it is on its way"
    assert seen(store, run)["model"].job_id == sweep


def test_a_run_retried_opens_its_sweep_and_waits_for_it(store: Store) -> None:
    """With the same runs, under the same attempt."""
    run, sweep, runs = a_lost_sweep(store)
    assert retry(store, run) == 2
    assert states(store, run) == ["running", "waiting"]
    stage = seen(store, run)["model"]
    assert (stage.job_id, stage.attempt) == (sweep, 0)
    assert {the_job(store, one).state for one in runs} == {JobState.QUEUED}


@pytest.mark.parametrize("state", ["queued", "running", "waiting", "paused"])
def test_retry_leaves_a_stage_the_job_that_is_not_over(store: Store, state: str) -> None:
    """It goes on by itself: beginning the stage anew would pay for all of it twice."""
    run = a_run(store)
    child = a_child(store, run, state=state)
    lost(store, run, job_id=child)
    move(store, "settle", run)
    assert retry(store, run) == 3
    assert states(store, run)[0] == "running"
    assert seen(store, run)["pairs"].job_id == child


@pytest.mark.parametrize(
    ("stop", "words"), [(pause, "is paused: .*resume"), (jobs.cancel, "cancelled for good")]
)
@pytest.mark.parametrize("which", ["a job", "a sweep", "a run of it"])
def test_nothing_is_tried_again_below_a_run_that_was_stopped(
    store: Store, stop: Any, words: str, which: str
) -> None:
    """Nobody would collect what it pays for: it is said what to do, and all stays as it is."""
    run = a_run(store, (*TRAINED, ("pairs", "generate", [])))
    sweep, runs = a_sweep_of(store, run)
    move(store, "submitted", claim(store, run, "model"), sweep, {})
    job = a_stored_job(store, rows_count=1, parent_id=run)
    move(store, "submitted", claim(store, run, "pairs"), job, {})
    for one in (*runs, job):
        end(store, one, lost=True)
    move(store, "fail", claim(store, run, "pairs"), "it broke")
    with store.write() as connection:
        assert stop(connection, run)
    before = states(store, run)
    retried = {"a job": job, "a sweep": sweep, "a run of it": runs[0]}[which]
    with pytest.raises(BadInputError, match=f"{retried} belongs to {run}, which .*{words}"):
        retry(store, retried)
    assert (states(store, run), the_job(store, retried).state) == (before, JobState.FAILED)


@pytest.mark.parametrize("state", ["cancelled", "pruned"])
def test_a_stage_whose_ranking_is_gone_goes_back_to_its_sweep(store: Store, state: str) -> None:
    """What was trained is ranked again, under another attempt."""
    run, sweep, ranking = a_lost_ranking(store, "cancelled")
    if state == "pruned":
        with store.write() as connection:
            mine = update(jobs.jobs).where(jobs.jobs.c.id == ranking)
            connection.execute(mine.values(id="job_elsewhere", parent_id=None))
    assert retry(store, run) == 2
    stage = seen(store, run)["model"]
    assert (stage.state, stage.job_id, stage.attempt) == (StageState.RUNNING, sweep, 1)
    assert (stage.hash, stage.output) == ("h", "{}")


def test_a_ranking_that_may_go_on_stays_the_stages_job(store: Store) -> None:
    """With the note of which sweep it ranks."""
    run, sweep, ranking = a_lost_ranking(store, "succeeded")
    retry(store, run)
    stage = seen(store, run)["model"]
    assert (stage.state, stage.job_id, stage.attempt) == (StageState.RUNNING, ranking, 0)
    assert sweep in stage.output


# -- beside others ---------------------------------------------------------------------------------


def test_a_stage_is_skipped_beside_a_cancel(store: Store) -> None:
    """Both take the run first: neither waits for what the other has."""
    run = a_run(store)

    def skip(connection: Connection) -> bool:
        skipped = stages.skip(connection, run, "data", "it needs pairs")
        stages.recount(connection, run)
        return skipped

    cancel = partial(jobs.cancel, job_id=run)
    assert crossed(store, partial(jobs.lock, ids=[run]), skip, cancel) == (True, False)
    assert set(states(store, run)) == {"cancelled"}


@pytest.mark.parametrize("stop", [pause, jobs.cancel])
def test_a_sweep_is_submitted_beside_the_end_of_one_of_its_runs(store: Store, stop: Any) -> None:
    """Its pipeline's run was stopped meanwhile: what is left of the sweep is stopped with it."""
    run = a_run(store, TRAINED)
    in_hand = claim(store, run, "model")
    with store.write() as connection:
        stop(connection, run)
    sweep, (ending, other) = a_sweep_of(store, run)
    held = ready(store, ending)
    submitted = partial(stages.submitted, held=in_hand, job_id=sweep, notes={})
    answers = crossed(store, partial(jobs.lock, ids=[ending]), submitted, settling(held))
    assert answers == (True, stop is pause)
    assert the_job(store, ending).state == JobState.SUCCEEDED
    assert the_job(store, sweep).state == the_job(store, other).state == the_job(store, run).state


def test_a_run_is_retried_beside_a_run_of_its_sweep(store: Store) -> None:
    """The one that comes second finds it on its way."""
    run, sweep, (one, other) = a_lost_sweep(store)
    again = partial(retries.retry, job_id=one)
    answers = crossed(
        store, partial(jobs.lock, ids=[one]), partial(retries.retry, job_id=run), again
    )
    assert answers == (1, 0)
    assert the_job(store, sweep).state == JobState.RUNNING
    assert [the_job(store, job).state for job in (one, other)] == ["queued", "failed"]


def test_a_run_is_paused_beside_a_cancel(store: Store) -> None:
    """They take its jobs in one order, whatever hangs below which."""
    run = a_run(store)
    with store.write() as connection:
        sweep = a_job(kind=JobKind.TRAIN, parent_id=run, rows_total=1, shards_total=1)
        jobs.create(connection, sweep)
    job = a_child(store, run)
    swept = a_child(store, sweep.id)
    move = partial(pause, job_id=run)
    cancel = partial(jobs.cancel, job_id=run)
    assert crossed(store, partial(jobs.lock, ids=[job]), move, cancel) == (True, False)
    everything = (run, sweep.id, job, swept)
    assert {the_job(store, one).state for one in everything} == {JobState.CANCELLED}


# -- below what is over ----------------------------------------------------------------------------


def in_state(store: Store, run: str, state: str) -> None:
    """Puts the run there, past the moves."""
    with store.write() as connection:
        mine = update(jobs.jobs).where(jobs.jobs.c.id == run)
        connection.execute(mine.values(state=JobState(state)))


def submit_rows(store: Store, run: str, folder: Path) -> Job:
    """A job of rows below `run`."""
    source = folder / "texts.jsonl"
    source.write_text('{"id": "a", "text": "x"}\n')
    with read(source, ReadOptions(), folder / "staging") as found:
        return submit(store, a_submission(parent_id=run), found)[0]


def submit_training(store: Store, run: str, sweep: str) -> Job:
    """A training below `run`, or a sweep of one."""
    dataset = DatasetRef(name="d", folder="d", hash="0" * 64, train_rows=1)
    spec = TrainingSpec(name="m", base="b", trainer="mistral", dataset=dataset, steps=1)
    plan = Plan(1, None, None, None, None, None)
    how = training_jobs.Submission(parent_id=run)
    return training_jobs.submit(store, [Planned(spec, plan)], how, sweep=sweep)[0]


DOORS: dict[str, Callable[[Store, str, Path], Job]] = {
    "rows": submit_rows,
    "training": lambda store, run, _: submit_training(store, run, ""),
    "sweep": lambda store, run, _: submit_training(store, run, "s"),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
@pytest.mark.parametrize("state", ["cancelled", "failed", "succeeded"])
def test_nothing_is_submitted_below_a_run_that_is_over(
    store: Store, door: Any, state: str, tmp_path: Path
) -> None:
    """Else nobody would stop it, if the conductor died before it said which job is whose."""
    run = a_run(store)
    in_state(store, run, state)
    with pytest.raises(MaestraleError, match=f"{run} is {state}"):
        door(store, run, tmp_path)
    with store.read() as connection:
        assert [job.id for job in jobs.newest(connection)] == [run]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_job_is_submitted_below_a_run_that_goes_on(
    store: Store, door: Any, tmp_path: Path
) -> None:
    """Or stands: it is paused with it as soon as the stage names it."""
    run = a_run(store)
    in_state(store, run, "paused")
    assert door(store, run, tmp_path).parent_id == run


def test_what_is_submitted_beside_a_cancel_is_refused(store: Store, tmp_path: Path) -> None:
    """It waits for the cancel and then knows of it."""
    run = a_run(store)
    with ThreadPoolExecutor(1) as threads:
        with store.write() as connection:
            jobs.cancel(connection, run)
            submitted = threads.submit(submit_rows, store, run, tmp_path)
            eventually(lambda: submitted.done() or somebody_waits(store), "it comes no further")
        with pytest.raises(MaestraleError, match="cancelled"):
            submitted.result(30)


# -- budgets ---------------------------------------------------------------------------------------


def test_a_resumed_run_never_gives_more_than_it_was_given(store: Store) -> None:
    """By what its jobs spent, whether it was counted yet or not; doubts and sweeps' runs too."""
    run = a_run(store, TRAINED, budget_nano=100)
    first = a_child(store, run, state="paused", cost_nano=60)
    done = a_child(store, run, state="succeeded", cost_nano=30)
    sweep, runs = a_sweep_of(store, run)
    for one, cost in zip(runs, (40, 0), strict=True):
        with store.write() as connection:
            mine = update(jobs.jobs).where(jobs.jobs.c.id == one)
            connection.execute(mine.values(cost_nano=cost))
            connection.execute(mine.values(state="succeeded" if cost else "queued"))
    with store.write() as connection:
        calls.doubt(connection, [a_doubt(job_id=first, cost_nano=10)])
        jobs.pause(connection, run, "by hand")
        assert jobs.resume(connection, run, budget_nano=200)
    assert the_job(store, first).budget_nano == 70 + 30
    assert the_job(store, sweep).budget_nano == 40 + 30
    assert the_job(store, runs[1]).budget_nano == 30
    given = [the_job(store, one).budget_nano or 0 for one in (first, sweep)]
    assert sum(given) + the_job(store, done).cost_nano == 200


def test_a_sweep_resumed_gives_each_run_its_part_at_most(store: Store) -> None:
    """And no more than the others left."""
    run = a_run(store, TRAINED)
    sweep, runs = a_sweep_of(store, run)
    with store.write() as connection:
        jobs.pause(connection, sweep, "by hand")
        jobs.resume(connection, sweep, budget_nano=100)
    assert [the_job(store, one).budget_nano for one in runs] == [50, 50]
