"""What a process knows of the jobs it works on: spec, retry budget, and whether to go on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models import shares
from models.payloads import JobSpec
from models.recipes import Compiled, Recipe
from models.states import JobKind
from models.store.batches import Known, Wanted
from models.store.shards import Claim
from models.suites import Asked, Evaluation
from worker.limiter import Flow
from worker.retrying import PauseReason, RetryBudget, RetryPolicy


@dataclass(slots=True)
class Collecting:
    """The calls of a shard that go by batch: those parked before, and those its rows want now."""

    known: dict[str, Known]
    wanted: dict[str, Wanted] = field(default_factory=dict)


Pausing = Callable[[str, PauseReason, str], None]
"""Called with (job id, reason, detail) when no row of a job can succeed."""


@dataclass(eq=False)
class JobInHand:
    """One job in this process: what its shards share."""

    id: str
    kind: JobKind
    spec: JobSpec
    priority: int
    """May change while the job runs."""
    pausing: Pausing
    policy: RetryPolicy = field(init=False)
    budget: RetryBudget = field(default_factory=RetryBudget)
    shards: list["ShardInHand"] = field(default_factory=list)
    """Its shards in this process, the oldest first; without any it is forgotten."""
    portion: float = 1.0
    """How much of the job runs in this process, as far as is known."""
    stop_reason: str = ""
    has_budget: bool = False
    """Every call asks the job's purse first. May change while the job runs."""
    _compiled: Compiled | None = None
    _asked: Asked | None = None

    def __post_init__(self) -> None:
        options = self.spec.options
        self.policy = RetryPolicy(attempts=options.attempts, on_uncertain=options.on_uncertain)

    @classmethod
    def of(cls, claim: Claim, pausing: Pausing) -> "JobInHand":
        """The job of a claimed shard. Raises what pydantic and the templates' compiler raise, where
        another version made it: every row would fail by that."""
        spec = JobSpec.model_validate_json(claim.spec)
        job = cls(claim.job_id, JobKind(claim.kind), spec, claim.priority, pausing)
        job.has_budget = claim.has_budget
        if spec.recipe:
            _ = job.compiled
        if spec.evaluation:
            _ = job.asked
        return job

    @property
    def compiled(self) -> Compiled:
        """The recipe with its templates compiled, once per job and process."""
        if self._compiled is None:
            self._compiled = Compiled(Recipe.model_validate(self.spec.recipe))
        return self._compiled

    @property
    def asked(self) -> Asked:
        """The suite with its prompts compiled, once per job and process."""
        if self._asked is None:
            self._asked = Asked(Evaluation.model_validate(self.spec.evaluation))
        return self._asked

    @property
    def is_stopped(self) -> bool:
        """Whether nothing new of this job may start here."""
        return bool(self.stop_reason)

    @property
    def flow(self) -> Flow:
        """Its place among the jobs that want the same limit."""
        return Flow(self.id, shares.weight(self.priority) * self.portion)

    def sample(self, attempt: int) -> str:
        """Which draw of a request this is: the first is shared by all jobs, unless `fresh`."""
        draw = str(attempt) if attempt else ""
        return f"{self.id}/{draw}" if self.spec.options.fresh else draw

    def take(self) -> "ShardInHand":
        """One more shard of the job in this process."""
        shard = ShardInHand(self)
        self.shards.append(shard)
        return shard

    def stop(self, reason: str) -> None:
        """Ends every wait of the job's rows at once; nothing new starts."""
        self.stop_reason = self.stop_reason or reason
        for shard in self.shards:
            shard.stop(reason)

    def pause(self, reason: PauseReason, detail: str) -> None:
        """Nothing can succeed: stops here at once, and everywhere by the job's state."""
        if not self.is_stopped:
            self.pausing(self.id, reason, detail)
        self.stop(f"paused: {detail}")


class ShardInHand:
    """One shard of a job in this process, which may be told to stop while others go on.

    `stop` ends the waits of its rows; calls in flight go on.
    """

    __slots__ = ("_waits", "collecting", "job", "stop_reason")

    def __init__(self, job: JobInHand) -> None:
        self.job = job
        self.collecting: Collecting | None = None
        """Set while its job's calls go by batch."""
        self.stop_reason = job.stop_reason
        self._waits: set[asyncio.Task[Any]] = set()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing new of this shard may start here."""
        return bool(self.stop_reason)

    def stop(self, reason: str) -> None:
        """Ends every wait of the shard's rows at once; nothing new starts."""
        self.stop_reason = self.stop_reason or reason
        for task in self._waits:
            task.cancel("stopped")

    def waiting(self) -> "Waiting":
        """A context whose waits `stop` ends early and quietly: look at `is_stopped` after it."""
        return Waiting(self, self._waits)


class Waiting:
    """While entered, the current task may be cut short by its shard's `stop`."""

    __slots__ = ("_shard", "_task", "_waits")

    def __init__(self, shard: ShardInHand, waits: set["asyncio.Task[Any]"]) -> None:
        self._shard = shard
        self._waits = waits

    def __enter__(self) -> None:
        assert not self._shard.is_stopped, "look at is_stopped before waiting"
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._waits.add(task)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._waits.discard(self._task)
        if kind is not asyncio.CancelledError or not self._shard.is_stopped:
            return False  # no cancellation, or not ours: the loop is closing
        self._task.uncancel()
        return True
