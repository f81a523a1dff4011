"""File -> checked rows + rejects, before anything is enqueued or paid."""

from producers.readers.detecting import Format
from producers.readers.options import JsonType, OnDuplicate, ReadOptions
from producers.readers.reading import ReadResult, read
from producers.readers.rejects import Reject, RejectCode
from producers.readers.staging import StagedRow

__all__ = [
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
