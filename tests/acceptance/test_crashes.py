"""What must hold when processes die: FAULTS 1, 3, 4, 6, 8, 17, with real processes."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from builders import a_submission, eventually
from redis import Redis

from models.doorbell import make_celery, queued, ring
from models.payloads import ShardMessage
from models.states import FailureCode, JobState, RowState
from models.store import rows
from producers.submitting import submit
from proving.stage import Stage

SLOW = ("--latency-median", "0.3")
OnStage = Callable[..., Stage]
Texts = Callable[..., Path]


def audit(on: Stage, job_id: str) -> dict[RowState, int]:
    """I1 and the counters: what the job says is what its rows say."""
    job = on.client.get(job_id)
    with on.client.store.read() as connection:
        counted = rows.counts(connection, job_id)
    assert counted.get(RowState.DONE, 0) == job.rows_done
    assert counted.get(RowState.FAILED, 0) == job.rows_failed
    assert sum(counted.values()) == job.rows_total
    return counted


def test_killed_workers_lose_nothing_and_pay_twice_only_what_was_in_flight(
    on_stage: OnStage, texts: Texts
) -> None:
    """kill -9 of each worker in turn: every row once, doubles bounded by the doubts on record."""
    on = on_stage(*SLOW, "--limit", "*=3000", workers=2)
    job = on.client.generate(texts(600), recipe="translate")
    for name in ("worker1", "worker2"):
        before = on.client.get(job.id).rows_done
        eventually(lambda b=before: on.client.get(job.id).rows_done > b + 50, "work goes on")
        on.kill(name)
        on.restart_workers()
    job = on.client.wait(job.id)
    stats = on.stats()
    assert audit(on, job.id) == {RowState.DONE: 600}
    assert 0 < stats["duplicates"] <= job.calls_doubtful


def test_the_last_worker_killed_is_rescued_by_the_next(on_stage: OnStage, texts: Texts) -> None:
    """All workers dead, one started again: its clock finds the dead leases, without beat."""
    on = on_stage(*SLOW, "--limit", "*=3000", workers=1)
    job = on.client.generate(texts(300), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 30, "work has begun")
    on.kill("worker1")
    stuck = on.client.get(job.id).rows_done
    on.restart_workers()
    eventually(lambda: on.client.get(job.id).rows_done > stuck + 20, "rescued", within_s=90)
    assert on.client.wait(job.id).state == JobState.SUCCEEDED


def test_sigterm_drains_and_pays_nothing_twice(on_stage: OnStage, texts: Texts) -> None:
    """SIGTERM with many calls in flight: they finish, the rest is handed back at once."""
    on = on_stage("--latency-median", "1.0", workers=2)
    job = on.client.generate(texts(2000), recipe="translate")
    eventually(lambda: on.stats()["in_flight"] > 50, "many calls are in flight")
    (victim,) = [s for s in on.services.running() if s.name == "worker1"]
    os.kill(victim.pid, signal.SIGTERM)
    eventually(
        lambda: not victim.is_alive or not psutil.pid_exists(victim.pid), "drained", within_s=90
    )
    job = on.client.wait(job.id)
    assert audit(on, job.id) == {RowState.DONE: 2000}
    assert on.stats()["duplicates"] == 0
    assert job.calls_doubtful == 0


def test_redis_killed_without_its_data_stops_nothing(on_stage: OnStage, texts: Texts) -> None:
    """The broker dies and forgets everything, limiter and messages: the job goes on by itself."""
    on = on_stage(*SLOW, "--limit", "*=3000", workers=2)
    job = on.client.generate(texts(600), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 60, "work has begun")
    on.kill_redis_and_wipe()
    job = on.client.wait(job.id)
    assert audit(on, job.id) == {RowState.DONE: 600}
    assert on.stats()["duplicates"] <= job.calls_doubtful


def test_a_redis_that_refuses_writes_ends_no_worker(on_stage: OnStage, texts: Texts) -> None:
    """As one whose disk is full does: acknowledgements fail, and workers come back with it."""
    on = on_stage(*SLOW, "--limit", "*=6000", workers=2)
    job = on.client.generate(texts(600), recipe="translate")
    eventually(lambda: on.client.get(job.id).rows_done > 60, "work has begun")
    before = on.pids("worker")
    with Redis.from_url(on.client.settings.redis_url) as server:
        server.config_set("min-replicas-to-write", 1)
        time.sleep(4)
        server.config_set("min-replicas-to-write", 0)
    job = on.client.wait(job.id)
    assert audit(on, job.id) == {RowState.DONE: 600}
    assert on.pids("worker") == before
    assert on.stats()["duplicates"] == 0


def test_every_message_twice_is_one_run(on_stage: OnStage, texts: Texts) -> None:
    """Doubled and repeated messages are no-ops: nothing runs or is paid twice."""
    on = on_stage(*SLOW, workers=2)
    job = on.client.generate(texts(100), recipe="translate")
    app = make_celery(on.client.settings)
    again = [
        ShardMessage(job_id=job.id, no=no, kind="generate", priority=5, label="again")
        for no in range(job.shards_total)
    ]
    assert ring(app, again)
    assert ring(app, again)
    job = on.client.wait(job.id)
    assert ring(app, again)
    eventually(lambda: queued(app) == 0, "all are taken")
    time.sleep(1)
    assert audit(on, job.id) == {RowState.DONE: 100}
    assert on.stats()["executed"] == 100


def test_lost_messages_are_sent_again(on_stage: OnStage, texts: Texts) -> None:
    """Messages that vanish from Redis are missed by the sweeper within two leases."""
    on = on_stage(workers=1, MAESTRALE_LEASE=2)
    (worker,) = on.pids("worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        job = on.client.generate(texts(40), recipe="translate")
        make_celery(on.client.settings).connection_for_write().default_channel.client.flushall()
    finally:
        os.kill(worker, signal.SIGCONT)
    job = on.client.wait(job.id)
    assert audit(on, job.id) == {RowState.DONE: 40}


def test_a_producer_that_dies_before_it_rings_has_submitted(
    on_stage: OnStage, texts: Texts
) -> None:
    """Committed, and nobody was rung for: the workers' own clocks find the job."""
    on = on_stage(workers=1)
    with on.client.plan(texts(30), "translate") as plan:
        wish = a_submission(recipe=plan.recipe, estimate=plan.estimate)
        job, _ = submit(on.client.store, wish, plan.found)
    job = on.client.wait(job.id)
    assert audit(on, job.id) == {RowState.DONE: 30}


def test_a_row_that_kills_its_worker_is_parked_and_the_others_go_on(
    on_stage: OnStage, tmp_path: Path
) -> None:
    """A poison row costs three workers, then it is a named failure; its neighbours are done."""
    on = on_stage(workers=0, MAESTRALE_LEASE=2)
    source = tmp_path / "poisoned.jsonl"
    lines = [f'{{"id": "r{n}", "text": "Text number {n}."}}' for n in range(40)]
    lines[17] = '{"id": "r17", "text": "POISON"}'
    source.write_text("\n".join(lines))
    job = on.client.generate(source, recipe="translate")
    script = Path(__file__).with_name("poisoned_worker.py")
    for _ in range(8):
        if on.client.get(job.id).state == JobState.SUCCEEDED:
            break
        on.services.spawn("worker1", [sys.executable, str(script)])
        eventually(
            lambda: not on.pids("worker1") or on.client.get(job.id).state == JobState.SUCCEEDED,
            "the worker dies of it, or the job ends",
            within_s=60,
        )
    (failure,) = on.client.failures(job.id)
    assert (failure["row_id"], failure["code"]) == ("r17", FailureCode.POISON)
    assert audit(on, job.id) == {RowState.DONE: 39, RowState.FAILED: 1}
