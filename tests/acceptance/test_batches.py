"""Batches with real workers: half the price, every row settled, and no key executed twice."""

import json
import random
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import assert_all_rows_accounted_for, eventually
from sqlalchemy import func, select

from models.nano import NANO
from models.payloads import Options, Usage
from models.prices import load_prices
from models.states import JobState, RemoteState
from models.store import events
from models.store.batches import requests
from models.store.views.operations_seen import OperationSeen
from models.tables import Job
from proving.stage import Stage, stage

OnStage = Callable[..., Stage]
Texts = Callable[..., Path]
pytestmark = pytest.mark.slow

MODEL = "mistral-small-latest"
RECIPES = Path(__file__).parents[2] / "recipes"
SAMPLE = RECIPES / "amira" / "sample.jsonl"
BY_BATCH = Options(via="batch")
SOME = 0.4
"""Of an estimate: enough for a part of the rows."""
CALM: dict[str, object] = {
    "queued_s": 0.0,
    "rate": 0,
    "timeout_jobs": 0,
    "unknown_looks": 0,
    "drop_creates": 0,
    "listing_lag_s": 0.0,
}


@pytest.fixture(scope="module")
def shared_stage() -> Iterator[Stage]:
    """One system for the tests that leave its processes alone: its start takes seconds."""
    with stage(workers=2) as on:
        yield on


@pytest.fixture
def on(shared_stage: Stage) -> Iterator[Stage]:
    """The shared system with its counts at nought; afterwards nothing of the test is out."""
    shared_stage.steer("reset")
    yield shared_stage
    shared_stage.steer("batch", **CALM)
    for job in shared_stage.client.jobs():
        if job.state not in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED):
            shared_stage.client.cancel(job.id)
        eventually(lambda j=job: not out(shared_stage, j), "nothing is out", within_s=60)


def begun(on: Stage, source: Path, recipe: str = "translate", **how: Any) -> Job:
    """A job whose calls go by batch."""
    return on.client.generate(source, recipe=recipe, **{"options": BY_BATCH, "again": True, **how})


def out(on: Stage, job: Job) -> list[OperationSeen]:
    """The job's batches that somebody will look at again."""
    return [operation for operation in on.client.operations(job.id) if operation.is_out]


def asked(on: Stage, route: str) -> list[dict[str, Any]]:
    """What the provider lists under this route."""
    request = urllib.request.Request(f"{on.url}/v1/{route}", headers={"Authorization": "Bearer x"})
    with urllib.request.urlopen(request) as answer:
        return list(json.load(answer)["data"])


def billed_nano(on: Stage, job: Job) -> int:
    """What the provider would bill for all that it executed in batches, all of it the job's. It
    does not count cached tokens apart, so these are taken from the ledger."""
    stats = on.stats()
    cached = sum(cost.cached_tokens for cost in on.client.costs(job.id, by="model"))
    used = Usage(stats["batch_tokens_in"], stats["batch_tokens_out"], cached)
    cost = load_prices().cost_nano(MODEL, used, batch=True)
    assert cost is not None
    return cost


def assert_once_each(on: Stage, keys: int) -> None:
    """So many calls were executed, all by batch, and none of them twice."""
    stats = on.stats()
    counted = [stats[name] for name in ("batch_executed", "batch_unique", "batch_repeats")]
    assert (*counted, stats["executed"]) == (keys, keys, 0, 0)


def assert_nothing_is_left(on: Stage) -> None:
    """No file here or there, and no request that waits for anything."""
    assert asked(on, "files") == [], "files are left over there"
    assert [path for path in (on.home / "remote").rglob("*") if path.is_file()] == []
    with on.client.store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(requests)) == 0


def assert_done(on: Stage, job: Job, rows: int) -> None:
    """It succeeded with all its rows."""
    assert (job.state, job.rows_done, job.rows_failed) == (JobState.SUCCEEDED, rows, 0)
    assert_all_rows_accounted_for(on.client.store, job.id)


def test_a_batch_costs_half_and_leaves_nothing_behind(on: Stage, texts: Texts) -> None:
    """Half of what the same rows cost at once, to the rounding; no call twice; files removed."""
    job = on.client.wait(begun(on, texts(300)).id)
    assert_done(on, job, 300)
    assert job.calls_made == 300
    assert_once_each(on, 300)
    assert on.stats()["batch_jobs_created"] == 1
    assert job.cost_nano == pytest.approx(billed_nano(on, job), abs=300), "a nano-dollar a call"
    eventually(lambda: not asked(on, "files"), "the files over there are removed")
    assert_nothing_is_left(on)
    at_once = on.client.generate(
        texts(300), recipe="translate", again=True, options=Options(fresh=True)
    )
    at_once = on.client.wait(at_once.id)
    assert (at_once.calls_made, at_once.rows_done) == (300, 300)
    assert job.cost_nano == pytest.approx(at_once.cost_nano / 2, rel=0.01)


def test_a_batch_is_started_once_though_nobody_heard_of_it(on: Stage, texts: Texts) -> None:
    """The answer to its start is lost and no list shows it for a while: it is found, not started
    anew. And a word that nobody knows is shown, and asked about again."""
    on.steer("batch", drop_creates=1, listing_lag_s=6, unknown_looks=1)
    job = begun(on, texts(40, 1000))
    seen = eventually(
        lambda: [
            op for op in on.client.operations(job.id) if op.remote_status.startswith("PAUSED")
        ],
        "the unknown word is shown",
        within_s=60,
    )
    assert "not known here" in seen[0].reason
    assert_done(on, on.client.wait(job.id), 40)
    assert_once_each(on, 40)
    assert on.stats()["batch_jobs_created"] == 1
    (ended,) = on.client.operations(job.id)
    assert (ended.state, ended.remote_status) == (RemoteState.SUCCEEDED, "SUCCESS")


def test_a_cancelled_batch_ends_over_there_and_keeps_what_was_paid(on: Stage, texts: Texts) -> None:
    """It is told to stop before its end; what it had executed is in the ledger, so that the same
    rows cost only the rest."""
    on.steer("batch", rate=20)  # it takes 20 s, unless it is cancelled
    job = begun(on, texts(400, 2000))
    eventually(lambda: on.stats()["batch_executed"] > 30, "the batch is under way", within_s=40)
    on.client.cancel(job.id)
    eventually(
        lambda: [one["status"] for one in asked(on, "batch/jobs")][:1] == ["CANCELLED"],
        "it is cancelled over there",
        within_s=30,
    )
    eventually(lambda: not out(on, job), "what it brought is stored", within_s=60)
    (ended,) = on.client.operations(job.id)
    executed = on.stats()["batch_executed"]
    assert (ended.state, ended.requests_done) == (RemoteState.CANCELLED, executed)
    assert executed < 400

    on.steer("batch", rate=0)
    rest = on.client.wait(begun(on, texts(400, 2000)).id)
    assert_done(on, rest, 400)
    assert (rest.calls_made, rest.calls_from_ledger) == (400 - executed, executed)
    assert_once_each(on, 400)


def test_a_budget_holds_before_anything_is_sent(on: Stage, texts: Texts, tmp_path: Path) -> None:
    """Too little for one call: it pauses and nothing is sent. Enough for some: these are sent, and
    no more than the budget is billed. Enough for all: the rest, and nothing again."""
    with on.client.plan(texts(60, 3000), bounded(tmp_path), via="batch") as plan:
        assert plan.estimate.cost_usd is not None
        usd = plan.estimate.cost_usd
        job = on.client.submit(plan, budget=f"{usd / 100:.9f}USD", partial=True)
    job = on.client.wait(job.id)
    assert (job.state, job.state_reason[:8]) == (JobState.PAUSED, "budget: ")
    with on.client.store.read() as connection:
        told = [event.type for event in events.of_subject(connection, job.id)]
    assert told.count("budget.reached") == 1
    assert on.client.operations(job.id) == []
    assert (on.stats()["files_uploaded"], on.stats()["batch_jobs_created"]) == (0, 0)

    on.client.resume(job.id, budget=f"{usd * SOME:.9f}USD")
    job = on.client.wait(job.id)
    assert job.state == JobState.PAUSED
    assert 15 < on.stats()["batch_executed"] < 60
    assert 0.5 * usd * SOME * NANO < billed_nano(on, job) <= usd * SOME * NANO

    on.client.resume(job.id, budget="1USD")
    assert_done(on, on.client.wait(job.id), 60)
    assert_once_each(on, 60)


def bounded(folder: Path) -> Path:
    """The recipe `translate` with a bound for its answers, so that their price is nearly known."""
    text = (RECIPES / "translate" / "recipe.toml").read_text()
    bound = "[steps.parameters]\nmax_tokens = 60\n"
    path = folder / "bounded.toml"
    path.write_text(text.replace("[steps.parameters]\n", bound))
    return path


def test_what_a_batch_had_no_time_for_is_asked_again_as_wished(on: Stage, texts: Texts) -> None:
    """Two batches run out of their hours half way: one job sends the rest in another batch, one at
    once; what came of the first is executed by neither again."""
    on.steer("batch", timeout_jobs=2)
    wishes = {1: Options(via="batch"), 2: Options(via="batch", on_timeout="realtime")}
    jobs = [begun(on, texts(200, 4000 * n), options=wish) for n, wish in wishes.items()]
    again, at_once = [on.client.wait(job.id) for job in jobs]
    assert_done(on, again, 200)
    assert_done(on, at_once, 200)
    stats = on.stats()
    assert stats["batch_jobs_created"] == 3
    assert (stats["batch_executed"], stats["batch_unique"], stats["executed"]) == (300, 300, 100)
    assert stats["batch_realtime"] == 0
    assert [op.state for op in on.client.operations(at_once.id)] == [RemoteState.FAILED]
    assert at_once.cost_nano > again.cost_nano * 1.3, "half of it at twice the price"


def test_jobs_that_ask_the_same_share_one_batch(on: Stage, texts: Texts) -> None:
    """Two jobs with the same rows at once: each call is paid by one and found by the other."""
    on.steer("batch", queued_s=4)
    jobs = [begun(on, texts(200, 10_000)) for _ in range(2)]
    jobs = [on.client.wait(job.id) for job in jobs]
    for job in jobs:
        assert_done(on, job, 200)
    assert sum(job.calls_made for job in jobs) == 200
    assert_once_each(on, 200)


def test_a_pause_stores_what_is_out_and_sends_nothing_new(on: Stage, texts: Texts) -> None:
    """A job of several rounds is paused in its first: its answers come home and the next round
    waits, while another job goes its way; then it goes on to its end."""
    on.steer("batch", queued_s=3)
    job = begun(on, SAMPLE, "amira", limit=20)
    eventually(lambda: on.stats()["batch_jobs_created"], "its first batch is there", within_s=40)
    on.client.pause(job.id)
    eventually(lambda: not out(on, job), "its answers are stored", within_s=60)
    on.steer("batch", queued_s=0)
    (first,) = on.client.operations(job.id)
    assert (first.state, first.requests_done) == (RemoteState.SUCCEEDED, 20)
    assert_done(on, on.client.wait(begun(on, texts(30, 11_000)).id), 30)  # the clock ran meanwhile
    assert on.stats()["batch_jobs_created"] == 2
    assert (on.client.get(job.id).state, on.client.get(job.id).rows_done) == (JobState.PAUSED, 0)
    on.client.resume(job.id)
    job = on.client.wait(job.id)
    assert job.rows_done + job.rows_failed == 20
    assert on.stats()["batch_jobs_created"] > 3
    assert on.stats()["batch_repeats"] == 0


def test_steps_and_repairs_are_successive_batches(on_stage: OnStage) -> None:
    """Three steps with fan-out and every tenth line failing: every row is settled, no call paid
    twice, and what came home is gone over there."""
    on = on_stage("--batch", "fail_500=0.1", workers=2)
    job = on.client.wait(begun(on, SAMPLE, "amira", limit=60, max_failed_share=1.0).id)
    assert job.rows_done + job.rows_failed == 60
    assert job.rows_done > 50, on.client.failures_by_code(job.id)
    assert_all_rows_accounted_for(on.client.store, job.id)
    assert_once_each(on, job.calls_made)
    assert on.stats()["batch_failed"] > 0
    assert on.stats()["batch_jobs_created"] >= 4
    eventually(lambda: not asked(on, "files"), "the files over there are removed")
    assert_nothing_is_left(on)


@pytest.mark.timeout(400)  # up to nine restarts of all workers
def test_kills_at_every_step_repeat_nothing(on_stage: OnStage, texts: Texts) -> None:
    """kill -9 of all workers while calls are collected, sent, asked about and stored, and at
    random: one batch, every call executed and paid once, every row settled."""
    rows = 2000
    on = on_stage("--batch", "queued_s=2", "--batch", "rate=600", workers=2, MAESTRALE_LEASE=4)
    job = begun(on, texts(rows))

    def told() -> list[OperationSeen]:
        return on.client.operations(job.id)

    moments: list[tuple[str, Callable[[], object]]] = [
        ("calls are collected", lambda: on.client.get(job.id).state == JobState.RUNNING),
        ("its file is sent", lambda: on.stats()["files_uploaded"]),
        ("it is asked about", lambda: told()[0].remote_id),
        ("answers are stored", lambda: told()[0].requests_done),
    ]
    for moment, is_now in moments:
        eventually(is_now, moment, within_s=90)
        kill_all(on)
    chance = random.Random(4)
    while (before := on.client.get(job.id).rows_done) < rows:
        more = min(before + chance.randrange(400, 1200), rows)
        eventually(lambda m=more: on.client.get(job.id).rows_done >= m, "it goes on", within_s=60)
        kill_all(on)
    assert_done(on, on.client.wait(job.id), rows)
    assert_once_each(on, rows)
    assert on.client.get(job.id).calls_made == rows
    assert on.stats()["batch_jobs_created"] == 1
    assert_nothing_is_left(on)


def kill_all(on: Stage) -> None:
    """kill -9 of every worker, and new ones in their place."""
    for name in ("worker1", "worker2"):
        on.kill(name)
    on.restart_workers()
