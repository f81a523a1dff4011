"""What the simulator counted of files, batches and fine-tuning jobs, apart from real time."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

_HOUR_S = 3600.0
_NOT_REPORTED = {"seen", "repeated"}


@dataclass(slots=True)
class HostedStats:
    """Counts since the start or the last reset; `looks` are questions after one job."""

    batch_jobs_created: int = 0
    batch_executed: int = 0
    batch_failed: int = 0
    batch_tokens_in: int = 0
    batch_tokens_out: int = 0
    batch_looks: int = 0
    batch_lists: int = 0
    files_uploaded: int = 0
    files_downloaded: int = 0
    files_deleted: int = 0
    bytes_uploaded: int = 0
    tuning_jobs_created: int = 0
    tuning_looks: int = 0
    tuning_lists: int = 0
    seen: set[int] = field(default_factory=set)
    repeated: set[int] = field(default_factory=set)

    def executed(self, digest: int, tokens_in: int, tokens_out: int) -> None:
        """A line ran and would be billed."""
        self.batch_executed += 1
        self.batch_tokens_in += tokens_in
        self.batch_tokens_out += tokens_out
        (self.repeated if digest in self.seen else self.seen).add(digest)

    def report(self, elapsed_s: float, realtime: Set[int]) -> dict[str, Any]:
        """The counts by name, with what follows from them; `realtime`: digests of other calls."""
        counts = {name: getattr(self, name) for name in self.__slots__ if name not in _NOT_REPORTED}
        return {
            **counts,
            "batch_unique": len(self.seen),
            "batch_repeats": len(self.repeated),
            "batch_realtime": len(self.seen & realtime),
            "batch_looks_per_hour": round(self.batch_looks * _HOUR_S / max(elapsed_s, 1.0), 1),
        }
