"""I5 with real processes: what the simulator counted is never above the budget."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import eventually

from models.errors import BadInputError
from models.nano import NANO
from models.payloads import Usage
from models.prices import load_prices
from models.states import JobState
from models.store import events, money
from models.tables import Job
from proving.stage import Stage

OnStage = Callable[..., Stage]
Texts = Callable[..., Path]
MODEL = "mistral-small-latest"
ROWS = 500


def billed_nano(on: Stage) -> int:
    """What the API would bill for all it executed."""
    figures = on.stats()["models"][MODEL]
    used = (figures[name] for name in ("tokens_in", "tokens_out", "tokens_cached"))
    cost = load_prices().cost_nano(MODEL, Usage(*used))
    assert cost is not None
    return cost


def told(on: Stage, job_id: str) -> Counter[str]:
    """How often each event of the job was written."""
    with on.client.store.read() as connection:
        return Counter(event.type for event in events.of_subject(connection, job_id))


def started(on: Stage, source: Path, share: float) -> Job:
    """A job that may spend this share of its (cautious) estimate."""
    with on.client.plan(source, "translate") as plan:
        assert plan.estimate.cost_usd is not None
        budget = round(plan.estimate.cost_usd * share, 9)
        with pytest.raises(BadInputError, match="--limit"):
            on.client.submit(plan, budget=f"{budget:.9f}USD")
        return on.client.submit(plan, budget=f"{budget:.9f}USD", partial=True)


def assert_reached(on: Stage, job: Job, slack_nano: int = 0) -> None:
    """Paused by its budget, told once, most of it used, and nothing beyond."""
    assert job.state == JobState.PAUSED, (job.state_reason, job.cost_nano)
    assert job.state_reason.startswith("budget: ")
    assert told(on, job.id)["budget.reached"] == 1
    eventually(lambda: not on.stats()["in_flight"], "nothing is in flight")
    assert job.budget_nano is not None
    assert billed_nano(on) <= job.budget_nano + slack_nano
    with on.client.store.read() as connection:
        assert money.spent_nano(connection, job.id) > 0.9 * job.budget_nano


def test_two_workers_spend_a_budget_to_its_end_and_no_more(on_stage: OnStage, texts: Texts) -> None:
    """They share it without a word to each other; with more money the job goes on to its end."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=9000", workers=2)
    job = on.client.wait(started(on, texts(ROWS), 0.06).id)
    assert_reached(on, job)
    with pytest.raises(BadInputError, match="has spent"):
        on.client.resume(job.id, budget=job.cost_nano / NANO / 2)
    on.client.resume(job.id, budget="1USD")
    job = on.client.wait(job.id)
    assert (job.state, job.rows_done) == (JobState.SUCCEEDED, ROWS)
    assert on.stats()["duplicates"] == 0
    (spent,) = on.client.costs(job.id, by="model")
    assert (spent.key, spent.cost_nano) == (MODEL, job.cost_nano)
    assert spent.cost_nano == pytest.approx(billed_nano(on), rel=0.001)
    eventually(lambda: not _held(on), "what was held is given back", within_s=20)


def test_killed_workers_do_not_pass_the_budget(on_stage: OnStage, texts: Texts) -> None:
    """kill -9 of each in turn: their calls in flight count as doubts; beyond it at most these."""
    on = on_stage("--latency-median", "0.2", "--limit", "*=6000", workers=2, MAESTRALE_LEASE=6)
    job = started(on, texts(ROWS), 0.08)
    in_flight = 0
    for name in ("worker1", "worker2"):
        before = on.client.get(job.id).rows_done
        eventually(lambda b=before: on.client.get(job.id).rows_done > b + 40, "work goes on")
        in_flight += on.stats()["in_flight"]
        on.kill(name)
        on.restart_workers()
    job = on.client.wait(job.id)
    assert job.calls_doubtful <= in_flight + len(os.sched_getaffinity(0)) * 100
    dearest = billed_nano(on) / on.stats()["executed"] * 3
    assert_reached(on, job, slack_nano=round(job.calls_doubtful * dearest))
    on.client.resume(job.id, budget="1USD")
    assert on.client.wait(job.id).rows_done == ROWS


def test_a_running_job_takes_another_priority(on_stage: OnStage, texts: Texts) -> None:
    """Its record has it and the work goes on to its end; then its turn is over."""
    on = on_stage("--latency-median", "0.1", workers=1)
    job = on.client.generate(texts(200), recipe="translate")
    assert on.client.prioritise(job.id, 0).priority == 0
    assert on.client.wait(job.id).state == JobState.SUCCEEDED
    with pytest.raises(BadInputError, match="turn is over"):
        on.client.prioritise(job.id, 3)


def _held(on: Stage) -> int:
    with on.client.store.read() as connection:
        return len(connection.execute(money.holds.select()).all())
