"""What happens between a conductor's look and what it writes, on both databases: it is not undone.
Nor does a stage fail by a connection that was lost in its midst."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from builders import a_stored_job, eventually
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from test_stage_budgets import BUDGET, a_child, a_run, a_told, claim, job
from test_store_runs_again import retry
from test_store_stages import seen, states
from test_store_sweeps import end, somebody_waits

from models.errors import SetupError, StoreAwayError
from models.pipelines.due import due
from models.states import JobState, StageState
from models.store import jobs, retries, stages
from models.store.engine import Store
from producers.pipelines import collecting, doing, serving
from producers.pipelines import conductor as conducting
from producers.pipelines.conductor import Conductor
from producers.pipelines.hand import RUNS
from producers.pipelines.outcomes import Later, Made

Late = Callable[[Callable[[], Any]], None]


@pytest.fixture
def rung() -> list[str]:
    """The jobs that conductors rang for."""
    return []


@pytest.fixture
def conductor(store: Store, rung: list[str], tmp_path: Path) -> Iterator[Conductor]:
    """Of this database, and of nothing else."""
    settings = SimpleNamespace(lease_s=30.0, home=tmp_path)
    client = SimpleNamespace(store=store, settings=settings, ring_for=rung.append)
    opened = Conductor(cast("Any", client))
    yield opened
    opened.close()


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Late:
    """Has something done right after a conductor's next look, before it writes."""

    def after_the_look(act: Callable[[], Any]) -> None:
        left = [act]

        def looked(*args: Any) -> Any:
            told = due(*args)
            if left:
                left.pop()()
            return told

        monkeypatch.setattr(conducting, "due", looked)

    return after_the_look


def running(store: Store, run: str, name: str, job_id: str) -> None:
    """The stage, with a job that does it."""
    held = claim(store, run, name)
    with store.write() as connection:
        assert stages.submitted(connection, held, job_id, {})


@pytest.fixture
def spent(store: Store, tmp_path: Path) -> tuple[str, str]:
    """A run, and the job of its that spent its share; another left something."""
    run = a_run(store, a_told(tmp_path / "small"))
    stands = a_child(store, run, "paused", budget=500_000, cost=500_000)
    a_child(store, run, "succeeded", budget=500_000, cost=100_000)
    running(store, run, "pairs", stands)
    return run, stands


@pytest.fixture
def broken(store: Store, tmp_path: Path) -> tuple[str, str]:
    """A run whose first stage failed with its job; the other stages are not passed over yet."""
    run = a_run(store, a_told(tmp_path / "small"))
    lost: str = a_stored_job(store, rows_count=1, shard_size=1, parent_id=run)
    running(store, run, "pairs", lost)
    end(store, lost, lost=True)
    held = claim(store, run, "pairs")
    with store.write() as connection:
        assert stages.fail(connection, held, "it broke")
    return run, lost


def resume(store: Store, job_id: str, budget_nano: int) -> None:
    """As a user does."""
    with store.write() as connection:
        assert jobs.resume(connection, job_id, budget_nano=budget_nano)


# -- money -----------------------------------------------------------------------------------------


def test_money_that_another_conductor_passed_on_is_left_to_the_job(
    store: Store, conductor: Conductor, late: Late, rung: list[str], spent: tuple[str, str]
) -> None:
    """Nothing is left by then, and yet nothing stands."""
    run, stands = spent
    late(lambda: conductor._step(run))
    conductor._step(run)
    assert job(store, stands).state == JobState.QUEUED
    assert job(store, stands).budget_nano == 900_000
    assert job(store, run).state == JobState.RUNNING
    assert rung == [stands]


def test_a_job_that_a_user_resumed_meanwhile_stays_resumed(
    store: Store, conductor: Conductor, late: Late, spent: tuple[str, str]
) -> None:
    """Under the budget that they gave."""
    run, stands = spent
    late(lambda: resume(store, stands, BUDGET))
    conductor._step(run)
    assert job(store, stands).state == JobState.QUEUED
    assert job(store, stands).budget_nano == BUDGET
    assert job(store, run).state == JobState.RUNNING


def test_a_run_that_was_stopped_meanwhile_is_not_moved(
    store: Store, conductor: Conductor, late: Late, rung: list[str], spent: tuple[str, str]
) -> None:
    """A user's pause keeps its reason, and no money is passed on."""
    run, stands = spent

    def pause() -> None:
        with store.write() as connection:
            jobs.pause(connection, run, "by hand")

    late(pause)
    conductor._step(run)
    assert (job(store, run).state, job(store, run).state_reason) == (JobState.PAUSED, "by hand")
    assert job(store, stands).state == JobState.PAUSED
    assert not rung


def test_a_run_that_stands_is_paused_for_its_reason(
    store: Store, conductor: Conductor, spent: tuple[str, str]
) -> None:
    """After the last of the money."""
    run, stands = spent
    conductor._step(run)
    with store.write() as connection:
        assert jobs.reach_budget(connection, stands, "budget: it is spent")
    conductor._step(run)
    assert job(store, run).state == JobState.PAUSED
    assert f"{stands} is paused: budget: it is spent" in job(store, run).state_reason


# -- stages ----------------------------------------------------------------------------------------


def test_what_cannot_be_done_is_passed_over(
    store: Store, conductor: Conductor, broken: tuple[str, str]
) -> None:
    """And so it says."""
    run, _ = broken
    conductor._step(run)
    assert states(store, run) == ["failed", "skipped", "skipped", "skipped"]
    assert seen(store, run)["data"].reason == "it needs pairs, which was not done"


def test_what_goes_on_again_meanwhile_is_not_passed_over(
    store: Store, conductor: Conductor, late: Late, broken: tuple[str, str]
) -> None:
    """By `maestrale retry JOB`: the run comes to its end with all its stages."""
    run, lost = broken
    late(lambda: retry(store, lost))
    conductor._step(run)
    assert states(store, run) == ["running", "waiting", "waiting", "waiting"]


def test_a_conductor_waits_for_a_retry_that_is_under_way(
    store: Store, conductor: Conductor, broken: tuple[str, str]
) -> None:
    """Neither sees the other's half, and they take their locks in one order."""
    run, lost = broken
    with ThreadPoolExecutor(1) as threads:
        with store.write() as connection:
            assert retries.retry(connection, lost) == 1
            step = threads.submit(conductor._step, run)
            eventually(lambda: step.done() or somebody_waits(store), "it comes no further")
        step.result(30)
    assert states(store, run) == ["running", "waiting", "waiting", "waiting"]


@pytest.mark.parametrize("lost", [StageState.SKIPPED, StageState.FAILED])
def test_a_run_that_lost_a_stage_never_says_that_it_succeeded(
    store: Store, tmp_path: Path, lost: StageState
) -> None:
    """However it came to it; the reason names the stage, one that failed before others."""
    run = a_run(store, a_told(tmp_path / "small"))
    ends = {"pairs": "done", "data": "skipped", "tuned": lost, "exam": "done"}
    with store.write() as connection:
        for name, state in ends.items():
            mine = update(stages.stages).where(stages.stages.c.run_id == run)
            values = {"state": StageState(state), "reason": f"why {name}"}
            connection.execute(mine.where(stages.stages.c.name == name).values(**values))
        jobs.start(connection, run)
        assert stages.settle(connection, run) == JobState.FAILED
    named = "data" if lost == StageState.SKIPPED else "tuned"
    assert job(store, run).state_reason == f"stage {named}: why {named}"


@pytest.mark.parametrize("is_retried", [False, True])
def test_servers_are_left_to_a_run_that_goes_on_again(
    store: Store,
    conductor: Conductor,
    broken: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_retried: bool,
) -> None:
    """A user retried its job while its report was made; else they end with it."""
    run, lost = broken
    conductor._step(run)
    note = tmp_path / RUNS / run / serving.NOTE
    note.parent.mkdir(parents=True)
    note.write_text("[]")
    reporting = (lambda *_: retry(store, lost)) if is_retried else (lambda *_: None)
    monkeypatch.setattr(collecting, "collect", reporting)
    conductor._step(run)
    assert job(store, run).state == (JobState.RUNNING if is_retried else JobState.FAILED)
    assert note.exists() is is_retried


# -- the connection --------------------------------------------------------------------------------


def lose_the_connection(store: Store, *_args: Any) -> None:
    """As a restart of PostgreSQL, or of what lies between, does; and a disk that is away."""
    with store.read() as connection:
        if store.is_sqlite:
            raise OperationalError("select", {}, Exception("disk I/O error"))
        connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))


def test_a_stage_outlives_a_lost_connection(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits and is taken up again; a command that meets it ends as with any setup at fault."""
    with pytest.raises(StoreAwayError, match=r"does not answer.*doctor") as caught:
        lose_the_connection(store)
    assert (isinstance(caught.value, SetupError), caught.value.exit_code) == (True, 1)
    run = a_run(store, a_told(tmp_path / "small"))
    held = claim(store, run, "pairs")
    fake = SimpleNamespace(begin=lambda _hand: Made({}), is_there=None)
    monkeypatch.setattr(doing, "doing", lambda _kind: fake)
    monkeypatch.setattr(doing, "digest_of", lambda *_args: "d" * 64)
    do = partial(doing.do, cast("Any", SimpleNamespace(store=store)), job(store, run), held)
    with monkeypatch.context() as amid:
        amid.setattr(doing, "asked_of", partial(lose_the_connection, store))
        assert isinstance(do(), Later)
    monkeypatch.setattr(doing, "asked_of", lambda *_args: None)
    assert do() == Made({})
