"""Local training: a child process that trains and tells of it, and its parent's view of it.

This package alone knows torch, and only in the child: importing it here costs nothing.
"""

from worker.training.events import (
    Checkpointed,
    Died,
    Done,
    Evaluated,
    Event,
    Failed,
    Last,
    Point,
    Result,
    Started,
    Stopped,
    Waiting,
)
from worker.training.running import Run

__all__ = [
    "Checkpointed",
    "Died",
    "Done",
    "Evaluated",
    "Event",
    "Failed",
    "Last",
    "Point",
    "Result",
    "Run",
    "Started",
    "Stopped",
    "Waiting",
]
