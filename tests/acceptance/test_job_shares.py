"""Shares between jobs, with real workers: a huge job in front starves nobody, and loses nothing."""

from collections.abc import Callable
from pathlib import Path

from builders import eventually

from models.states import JobState, RowState
from models.store import rows
from proving.stage import Stage

MODEL = "mistral-small-latest"
OnStage = Callable[..., Stage]
Texts = Callable[..., Path]


def calls(on: Stage, *jobs: str) -> list[int]:
    """Answers paid for so far, by job."""
    return [on.client.get(job).calls_made for job in jobs]


def test_a_small_urgent_job_overtakes_a_huge_one(on_stage: OnStage, texts: Texts) -> None:
    """All slots are the huge job's; the small one gets most of the limit until it is done."""
    limit = ("--latency-median", "0.3", "--limit", "*=1800", "--window", "1")
    on = on_stage(*limit, workers=2, limits=f"{MODEL}=30/s")
    huge = on.client.generate(texts(12_000), recipe="translate", priority=9).id
    eventually(lambda: calls(on, huge)[0] > 60, "the huge job runs", within_s=60)
    small = on.client.generate(texts(200, start=20_000), recipe="translate", priority=0).id
    eventually(lambda: calls(on, small)[0] > 10, "the small job has begun", within_s=60)
    before = calls(on, huge, small)
    done = on.client.wait(small)
    after = calls(on, huge, small)
    theirs, ours = after[0] - before[0], after[1] - before[1]
    assert (done.state, done.rows_done) == (JobState.SUCCEEDED, 200)
    assert ours > 3 * theirs, "by weight it is 10 to 1"
    eventually(lambda: calls(on, huge)[0] > after[0] + 60, "the huge job goes on", within_s=60)
    on.client.cancel(huge)
    eventually(lambda: on.stats()["in_flight"] == 0, "its last calls are answered")
    with on.client.store.read() as connection:
        kept = rows.counts(connection, huge)
    assert kept.get(RowState.FAILED, 0) == 0
    stats = on.stats()
    assert (stats["duplicates"], done.calls_made) == (0, 200), "nothing was paid twice"
