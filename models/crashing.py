"""Named points at which a process can be told to die: **for tests only**, never set it elsewhere.

Wherever money or data is between two stores, the code says `crash_point("its.name")`. It does
nothing, unless the environment holds `MAESTRALE_CRASH_AT=its.name` (or `its.name:3`: the third
time this process comes there): then the process is gone, as by `kill -9`, with exit code 137. It
is no setting: no file is read for it, no `.env` and no secret, and a process that is told to die
says so on standard error when it starts. A name that is not in the table ends the process at its
start, so that no test passes because of a slip.

The fault campaign (`python -m faults 11`) dies at each of them, and checks what is promised.
"""

import os
import sys
from collections.abc import Mapping
from itertools import count
from typing import Final

VARIABLE: Final = "MAESTRALE_CRASH_AT"
EXIT_CODE: Final = 137
"""As a shell tells of `kill -9`; who was really killed shows -9 to its parent."""

POINTS: Final[Mapping[str, tuple[str, str]]] = {
    "job.written": ("a job with its rows in an open transaction", "its commit"),
    "job.committed": ("a job's commit", "its first messages"),
    "shard.claimed": ("a shard's lease", "its work"),
    "call.intended": ("the note that a call is about to be sent", "the POST"),
    "call.answered": ("a paid answer in memory", "the spool"),
    "call.spooled": ("a paid answer in the spool", "its group's commit"),
    "group.written": ("a group of answers and rows in an open transaction", "its commit"),
    "group.committed": ("a group's commit", "those who wait for it"),
    "shard.worked": ("the commit of a shard's rows", "that of the shard"),
    "shard.settled": ("the commit of a shard", "the messages of the next ones"),
    "spool.adopting": ("half of a dead process's spool in an open transaction", "its commit"),
    "spool.adopted": ("the commit of a dead process's spool", "the removal of its file"),
    "event.committed": ("an event's commit", "its relay into deliveries"),
    "event.relayed": ("the relay of events", "the claim of their deliveries"),
    "webhook.posted": ("an endpoint's answer", "the record of it"),
    "webhook.claimed": ("the claim of deliveries", "their POST"),
    "remote.uploaded": ("a file that is over there", "the note of its id"),
    "remote.noted": ("the note that remote work is about to be started", "the POST"),
    "remote.posted": ("remote work that is over there", "the note of its id"),
    "batch.downloaded": ("a batch's answers in a file here", "the ledger"),
    "batch.settled": ("the commit of a batch's answers", "the end of the batch"),
    "model.registered": ("a tuned model in the registry", "the end of its training"),
    "stage.claimed": ("a claim on a stage", "its work"),
    "stage.done": ("a stage's work, or the commit of its job", "the note of it"),
    "dataset.swapping": ("an old dataset put aside", "the new one in its place"),
    "report.kept": ("a report in the database", "its page in a file"),
    "report.writing": ("the first file of a report", "the others"),
    "run.collected": ("a run's report", "the end of the run"),
    "export.drafted": ("a whole export beside its place", "its own name"),
    "copy.swapping": ("a model's old copy put aside", "the new one in its place"),
    "review.written": ("a sheet's judgements in an open transaction", "their commit"),
}
"""Name -> after what, before what."""


def _told(value: str) -> tuple[str, int]:
    """The point to die at, and the how manieth time. Exits on what makes no sense."""
    name, _, times = value.partition(":")
    is_count = not times or (times.isdecimal() and int(times) > 0)
    if name and not (name in POINTS and is_count):
        raise SystemExit(f"{VARIABLE} is for tests only, and {value!r} is no point: unset it")
    if name:
        sys.stderr.write(f"{VARIABLE}: this process dies at {value}\n")
    return name, int(times or 1)


_AT, _TIMES = _told(os.environ.get(VARIABLE, ""))
_times = count(1)


def crash_point(name: str) -> None:
    """Nothing, or the end of the process: no `finally`, no hook, no flush."""
    if name == _AT and next(_times) == _TIMES:
        os.write(2, f"{VARIABLE}: dead at {name}\n".encode())
        os._exit(EXIT_CODE)
