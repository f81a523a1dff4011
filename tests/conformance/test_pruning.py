"""Pruning, on both databases: what is finished goes, everything else stays as it was."""

import contextlib
from typing import Any

import pytest
from builders import (
    a_call,
    a_doubt,
    a_job,
    a_key,
    a_stored_job,
    assert_all_rows_accounted_for,
    claimed,
    done,
    failed,
    settled,
    the_job,
)
from sqlalchemy import and_, delete, func, insert, select, update

from models.states import DeliveryState, JobKind, JobState, RemoteState, StageState
from models.store import calls, events, jobs, pruning, registry, retries, reviews, shards, stages
from models.store.engine import Store
from models.tables import (
    Attempt,
    BatchRequest,
    BudgetHold,
    Delivery,
    Endpoint,
    EvaluationReport,
    Judgement,
    Pulse,
    RemoteOperation,
    Review,
    ReviewPair,
    Spending,
    TrainingPoint,
    TunedModel,
    VectorStore,
)
from producers.keeping import Pruner

DAY_S = 86_400.0
TABLES: dict[str, Any] = {
    "jobs": pruning.jobs,
    "rows": pruning.rows,
    "shards": pruning.shards,
    "calls": pruning.calls,
    "doubts": pruning.doubts,
    "holds": pruning.holds,
    "events": pruning.events,
    "endpoints": pruning.endpoints,
    "deliveries": pruning.deliveries,
    "attempts": pruning.attempts,
    "pulses": pruning.pulses,
    "operations": pruning.operations,
    "requests": pruning.requests,
    "points": pruning.points,
    "reports": pruning.reports,
    "stages": pruning.stages,
    "models": registry.models,
    "stores": VectorStore.__table__,  # type: ignore[attr-defined]
    "reviews": reviews.reviews,
    "pairs": reviews.pairs,
    "judgements": reviews.judgements,
    "spending": Spending.__table__,  # type: ignore[attr-defined]
}
KEPT = ("calls", "spending", "models", "stores", "reviews", "pairs", "judgements")
"""What outlives the job that it came of."""


def put(store: Store, table: Any, **values: Any) -> None:
    """Inserts one row of a table as it is."""
    with store.write() as connection:
        whole = table(**values).model_dump(exclude_none=True)
        connection.execute(insert(table.__table__).values(**whole))


def change(store: Store, table: Any, which: Any, **values: Any) -> None:
    """Updates as no move of ours would: tests alone may turn back time."""
    with store.write() as connection:
        connection.execute(update(table).where(which).values(**values))


def a_finished_job(store: Store, *, days_ago: float = 40, is_told: bool = True) -> str:
    """A job with one failed row among four, and with an entry in every table."""
    job_id = a_stored_job(store)
    for no in (0, 1):
        held = claimed(store, job_id, no)
        end = failed(held, 3) if no else done(held, 1)
        settled(store, held, [done(held, 2 * no), end])
    with store.write() as connection:
        call, twin = a_call(job_id=job_id), a_call(job_id=job_id)
        calls.store(connection, [call, twin])
        calls.doubt(connection, [a_doubt(job_id=job_id)])
        jobs.settle_if_done(connection, job_id)
    for at in (10, 20, 30):
        put(store, Pulse, job_id=job_id, at=at)
        put(store, TrainingPoint, job_id=job_id, step=at, loss=0.5, at=at)
        put(store, BatchRequest, job_id=job_id, shard_no=at, key="of-many", endpoint="chat",
            model="m", body="{}")  # fmt: skip
    an_operation(store, job_id, RemoteState.SUCCEEDED)
    put(store, TunedModel, name=f"m-{job_id}", base="m", trainer="local", place="x", job_id=job_id,
        created_at=0.0)  # fmt: skip
    put(store, VectorStore, name=f"v-{job_id}", path="x", model="m", dimensions=3, documents=1,
        hash="h", job_id=job_id, created_at=0.0)  # fmt: skip
    put(store, EvaluationReport, job_id=job_id, made_at=0.0, report="{}", page="<html>")
    a_review(store, job_id)
    put(store, BudgetHold, job_id=job_id, owner="w", nano=1, until=0.0)
    put(store, Endpoint, id=f"end_{job_id}", url="https://x.example/", job_id=job_id, secret="s",
        created_at=0.0)  # fmt: skip
    a_delivery(store, job_id, f"end_{job_id}")
    when = store.now() - days_ago * DAY_S
    change(store, pruning.jobs, pruning.jobs.c.id == job_id, finished_at=when)
    change(store, pruning.calls, pruning.calls.c.job_id == job_id, created_at=when)
    if is_told:
        tell(store, job_id, days_ago)
    return job_id


def a_review(store: Store, job_id: str) -> None:
    """A pair of the job's answers, judged by one person."""
    review_id = f"rev_{job_id}"
    put(store, Review, id=review_id, name="r", job_id=job_id, question="?", first="a", second="b",
        pairs_total=1, created_at=0.0)  # fmt: skip
    put(store, ReviewPair, review_id=review_id, no=1, row_id="r0", asked="?", left="x", right="y",
        left_is_first=True)  # fmt: skip
    put(store, Judgement, review_id=review_id, no=1, reviewer="ada", choice="left", judged_at=0.0)


def tell(store: Store, subject_id: str, days_ago: float = 40) -> None:
    """Marks the subject's events as relayed."""
    when = store.now() - days_ago * DAY_S
    change(store, pruning.events, pruning.events.c.subject_id == subject_id, relayed_at=when)


def a_delivery(
    store: Store, subject_id: str, endpoint_id: str, state: str = DeliveryState.DELIVERED
) -> None:
    """A delivery of forty days ago with an attempt in the log."""
    when = store.now() - 40 * DAY_S
    put(store, Delivery, message_id=a_key(), event_type="job.succeeded", subject_id=subject_id,
        endpoint_id=endpoint_id, state=state, body="{}", next_at=when, created_at=when,
        settled_at=when)  # fmt: skip
    with store.read() as connection:
        newest = connection.scalar(select(func.max(pruning.deliveries.c.id)))
    put(store, Attempt, delivery_id=newest, no=1, ms=3, at=when)


def an_operation(store: Store, job_id: str, state: RemoteState) -> None:
    """A batch that was sent, in any state."""
    put(store, RemoteOperation, id=f"op_{job_id}", job_id=job_id, kind="batch", model="m",
        state=state, next_check_at=0.0, created_at=0.0)  # fmt: skip


def counted(store: Store) -> dict[str, int]:
    """Entries by table."""
    with store.read() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table)) or 0
            for name, table in TABLES.items()
        }


def pruned(store: Store, days: float = 30, **how: Any) -> Any:
    """A whole run, without breaks."""
    return Pruner(store, days * DAY_S, sleep=lambda _s: None, **how).run()


def test_one_job_goes_and_the_others_stay_as_they_were(store: Store):
    """Every table loses exactly what the old job added, but for the ledger, the spending, what
    people said of its answers, and the model and the store of vectors that came of it."""
    recent = a_finished_job(store, days_ago=20)
    running = a_stored_job(store, state="running")
    before = counted(store)
    old = a_finished_job(store)
    put(store, Spending, job_id=old, model="m", day=1)
    kept = {name: counted(store)[name] for name in KEPT}
    told = pruned(store)
    assert told.jobs == 1
    assert counted(store) == before | kept
    with store.read() as connection:
        assert jobs.get(connection, old) is None
        assert events.of_subject(connection, old) == []
    for kept in (recent, running):
        assert_all_rows_accounted_for(store, kept)


def test_a_second_run_finds_nothing_to_do(store: Store):
    """It can be repeated: nothing is left, and nothing more is taken."""
    a_finished_job(store)
    pruned(store)
    before = counted(store)
    again = pruned(store)
    assert (again.jobs, again.entries, again.answers) == (0, 0, 0)
    assert counted(store) == before


def test_a_dry_look_counts_and_changes_nothing(store: Store):
    """The survey says how much there is, answers of gone jobs included."""
    a_finished_job(store)
    a_finished_job(store, days_ago=1)
    before = counted(store)
    found = Pruner(store, 30 * DAY_S).survey()
    assert (found.jobs, found.rows, found.answers, found.half_gone, found.untold) == (1, 4, 2, 0, 0)
    assert counted(store) == before


@pytest.mark.parametrize("steps", range(1, 19))
def test_interrupted_anywhere_the_next_run_finishes(
    store: Store, steps: int, monkeypatch: pytest.MonkeyPatch
):
    """Broken off after any number of transactions, a second run leaves what one would have."""
    monkeypatch.setattr(pruning, "BATCH", 2)
    kept = a_finished_job(store, days_ago=1)
    before = counted(store)
    a_finished_job(store)
    kept_entries = {name: counted(store)[name] for name in KEPT}
    left = iter(range(steps))

    def stop_after(_s: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pruner(store, 30 * DAY_S, sleep=stop_after).run()
    pruned(store)
    assert counted(store) == before | kept_entries
    assert_all_rows_accounted_for(store, kept)


def test_a_job_whose_news_are_on_their_way_stays(store: Store):
    """Neither an event nobody relayed nor a delivery that is pending is ever forgotten."""
    untold = a_finished_job(store, is_told=False)
    undelivered = a_finished_job(store)
    a_delivery(store, undelivered, "end_of_all", DeliveryState.PENDING)
    before = counted(store)
    assert Pruner(store, 30 * DAY_S).survey().untold == 2
    assert pruned(store).jobs == 0
    assert counted(store) == before
    tell(store, untold)
    assert pruned(store).jobs == 1
    assert the_job(store, undelivered).id == undelivered


def test_a_job_reopened_in_the_last_moment_stays(store: Store):
    """`retry` between the look and the deed wins: the job is not finished any more."""
    job_id = a_finished_job(store)
    before = store.now() - 30 * DAY_S
    with store.read() as connection:
        assert pruning.candidates(connection, before) == [job_id]
    with store.write() as connection:
        assert retries.retry(connection, job_id) == 1
        assert not pruning.forget(connection, job_id, before)
    assert_all_rows_accounted_for(store, job_id)


def test_a_cancelled_job_with_a_shard_in_hand_stays(store: Store):
    """Its worker still settles rows in flight; once the lease is gone, the job may go."""
    job_id = a_stored_job(store)
    held = claimed(store, job_id)
    with store.write() as connection:
        jobs.cancel(connection, job_id)
    change(store, pruning.jobs, pruning.jobs.c.id == job_id, finished_at=1.0)
    tell(store, job_id)
    assert pruned(store).jobs == 0
    with store.write() as connection:
        shards.hand_back(connection, held)
    assert pruned(store).jobs == 1


@pytest.mark.parametrize("state", [RemoteState.SENDING, RemoteState.RUNNING, RemoteState.FETCHING])
def test_a_cancelled_job_with_remote_work_out_stays(store: Store, state: RemoteState):
    """The clock needs the job to cancel it over there; once that is over, the job may go."""
    job_id = a_stored_job(store)
    with store.write() as connection:
        jobs.cancel(connection, job_id)
    change(store, pruning.jobs, pruning.jobs.c.id == job_id, finished_at=1.0)
    tell(store, job_id)
    an_operation(store, job_id, state)
    assert pruned(store).jobs == 0
    operation = pruning.operations.c.job_id == job_id
    change(store, pruning.operations, operation, state=RemoteState.CANCELLED)
    assert pruned(store).jobs == 1
    assert counted(store)["operations"] == 0


def test_a_sweep_keeps_its_runs(store: Store):
    """By them it is counted: it settles with the last, however long ago the first one ended."""
    sweep = a_job(kind=JobKind.TRAIN, rows_total=2, shards_total=2, max_failed_share=0.5)
    with store.write() as connection:
        jobs.create(connection, sweep)
    one: dict[str, Any] = {"kind": JobKind.TRAIN, "rows_count": 1, "parent_id": sweep.id}
    first, last = (a_stored_job(store, **one) for _ in range(2))
    finish(store, first)
    change(store, pruning.jobs, pruning.jobs.c.id == first, finished_at=1.0)
    tell(store, first)
    assert pruned(store).jobs == 0
    finish(store, last)
    assert the_job(store, sweep.id).state == JobState.SUCCEEDED
    change(store, pruning.jobs, pruning.jobs.c.id.in_([sweep.id, last]), finished_at=1.0)
    for job_id in (sweep.id, last):
        tell(store, job_id)
    assert pruned(store).jobs == 3


def a_pipeline_run(
    store: Store, *, days_ago: float | None = 40, stage_job: str | None = None
) -> str:
    """A run with two stages, an endpoint of its own and a report; over, unless `days_ago` is None.

    Its first stage is done, by the job of an earlier run if one is named."""
    run = a_job(kind=JobKind.PIPELINE, rows_total=2, max_failed_share=0.0)
    planned = [{"name": name, "kind": "generate", "needs": []} for name in ("pairs", "exam")]
    with store.write() as connection:
        stages.create(connection, run, planned)
    first = pruning.stages.c.run_id == run.id, pruning.stages.c.name == "pairs"
    change(store, pruning.stages, and_(*first), state=StageState.DONE, job_id=stage_job)
    put(store, Endpoint, id=f"end_{run.id}", url="https://x.example/", job_id=run.id, secret="s",
        created_at=0.0)  # fmt: skip
    put(store, EvaluationReport, job_id=run.id, made_at=0.0, report="{}", page="<html>")
    if days_ago is not None:
        with store.write() as connection:
            jobs.cancel(connection, run.id)
        over(store, run.id, days_ago)
    return run.id


def over(store: Store, job_id: str, days_ago: float = 40) -> None:
    """It ended so long ago, and everybody has heard of it."""
    when = store.now() - days_ago * DAY_S
    mine = pruning.jobs.c.id == job_id
    change(store, pruning.jobs, mine, state=JobState.SUCCEEDED, finished_at=when)
    tell(store, job_id)


def test_a_run_of_a_pipeline_takes_its_stages_with_it(store: Store):
    """And its events, endpoint and report; those of another run stay."""
    a_pipeline_run(store, days_ago=1)
    before = counted(store)
    a_pipeline_run(store)
    assert pruned(store).jobs == 1
    assert counted(store) == before


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_job_without_shards_is_finished_by_the_next_run(store: Store, steps: int):
    """A run or a sweep whose forgetting was broken off is found again, though no shard tells."""
    before = counted(store)
    a_pipeline_run(store)
    left = iter(range(steps))

    def stop_after(_s: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        Pruner(store, 30 * DAY_S, sleep=stop_after).run()
    assert the_jobs(store) == []
    found = Pruner(store, 30 * DAY_S).survey()
    assert (found.half_gone == 1) == (counted(store) != before)
    pruned(store)
    assert counted(store) == before


def the_jobs(store: Store) -> list[str]:
    """The ids of all jobs."""
    with store.read() as connection:
        return list(connection.scalars(select(pruning.jobs.c.id)))


def test_events_of_jobs_without_shards_do_not_wait_for_their_age(store: Store):
    """A sweep that is gone leaves events only: they tell the next run what is left to do."""
    sweep = a_job(kind=JobKind.TRAIN, rows_total=2, shards_total=2)
    with store.write() as connection:
        jobs.create(connection, sweep)
        connection.execute(delete(pruning.jobs).where(pruning.jobs.c.id == sweep.id))
    assert Pruner(store, 30 * DAY_S).survey().half_gone == 1
    assert pruned(store).entries == 1
    assert counted(store)["events"] == 0


def test_a_run_that_is_not_over_keeps_what_it_counts_and_reads(store: Store):
    """Its jobs, the runs of its sweeps, and the jobs of earlier runs that its stages took over."""
    earlier = a_finished_job(store)
    run = a_pipeline_run(store, days_ago=None, stage_job=earlier)
    sweep = a_stored_job(store, parent_id=run)
    trained = a_stored_job(store, parent_id=sweep)
    child = a_stored_job(store, parent_id=run)
    for job_id in (sweep, trained, child):
        over(store, job_id)
    assert pruned(store).jobs == 0
    over(store, run)
    assert pruned(store).jobs == 5
    assert the_jobs(store) == []


def finish(store: Store, job_id: str) -> None:
    """A run of one row, from its claim to its end."""
    held = claimed(store, job_id)
    settled(store, held, [done(held, 0)])


def test_answers_go_only_when_asked_for_and_not_those_of_kept_jobs(store: Store):
    """`--answers` takes old answers of gone jobs; young ones and kept jobs' own stay."""
    a_finished_job(store)
    kept = a_finished_job(store, is_told=False)
    with store.write() as connection:
        young = a_call(job_id="job_gone")
        calls.store(connection, [young])
    assert pruned(store).answers == 0
    assert counted(store)["calls"] == 5
    assert pruned(store, answers=True).answers == 2
    with store.read() as connection:
        assert set(calls.find(connection, [young.key])) == {young.key}
        payers = connection.scalars(select(pruning.calls.c.job_id).order_by("job_id")).all()
    assert payers == sorted(["job_gone", kept, kept])


def test_old_news_of_endpoints_go_and_pending_ones_stay(store: Store):
    """Test deliveries and endpoints' own events are about no job: their age alone counts."""
    put(store, Endpoint, id="end_1", url="https://x.example/", secret="s", created_at=0.0)
    with store.write() as connection:
        for kind in ("endpoint.disabled", "endpoint.disabled"):
            events.write_of_endpoint(connection, "end_1", kind, origin="https://x.example")
    change(store, pruning.events, pruning.events.c.seq == 1, relayed_at=1.0)
    a_delivery(store, "end_1", "end_1")
    pruned(store)
    after = counted(store)
    assert (after["events"], after["deliveries"], after["attempts"], after["endpoints"]) == (
        1,
        0,
        0,
        1,
    )
