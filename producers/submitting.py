"""From a checked file to a committed job: rows, shards and event in one transaction."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import orjson
from sqlalchemy import Connection

from models.crashing import crash_point
from models.errors import BadInputError, DuplicateJobError
from models.payloads import Estimate, JobSpec, Options
from models.states import JobKind
from models.store import jobs, joining, rows, shards
from models.store.engine import Store, one_at_a_time
from models.tables import Job
from producers.ids import new_id
from producers.readers import OnDuplicate, ReadResult
from producers.spending import Amount
from producers.webhooks import Hook, bind

SMALLEST_SHARD = 8
LARGEST_SHARD = 250
SHARDS_WANTED = 64
"""Enough for every slot of some workers to stay busy to the end, few enough to stay cheap."""

WAY = {"via", "on_timeout", "batch_hours"}
"""The options that say how answers come, and nothing of what they are."""


class Terms(TypedDict, total=False):
    """What `Maestrale.submit` takes besides a plan, for the doors that hand it on."""

    priority: int
    idempotency_key: str | None
    again: bool
    max_failed_share: float
    options: Options | None
    webhooks: Sequence[Hook]
    budget: Amount
    partial: bool
    parent_id: str | None


@dataclass(frozen=True)
class Submission:
    """One wish for a job, with everything decided."""

    kind: JobKind
    name: str
    """The recipe's or suite's, for people."""
    spec: JobSpec
    content_hash: str
    """Of what is asked: the recipe's, or the evaluation's."""
    estimate: Estimate
    priority: int = 5
    idempotency_key: str | None = None
    max_failed_share: float = 0.05
    on_duplicate: OnDuplicate = "stop"
    """Which rows were kept where ids occur twice: another choice is another submission."""
    again: bool = False
    """Submit even though the same was submitted before."""
    webhooks: tuple[Hook, ...] = ()
    """URLs that hear of the job, from its very first event on."""
    budget_nano: int | None = None
    """What it may spend; None: as much as it takes."""
    parent_id: str | None = None
    """The pipeline that it is a stage of."""
    large_shards: bool = False
    """Whether what a shard begins with costs more than sharing the rows gains."""

    def fingerprint(self, input_fingerprint: str, accepted: int) -> str:
        """The same file, recipe and options give the same 64 hex characters.

        By which way its calls go is left out: the answers are the same, and who asks for them by
        batch while they are asked for in real time has a slip of the finger to hear of.
        """
        asked = [
            input_fingerprint,
            accepted,
            self.content_hash,
            self.spec.options.model_dump(exclude=WAY),
            self.max_failed_share,
            self.on_duplicate,
        ]
        return hashlib.sha256(orjson.dumps(asked)).hexdigest()

    def shard_size(self, count: int) -> int:
        """Rows per shard."""
        return LARGEST_SHARD if self.large_shards else shard_size(count)


def shard_size(count: int) -> int:
    """Rows per shard: 8 for a small job, 250 for a huge one."""
    return max(SMALLEST_SHARD, min(LARGEST_SHARD, -(-count // SHARDS_WANTED)))


def bounds_of(count: int, size: int) -> list[tuple[int, int]]:
    """First and last row of each shard."""
    return [(first, min(first + size, count) - 1) for first in range(0, count, size)]


def submit(store: Store, submission: Submission, found: ReadResult) -> tuple[Job, bool]:
    """Commits the job; answers it, and whether it is new (False: the idempotency key's own job).

    Raises `DuplicateJobError` when the same was submitted before, or the key with another wish.
    """
    if not found.accepted:
        raise BadInputError(f"{found.name} has no usable rows: nothing to do")
    job = _job(submission, found)
    with store.write() as connection:
        one_at_a_time(connection, submission.idempotency_key or job.fingerprint)
        if known := _known(connection, submission, job):
            return known, False
        create(connection, job, submission.webhooks)
        size = submission.shard_size(found.accepted)
        count = rows.insert_all(connection, _rows(job.id, size, found))
        if count != found.accepted:
            raise BadInputError(f"{found.name} changed while it was read: submit it again")
        shards.create(connection, job.id, bounds_of(count, size))
        # last: what happens to the run waits for it
        joining.stay_below(connection, job.id, job.parent_id)
        created = jobs.get(connection, job.id)
        crash_point("job.written")
    crash_point("job.committed")
    assert created is not None
    return created, True


def create(connection: Connection, job: Job, hooks: Sequence[Hook]) -> None:
    """The job with those that hear of it, from its very first event on."""
    jobs.create(connection, job)
    for hook in hooks:
        bind(connection, hook, job.id)


def _known(connection: Connection, submission: Submission, job: Job) -> Job | None:
    if submission.idempotency_key:
        known = jobs.by_idempotency_key(connection, submission.idempotency_key)
        if known is None:
            return None
        if known.fingerprint != job.fingerprint:
            raise DuplicateJobError(
                f"the idempotency key {submission.idempotency_key!r} belongs to {known.id}, "
                "which was submitted with another file, recipe or options: use another key"
            )
        return known
    known = jobs.by_fingerprint(connection, job.fingerprint)
    if known is not None and not submission.again:
        raise DuplicateJobError(
            f"this file was submitted with {_with_what(submission)} before: {known.id} exists "
            f"({known.state}). See it with `maestrale show {known.id}`, {_made_of(known)}or submit "
            "with --again (answers already paid for come from the ledger)",
            known.id,
        )
    return None


def _with_what(submission: Submission) -> str:
    """What the file was submitted with, in words for people."""
    words = {JobKind.EVALUATE: "this suite and these models", JobKind.EMBED: "this text and model"}
    return words.get(submission.kind, "this recipe")


def _made_of(known: Job) -> str:
    """How to have what came of a job once more."""
    if known.kind == JobKind.GENERATE:
        return f"write its records with `maestrale export {known.id}`, "
    return ""


def _job(submission: Submission, found: ReadResult) -> Job:
    return Job(
        id=new_id("job"),
        kind=submission.kind,
        name=submission.name,
        priority=submission.priority,
        spec=submission.spec.model_dump_json(),
        estimate=submission.estimate.model_dump_json(),
        fingerprint=submission.fingerprint(found.fingerprint, found.accepted),
        idempotency_key=submission.idempotency_key or None,
        parent_id=submission.parent_id,
        input_name=found.name,
        max_failed_share=submission.max_failed_share,
        budget_nano=submission.budget_nano,
        rows_total=found.accepted,
        rows_rejected=found.rejected,
        shards_total=-(-found.accepted // submission.shard_size(found.accepted)),
        created_at=0.0,
    )


def _rows(job_id: str, size: int, found: ReadResult) -> Iterator[dict[str, Any]]:
    for seq, row in enumerate(found.rows()):
        yield {
            "job_id": job_id,
            "seq": seq,
            "row_id": row.row_id,
            "shard_no": seq // size,
            "data": orjson.dumps(row.data).decode(),
        }


def checked_priority(priority: int) -> int:
    """The priority, if it is one. `BadInputError` else."""
    if not 0 <= priority <= 9:
        raise BadInputError(f"the priority must be 0 (first) to 9 (last), not {priority}")
    return priority
