"""What a user changes while a job runs, and what the process does about it at its next look."""

from types import SimpleNamespace
from typing import Any

from models.payloads import JobSpec
from models.states import JobKind, JobState
from models.store.jobs import Control
from worker.clock import Clock
from worker.jobs import JobInHand


class Shards:
    """Jobs in hand, and what the database says of them."""

    def __init__(self, told: dict[str, Control], *ids: str) -> None:
        pausing = lambda *_: None  # noqa: E731 # three words
        self.jobs = {name: JobInHand(name, JobKind.GENERATE, JobSpec(), 5, pausing) for name in ids}
        self._told = told

    async def read(self, _function: Any, ids: list[str]) -> dict[str, Control]:
        return {name: self._told[name] for name in ids if name in self._told}

    def stop_job(self, job_id: str, reason: str) -> None:
        self.jobs[job_id].stop(reason)


async def test_priorities_and_budgets_are_followed_and_stops_obeyed() -> None:
    """One look: the next calls go by the new weight and ask the purse; what may not run stops."""
    told = {
        "job_a": Control(JobState.RUNNING, 0, has_budget=True),
        "job_b": Control(JobState.PAUSED, 5, has_budget=False),
    }
    here = Shards(told, "job_a", "job_b", "job_gone")
    before = here.jobs["job_a"].flow.weight
    clock: Any = SimpleNamespace(_shards=here, _database=here)  # all it looks at
    await Clock._control(clock)
    job = here.jobs["job_a"]
    assert (job.priority, job.has_budget, job.is_stopped) == (0, True, False)
    assert job.flow.weight > before
    assert here.jobs["job_b"].stop_reason == "the job is paused"
    assert here.jobs["job_gone"].stop_reason == "the job is gone"
