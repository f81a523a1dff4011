"""When a job's progress is worth an event, and why it failed, in words (pure)."""

from typing import Any

from models.states import WORKABLE, JobKind

ROUNDING = 1e-6
"""0.29 * 100 is a little less than 29; as many failed rows as allowed are not too many."""
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


def why_failed(job: Any) -> str:
    """How many rows failed, how many might, and by which word that is said, if by any. `job`: kind,
    parent_id, idempotency_key, rows_failed, rows_total, max_failed_share."""
    if job.kind == JobKind.TRAIN:
        return "the training failed"
    allowed = int(job.max_failed_share * job.rows_total + ROUNDING)
    told = f"{job.rows_failed:,} of {job.rows_total:,} rows failed"
    return f"{told}, and {_option(job)} {job.max_failed_share:g} allows {allowed:,}"


def _option(job: Any) -> str:
    """What says how many rows may fail: of a run's job, its stage's word, if that has one."""
    if job.parent_id is None:
        return "--max-failed-share"
    # a part of a stage, as the ranking of a training's models is (`Hand.key`)
    is_part = "." in (job.idempotency_key or "").rpartition("/")[2]
    has_word = job.kind in (JobKind.GENERATE, JobKind.EVALUATE) and not is_part
    return "the stage's max_failed" if has_word else "a share of"
