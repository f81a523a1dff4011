"""One row under way, whatever its kind: what it asks through, and what its calls were."""

from dataclasses import dataclass, field

from models.payloads import Failed, RowInHand, Snoozed, Submitted
from models.recipes import Compiled
from worker.asking import Asker
from worker.jobs import ShardInHand
from worker.paying import Answered

Stopped = Failed | Snoozed | Submitted
"""What ends a row before it has its records: for good, for now, or until its batch is back."""


@dataclass(slots=True)
class RowRun:
    """One row under way: what it asks through, and what its calls were."""

    shard: ShardInHand
    row: RowInHand
    asker: Asker
    calls: list[tuple[str, Answered]] = field(default_factory=list)

    @property
    def compiled(self) -> Compiled:
        """The job's recipe."""
        return self.shard.job.compiled
