"""Budgets of what is opened again, resumed or left behind, on both databases: none is passed."""

from collections.abc import Callable

import pytest
from builders import a_stored_job, the_job
from sqlalchemy import Connection, update
from test_budget_shares import BUDGET, SPENT, a_child, a_sweep
from test_store_runs_again import TRAINED, retry
from test_store_stages import a_run, claim, move

from dashboard.job import MOVES
from models.errors import BadInputError
from models.nano import NANO
from models.prices import PriceTable, load_prices
from models.settings import Settings
from models.states import JobState
from models.store import jobs, money, portions, trainings
from models.store.engine import Store
from producers import spending
from producers.pipelines import sharing
from producers.pipelines.outcomes import Later, Lost

TWO = (("pairs", "generate", []), ("tuned", "train", []))


def a_lost_sweep(store: Store, parent: str | None) -> tuple[str, list[str]]:
    """All runs of a sweep failed. Of one the third was all that the others had not spent."""
    third = {"state": "failed", "rows_failed": 1, "budget_nano": BUDGET // 3, "cost_nano": 10_000}
    most = {**third, "budget_nano": BUDGET - 20_000, "cost_nano": 800_000}
    sweep, runs = a_sweep(store, parent, third, third, most)
    with store.write() as connection:
        for one in runs:
            rows, shards = jobs.rows, jobs.shards
            failed = update(rows).where(rows.c.job_id == one)
            connection.execute(failed.values(state="failed"))
            done = update(shards).where(shards.c.job_id == one)
            connection.execute(done.values(state="done"))
        jobs.tell_parent(connection, runs[0])
        connection.execute(update(jobs.jobs).where(jobs.jobs.c.id == sweep).values(rows_failed=3))
    return sweep, runs


def may_spend(store: Store, sweep: str) -> int:
    """What the runs of the sweep spent, or may spend."""
    with store.read() as connection:
        children = trainings.children(connection, sweep)
    return sum(max(one.cost_nano, one.budget_nano or 0) for one in children)


@pytest.mark.parametrize("which", ["a sweep alone", "a sweep of a run", "the run"])
def test_runs_tried_again_share_what_is_left(store: Store, which: str) -> None:
    """Each failed with a share that counts on what another has spent since."""
    run = None if which == "a sweep alone" else a_run(store, TRAINED, budget_nano=BUDGET)
    held = claim(store, run, "model") if run else None
    sweep, runs = a_lost_sweep(store, run)
    assert the_job(store, sweep).state == JobState.FAILED
    if run:
        move(store, "submitted", held, sweep, {})
        move(store, "fail", claim(store, run, "model"), "it broke")
        move(store, "skip", run, "exam", "it needs model")
        move(store, "settle", run)
    assert retry(store, run if run and which == "the run" else sweep)
    assert {the_job(store, one).state for one in runs} == {JobState.QUEUED}
    assert BUDGET - len(runs) < may_spend(store, sweep) <= BUDGET
    first, second = (the_job(store, one).budget_nano for one in runs[:2])
    assert first == second == 10_000 + (BUDGET - 820_000) // 3


def test_a_sweep_promises_as_much_as_its_runs(store: Store) -> None:
    """A run may be given more than its sweep has: no other stage of the pipeline gets that too."""
    run = a_run(store, TRAINED, budget_nano=3 * BUDGET)
    sweep, runs = a_sweep(store, run, {"state": "paused", "state_reason": SPENT})
    with store.write() as connection:
        assert jobs.resume(connection, runs[0], budget_nano=2 * BUDGET)
        assert portions.committed_nano(connection, run) == 2 * BUDGET
    assert the_job(store, sweep).budget_nano == BUDGET


def by_command(connection: Connection, job_id: str, nano: int, prices: PriceTable) -> None:
    """`maestrale resume JOB --budget`."""
    job = jobs.get(connection, job_id)
    assert job is not None
    assert spending.resume(connection, job, nano / NANO, prices)


def by_dashboard(connection: Connection, job_id: str, nano: int, _: PriceTable) -> None:
    """The button, with the field beside it."""
    assert MOVES["resume"].make(connection, job_id, budget_nano=nano)


@pytest.mark.parametrize("door", [by_command, by_dashboard])
def test_a_budget_that_is_spent_resumes_nothing(store: Store, door: Callable[..., None]) -> None:
    """By either door it is said, and all stays as it is; more than that is taken."""
    prices = load_prices(Settings(_env_file=None).prices_file)
    child = a_stored_job(store, state="paused", budget_nano=5 * NANO, cost_nano=4 * NANO)

    for budget in (NANO, 4 * NANO):
        with (
            pytest.raises(BadInputError, match=r"has spent \$4.00 already .*give more"),
            store.write() as connection,
        ):
            door(connection, child, budget, prices)
    job = the_job(store, child)
    assert (job.state, job.budget_nano) == (JobState.PAUSED, 5 * NANO)
    with store.write() as connection:
        door(connection, child, 4 * NANO + 1, prices)
    assert the_job(store, child).state == JobState.QUEUED


def test_what_a_sweeps_runs_spent_counts_when_it_is_resumed(store: Store) -> None:
    """Its own count knows nothing of them."""
    spent = {"state": "paused", "budget_nano": BUDGET, "cost_nano": 700_000}
    sweep, _ = a_sweep(store, None, spent)
    with store.write() as connection:
        jobs.pause(connection, sweep, SPENT)
    with pytest.raises(BadInputError, match="has spent"), store.write() as connection:
        money.resume(connection, sweep, budget_nano=700_000)


@pytest.mark.parametrize("whose", ["nobody's", "its stage's", "submitted just now"])
def test_nothing_is_waited_for_that_no_stage_looks_after(store: Store, whose: str) -> None:
    """A job that was submitted for rows which were changed since, and stands: nobody moves it."""
    run = a_run(store, TWO, budget_nano=BUDGET)
    hers, his = claim(store, run, "pairs"), claim(store, run, "tuned")
    move(store, "note_hash", hers, "new")
    key = f"{run}/pairs/{'new' if whose == 'submitted just now' else 'old'}/0"
    facts = {"budget_nano": BUDGET, "cost_nano": 900_000, "idempotency_key": key}
    child = a_child(store, run, "paused", state_reason=SPENT, **facts)
    if whose == "its stage's":
        move(store, "submitted", hers, child, {})
    outcome = sharing.broke(store, the_job(store, run), his.stage)
    assert isinstance(outcome, Lost if whose == "nobody's" else Later)
    with store.write() as connection:
        assert jobs.resume(connection, child)
    assert isinstance(sharing.broke(store, the_job(store, run), his.stage), Later)
