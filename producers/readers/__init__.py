"""File -> checked rows + rejects, before anything is enqueued or paid."""

from producers.readers.detecting import Format
from producers.readers.options import KEEP_ONE, JsonType, OnDuplicate, ReadOptions
from producers.readers.reading import ReadResult, read
from producers.readers.rejects import Reject, RejectCode
from producers.readers.staging import StagedRow

__all__ = [
    "KEEP_ONE",
    "Format",
    "JsonType",
    "OnDuplicate",
    "ReadOptions",
    "ReadResult",
    "Reject",
    "RejectCode",
    "StagedRow",
    "read",
]
