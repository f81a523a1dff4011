"""The provider's words for how a batch or a training stands, in ours. Pure."""

from collections.abc import Mapping
from enum import StrEnum


class Standing(StrEnum):
    """How remote work stands, whichever kind it is."""

    QUEUED = "queued"
    """Accepted, or being validated: nothing was computed yet."""
    RUNNING = "running"
    """In the works."""
    READY = "ready"
    """A training passed validation and waits to be started."""
    SUCCEEDED = "succeeded"
    """Over. A batch may hold failed requests all the same."""
    FAILED = "failed"
    """Over: it came to nothing, or was not valid. A batch may hold answers all the same."""
    TIMED_OUT = "timed_out"
    """Over: a batch ran out of its hours. What was answered until then is kept."""
    CANCELLING = "cancelling"
    """It was told to end and has not yet."""
    CANCELLED = "cancelled"
    """Over. What was answered until then is kept."""
    UNKNOWN = "unknown"
    """A word that we do not know, or none: neither success nor failure. Show it and ask again."""


OVER = frozenset({Standing.SUCCEEDED, Standing.FAILED, Standing.TIMED_OUT, Standing.CANCELLED})
"""Nothing more happens over there."""
BATCH_WORDS: Mapping[str, Standing] = {
    "QUEUED": Standing.QUEUED,
    "RUNNING": Standing.RUNNING,
    "SUCCESS": Standing.SUCCEEDED,
    "FAILED": Standing.FAILED,
    "TIMEOUT_EXCEEDED": Standing.TIMED_OUT,
    "CANCELLATION_REQUESTED": Standing.CANCELLING,
    "CANCELLED": Standing.CANCELLED,
}
"""`BatchJobStatus` of the API, all of it."""
TRAINING_WORDS: Mapping[str, Standing] = {
    "QUEUED": Standing.QUEUED,
    "VALIDATING": Standing.QUEUED,
    "VALIDATED": Standing.READY,
    "STARTED": Standing.RUNNING,
    "RUNNING": Standing.RUNNING,
    "FAILED_VALIDATION": Standing.FAILED,
    "FAILED": Standing.FAILED,
    "SUCCESS": Standing.SUCCEEDED,
    "CANCELLATION_REQUESTED": Standing.CANCELLING,
    "CANCELLED": Standing.CANCELLED,
}
"""The status of a fine-tuning job, all of it (July 2026)."""
_WORDS = {**BATCH_WORDS, **TRAINING_WORDS}  # where both know a word, they mean the same


def standing_of(status: str) -> Standing:
    """The standing that a status tells, in whatever case it comes."""
    return _WORDS.get(status.strip().upper(), Standing.UNKNOWN)
