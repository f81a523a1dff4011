"""A sweep's parent: counted anew by each of its runs, settled by the last, stopped with them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from builders import a_job, a_stored_job, at_once, claimed, done, eventually, failed, the_job
from sqlalchemy import Connection, text

from models.prices import load_prices
from models.states import JobKind, JobState
from models.store import events, jobs, retries, rows, shards
from models.store.engine import Store
from producers import spending

ROUNDS = 8
Do = Callable[[Connection], Any]


def a_sweep(store: Store, runs: int = 2) -> tuple[str, list[str]]:
    """The ids of a parent, which sorts before its runs, and of these."""
    allowed = (runs - 1) / runs
    parent = a_job(kind=JobKind.TRAIN, rows_total=runs, shards_total=runs, max_failed_share=allowed)
    with store.write() as connection:
        jobs.create(connection, parent)
    one: dict[str, Any] = {"kind": JobKind.TRAIN, "parent_id": parent.id}
    return parent.id, [a_stored_job(store, rows_count=1, **one) for _ in range(runs)]


def ready(store: Store, run: str, *, lost: bool = False) -> shards.Held:
    """A run in hand whose row is settled, so that its shard and the job settle next."""
    held: shards.Held = claimed(store, run)
    with store.write() as connection:
        rows.settle(connection, [failed(held, 0) if lost else done(held, 0)])
    return held


def settling(held: shards.Held) -> Do:
    """The move that ends a run."""
    return partial(shards.settle, held=held)


def pause(connection: Connection, job_id: str) -> bool:
    """By hand."""
    return jobs.pause(connection, job_id, "by hand")


def within(store: Store, move: Do) -> Callable[[], Any]:
    """`move` in a transaction of its own."""

    def run() -> Any:
        with store.write() as connection:
            return move(connection)

    return run


def crossed(store: Store, first: Do, other: Do, last: Do) -> tuple[Any, Any]:
    """What `last` and `other` answer: `first` and `last` are one transaction, and between them
    `other` begins one, which comes as far as it gets."""
    with ThreadPoolExecutor(1) as threads:
        with store.write() as connection:
            first(connection)
            others = threads.submit(within(store, other))
            eventually(lambda: others.done() or somebody_waits(store), "it comes no further")
            answer = last(connection)
        return answer, others.result(30)


def somebody_waits(store: Store) -> bool:
    """Whether a transaction waits for another's lock; on SQLite none begins beside another."""
    if store.is_sqlite:
        return True
    query = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    with store.read() as connection:
        return bool(connection.scalar(text(query)))


def told(store: Store, job_id: str) -> list[str]:
    """The job's events."""
    with store.read() as connection:
        return [event.type for event in events.of_subject(connection, job_id)]


def counts(store: Store, job_id: str) -> tuple[int, int, int]:
    """Runs that are done, that are lost, and all that are over."""
    job = the_job(store, job_id)
    return job.rows_done, job.rows_failed, job.shards_done


def test_runs_that_begin_and_end_at_once_are_all_counted(store: Store) -> None:
    """By threads, several times: one start, one end, and the counts of its runs."""
    for number in range(ROUNDS):
        parent, runs = a_sweep(store, 3)
        lost = number % 2 == 0
        begin = [partial(ready, store, run) for run in runs[1:]]
        held = at_once(partial(ready, store, runs[0], lost=lost), *begin)
        assert told(store, parent) == ["job.queued", "job.running"]
        assert at_once(*(within(store, settling(one)) for one in held)) == [True] * 3
        assert the_job(store, parent).state == JobState.SUCCEEDED
        assert counts(store, parent) == (3 - lost, lost, 3)
        assert told(store, parent) == ["job.queued", "job.running", "job.succeeded"]


def test_a_run_that_ends_beside_an_uncommitted_end_sees_it(store: Store) -> None:
    """The second waits for the first, and then knows that it is the last."""
    parent, runs = a_sweep(store)
    one, other = (ready(store, run) for run in runs)
    assert crossed(store, settling(one), settling(other), lambda _: True) == (True, True)
    assert (the_job(store, parent).state, counts(store, parent)) == (JobState.SUCCEEDED, (2, 0, 2))


@pytest.mark.parametrize(
    ("move", "left", "stands"),
    [
        (jobs.cancel, JobState.CANCELLED, (1, 1, 2)),
        (pause, JobState.PAUSED, (1, 0, 1)),
    ],
)
def test_a_sweep_is_stopped_while_a_run_ends(
    store: Store, move: Any, left: JobState, stands: tuple[int, int, int]
) -> None:
    """They do not wait for each other: the run's end counts, the others stop with the sweep."""
    parent, (ending, other) = a_sweep(store)
    held = ready(store, ending)
    ended = crossed(
        store,
        partial(jobs.lock, ids=[ending]),  # as who settles begins
        partial(move, job_id=parent),
        settling(held),
    )
    assert ended == (True, True)
    assert the_job(store, ending).state == JobState.SUCCEEDED
    assert [the_job(store, job_id).state for job_id in (parent, other)] == [left, left]
    assert counts(store, parent) == stands


def resume_with_a_budget(connection: Connection, job_id: str) -> bool:
    """`maestrale resume --budget`."""
    job = jobs.get(connection, job_id)
    assert job is not None
    return spending.resume(connection, job, "1USD", load_prices())


@pytest.mark.parametrize("resume", [jobs.resume, resume_with_a_budget])
def test_a_sweep_goes_on_while_a_run_ends(store: Store, resume: Any) -> None:
    """Paused with a run in flight, and resumed in the moment of its end."""
    parent, (ending, other) = a_sweep(store)
    held = ready(store, ending)
    within(store, partial(pause, job_id=parent))()
    ended = crossed(
        store,
        partial(jobs.lock, ids=[ending]),
        partial(resume, job_id=parent),
        settling(held),
    )
    assert ended == (True, True)
    states = [the_job(store, job_id).state for job_id in (parent, ending, other)]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED, JobState.QUEUED]
    assert counts(store, parent) == (1, 0, 1)


def test_a_sweep_whose_last_run_ended_first_is_not_cancelled(store: Store) -> None:
    """Nor paused: who comes too late changes nothing, and says so."""
    for move in (jobs.cancel, pause):
        parent, runs = a_sweep(store)
        first, last = (ready(store, run) for run in runs)
        within(store, settling(first))()
        ended = crossed(
            store,
            partial(jobs.lock, ids=runs[1:]),
            partial(move, job_id=parent),
            settling(last),
        )
        assert ended == (True, False)
        assert told(store, parent)[-1] == "job.succeeded"


def test_a_run_that_ends_after_its_sweep_was_cancelled_is_counted_as_that(store: Store) -> None:
    """Its shard settles, the job and the parent stay as they were cancelled."""
    parent, runs = a_sweep(store)
    held = ready(store, runs[0])
    crossed(store, partial(jobs.cancel, job_id=parent), settling(held), lambda _: True)
    assert {the_job(store, job_id).state for job_id in (parent, *runs)} == {JobState.CANCELLED}
    assert counts(store, parent) == (0, 2, 2)
    assert told(store, parent).count("job.cancelled") == 1


def test_a_paused_sweep_settles_with_its_last_run(store: Store) -> None:
    """Runs in flight finish: with nothing left of it there is nothing to resume."""
    parent, runs = a_sweep(store)
    held = [ready(store, run) for run in runs]
    within(store, partial(pause, job_id=parent))()
    at_once(*(within(store, settling(one)) for one in held))
    assert (the_job(store, parent).state, counts(store, parent)) == (JobState.SUCCEEDED, (2, 0, 2))


def test_stops_and_ends_in_any_order_leave_no_run_out(store: Store) -> None:
    """A sweep cancelled by one thread while others end its runs: never stuck, every run counted."""
    for _ in range(ROUNDS):
        parent, runs = a_sweep(store, 3)
        held = [ready(store, run) for run in runs[:2]]
        cancel = within(store, partial(jobs.cancel, job_id=parent))
        at_once(cancel, *(within(store, settling(one)) for one in held))
        states = [the_job(store, run).state for run in runs]
        assert the_job(store, parent).state == JobState.CANCELLED
        ended = states.count(JobState.SUCCEEDED)
        assert counts(store, parent) == (ended, 3 - ended, 3)


def test_runs_retried_open_their_sweep_again(store: Store) -> None:
    """Each by itself or all by their sweep; it settles with the last of them, as it ends then."""
    parent, runs = a_sweep(store)
    for run in runs:
        end(store, run, lost=True)
    assert the_job(store, parent).state == JobState.FAILED
    with store.write() as connection:
        assert retries.retry(connection, runs[0]) == 1
    again = the_job(store, parent)
    assert (again.state, again.rows_failed, again.finished_at) == (JobState.RUNNING, 1, None)
    end(store, runs[0])
    assert the_job(store, parent).state == JobState.SUCCEEDED
    with store.write() as connection:
        assert retries.retry(connection, parent) == 1
        assert retries.retry(connection, parent) == 0, "it is on its way"
    end(store, runs[1])
    whole = the_job(store, parent)
    assert (whole.state, whole.rows_done, whole.rows_failed) == (JobState.SUCCEEDED, 2, 0)


@pytest.mark.parametrize("stop", [pause, jobs.cancel])
def test_runs_of_a_sweep_that_was_stopped_stay_as_they_are(store: Store, stop: Do) -> None:
    """Only a sweep that is over is tried again, as any other job."""
    parent, runs = a_sweep(store)
    end(store, runs[0], lost=True)
    with store.write() as connection:
        assert stop(connection, parent)
        assert retries.retry(connection, parent) == 0
    assert the_job(store, runs[0]).state == JobState.FAILED


def end(store: Store, run: str, *, lost: bool = False) -> None:
    """The run from its claim to its end."""
    held = ready(store, run, lost=lost)
    with store.write() as connection:
        shards.settle(connection, held=held)
