"""When a job's progress is worth an event (pure)."""

from typing import Any

from models.states import WORKABLE

TENTHS = 10
PROGRESS_S = 60.0
"""`job.progressed` tells of a new tenth, at most this often."""


def tenths_to_tell(stands: Any) -> int:
    """How many tenths are settled, if that is news; the end has an event of its own.

    `stands`: state, rows_total, settled, progress_told, silent_s (since the last one told).
    """
    if stands.state not in WORKABLE or not 0 < stands.settled < stands.rows_total:
        return 0
    tenths = int(stands.settled * TENTHS // stands.rows_total)
    is_due = stands.silent_s is not None and stands.silent_s >= PROGRESS_S
    return tenths if is_due and tenths > stands.progress_told else 0
