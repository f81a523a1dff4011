"""What became of a shard's rows."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What became of a shard's rows, for Flower and the log."""

    done: int = 0
    failed: int = 0
    left: int = 0
    submitted: int = 0
    calls: int = 0
    from_ledger: int = 0
    reasons: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        """Short, reasons before figures that people look up elsewhere: Flower cuts at ~45."""
        why = f" ({', '.join(sorted(self.reasons))})" if self.reasons else ""
        counts = [(self.done, " done"), (self.failed, " failed"), (self.left, " left open")]
        counts.append((self.submitted, " wait for remote work"))
        rows_told = ", ".join(f"{count}{word}" for count, word in counts if count) or "no open rows"
        calls = [(self.calls, " calls"), (self.from_ledger, " from the ledger")]
        return "; ".join([rows_told + why, *(f"{count}{word}" for count, word in calls if count)])
