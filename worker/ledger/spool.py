"""An append-only file per process that makes a paid answer survive `kill -9` before its commit.

A line is written (no fsync: it guards against dead processes, not dead machines) when a call is
about to be sent, when its answer came, and when it ended unpaid. What a dead process left behind
is adopted by any process of the same home (see `adoption`): answers go to the ledger, calls that
were in flight become doubts. Segments are dropped, oldest first, once all of theirs is committed.
"""

import fcntl
import os
import secrets
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import orjson

from models.payloads import CallRecord, DoubtRecord

SEGMENT_BYTES = 8 * 1024 * 1024
SUFFIX = ".spool"


@dataclass(slots=True)
class Segment:
    """One spool file: `pending` lines are not yet safe in the database."""

    path: Path
    descriptor: int
    size: int = 0
    pending: int = 0


class Spool:
    """The open spool of this process. Not thread-safe: belongs to the event loop."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments: deque[Segment] = deque([self._start_segment()])

    @property
    def bytes(self) -> int:
        """Bytes on disk, for the metrics."""
        return sum(segment.size for segment in self._segments)

    def intend(self, doubt: DoubtRecord) -> Segment:
        """Notes that a call is about to be sent; if we die now, it becomes this doubt."""
        values = [doubt.nonce, doubt.key, doubt.job_id, doubt.model, doubt.cost_nano]
        return self._append(["intent", *values], holds=True)

    def paid(self, nonce: str, record: CallRecord) -> Segment:
        """Notes an answer that came; raises OSError when the disk is full."""
        return self._append(["paid", nonce, record], holds=True)

    def ended(self, nonce: str) -> None:
        """Notes that an intended call was not paid, or that its doubt is being stored."""
        self._append(["ended", nonce], holds=False)

    def release(self, segment: Segment) -> None:
        """One line of `segment` is safe in the database (or void)."""
        segment.pending -= 1
        while len(self._segments) > 1 and not self._segments[0].pending:
            self._drop(self._segments.popleft())

    def close(self) -> None:
        """Closes the files and removes them if nothing in them is pending."""
        keep = any(segment.pending for segment in self._segments)
        for segment in self._segments:
            os.close(segment.descriptor)
            if not keep:
                segment.path.unlink(missing_ok=True)
        self._segments.clear()

    def _append(self, line: list[object], *, holds: bool) -> Segment:
        segment = self._segments[-1]
        if segment.size > self._segment_bytes:
            segment = self._start_segment()
            self._segments.append(segment)
        data = orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
        written = os.write(segment.descriptor, data)
        if written < len(data):  # disk full in mid-line: the next line must not follow half a one
            os.ftruncate(segment.descriptor, segment.size)
            raise OSError("the spool's disk is full")
        segment.size += written
        segment.pending += holds
        return segment

    def _start_segment(self) -> Segment:
        self._count += 1
        path = self._folder / f"{self._owner}-{self._count:06d}{SUFFIX}"
        unlocked = path.with_suffix(".new")  # adopters look for `.spool` only
        descriptor = os.open(unlocked, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # dies with us: how adopters know
        unlocked.rename(path)
        return Segment(path, descriptor)

    @staticmethod
    def _drop(segment: Segment) -> None:
        segment.path.unlink(missing_ok=True)
        os.close(segment.descriptor)
