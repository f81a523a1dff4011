"""The lifecycles as data: every state, who puts a thing there, and what takes it out again."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class JobState(StrEnum):
    """The states of a job, the durable record of one request for work."""

    QUEUED = "queued"
    """A producer committed the job with its rows. The first claimed shard (or, resumed with
    nothing left to claim, its last one settling) takes it out. If every
    process dies here, the sweeper rings for its shards when a worker is back."""
    RUNNING = "running"
    """At least one shard was claimed. The last settled row takes it out, or the last shard that
    parks for remote work."""
    WAITING = "waiting"
    """Remote work (a batch, a training run) is all that is left of it, and is polled by the clock.
    The first shard that is claimed again takes it out; whoever dies meanwhile changes nothing."""
    PAUSED = "paused"
    """The user stopped it, or no row of it could succeed (key, money, budget, price, store, another
    version): rows in flight finish, nothing new starts. `resume` takes it out."""
    SUCCEEDED = "succeeded"
    """Every row is settled and the failed ones are within `max_failed_share`. `retry` re-opens."""
    FAILED = "failed"
    """Every row is settled and too many failed. `retry` re-opens the failed rows."""
    CANCELLED = "cancelled"
    """The user gave it up. Open rows stay open for ever; what was paid stays in the ledger."""


class RowState(StrEnum):
    """The states of a row, one unit of input."""

    OPEN = "open"
    """Accepted and not settled, whether or not a worker has it in hand just now."""
    DONE = "done"
    """Its record is stored."""
    FAILED = "failed"
    """It has a named failure. `retry` re-opens it."""


class ShardState(StrEnum):
    """The states of a shard, a run of rows leased to one task."""

    OPEN = "open"
    """Nobody has it. A message may be on its way; if none is, the sweeper sends one."""
    LEASED = "leased"
    """A task holds it by a token until `lease_until`; if the process dies the lease runs out and
    the sweeper opens it again."""
    WAITING = "waiting"
    """Its open rows wait for remote work (batches, a training run). The clock opens it when none
    of that is out any more; whoever dies meanwhile changes nothing."""
    DONE = "done"
    """All its rows are settled. `retry` re-opens it."""


class RemoteState(StrEnum):
    """The states of a remote operation: a hosted batch or training run."""

    SENDING = "sending"
    """The intent is committed; perhaps it was sent. Whoever claims it looks for it by its
    metadata before sending it, so that a death here starts nothing twice."""
    RUNNING = "running"
    """Its remote id is known; the clock asks about it."""
    FETCHING = "fetching"
    """It is over there; what came of it is being stored here. A death here begins that anew."""
    SUCCEEDED = "succeeded"
    """What came of it is stored."""
    FAILED = "failed"
    """The provider refused it, or it failed or ran out of time; what came is stored."""
    CANCELLED = "cancelled"
    """It was cancelled with its job; what came is stored."""


class RequestState(StrEnum):
    """The states of a call that goes by batch. Once its answer is in the ledger it is gone."""

    WAITING = "waiting"
    """In no batch yet. The clock puts it into one when no shard of its job has more to add."""
    SENT = "sent"
    """In a batch (`op_id`)."""
    FOLLOWS = "follows"
    """Another row, shard or job asked for the same call first."""
    REALTIME = "realtime"
    """Its batch brought no answer and it may go the ordinary way."""
    FAILED = "failed"
    """Its batch brought a lasting refusal, or none brought an answer, or it may be paid by now and
    its job says hold: its rows fail by name."""


class StageState(StrEnum):
    """The states of a stage, one part of a pipeline's run."""

    WAITING = "waiting"
    """Stages that it needs are not done, or no conductor has come to it yet. A conductor claims it
    when they are."""
    WORKING = "working"
    """A conductor has it in hand until `claimed_until`: it begins it, does it, or collects what its
    job made. If the process dies here the claim runs out and the next one begins that anew."""
    RUNNING = "running"
    """Its job (`job_id`) does it. A conductor claims it again when the job is over; whoever dies
    meanwhile changes nothing."""
    DONE = "done"
    """Its outputs are there."""
    REUSED = "reused"
    """An earlier run did the very same; its outputs were taken over."""
    FAILED = "failed"
    """It could not be done; `reason` says why. `retry` re-opens it."""
    SKIPPED = "skipped"
    """A stage that it needs failed. `retry` re-opens it."""
    CANCELLED = "cancelled"
    """The run was given up first."""


class EndpointState(StrEnum):
    """The states of an endpoint, a URL that hears of events."""

    ACTIVE = "active"
    """Events are sent there. `webhooks disable`, an answer 410 or five days without a success
    take it out."""
    DISABLED = "disabled"
    """Nothing is sent there; its pending deliveries are disabled with it. `webhooks enable` takes
    it out."""


class DeliveryState(StrEnum):
    """The states of a delivery, one event on its way to one endpoint."""

    PENDING = "pending"
    """Due at `next_at`. If the process dies in an attempt, it is due again when the claim runs
    out: an endpoint may see an event twice, with the same id."""
    DELIVERED = "delivered"
    """An attempt was answered with 2xx. `replay` sends it again."""
    EXHAUSTED = "exhausted"
    """Every attempt of the retry table failed. `replay` sends it again."""
    DISABLED = "disabled"
    """Its endpoint was disabled first. `replay` sends it again, once the endpoint is enabled."""


JOB_TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.WAITING,
            JobState.PAUSED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.WAITING: frozenset(
        {
            JobState.RUNNING,
            JobState.PAUSED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.PAUSED: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.SUCCEEDED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset(),
}
ROW_TRANSITIONS: Mapping[RowState, frozenset[RowState]] = {
    RowState.OPEN: frozenset({RowState.DONE, RowState.FAILED}),
    RowState.DONE: frozenset(),
    RowState.FAILED: frozenset({RowState.OPEN}),
}
SHARD_TRANSITIONS: Mapping[ShardState, frozenset[ShardState]] = {
    ShardState.OPEN: frozenset({ShardState.LEASED}),
    ShardState.LEASED: frozenset({ShardState.OPEN, ShardState.WAITING, ShardState.DONE}),
    ShardState.WAITING: frozenset({ShardState.OPEN}),
    ShardState.DONE: frozenset({ShardState.OPEN}),
}
REMOTE_TRANSITIONS: Mapping[RemoteState, frozenset[RemoteState]] = {
    RemoteState.SENDING: frozenset(
        {RemoteState.RUNNING, RemoteState.FAILED, RemoteState.CANCELLED}
    ),
    RemoteState.RUNNING: frozenset(
        {RemoteState.FETCHING, RemoteState.FAILED, RemoteState.CANCELLED}
    ),
    RemoteState.FETCHING: frozenset(
        {RemoteState.SUCCEEDED, RemoteState.FAILED, RemoteState.CANCELLED}
    ),
    RemoteState.SUCCEEDED: frozenset(),
    RemoteState.FAILED: frozenset(),
    RemoteState.CANCELLED: frozenset(),
}
REQUEST_TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = {
    RequestState.WAITING: frozenset({RequestState.SENT, RequestState.FOLLOWS, RequestState.FAILED}),
    RequestState.SENT: frozenset(
        {RequestState.WAITING, RequestState.REALTIME, RequestState.FAILED}
    ),
    RequestState.FOLLOWS: frozenset(
        {RequestState.WAITING, RequestState.REALTIME, RequestState.FAILED}
    ),
    RequestState.REALTIME: frozenset(),
    RequestState.FAILED: frozenset(),
}
STAGE_TRANSITIONS: Mapping[StageState, frozenset[StageState]] = {
    StageState.WAITING: frozenset({StageState.WORKING, StageState.SKIPPED, StageState.CANCELLED}),
    StageState.WORKING: frozenset(
        {
            StageState.WAITING,
            StageState.RUNNING,
            StageState.DONE,
            StageState.REUSED,
            StageState.FAILED,
            StageState.CANCELLED,
        }
    ),
    StageState.RUNNING: frozenset({StageState.WORKING, StageState.CANCELLED}),
    StageState.DONE: frozenset(),
    StageState.REUSED: frozenset(),
    StageState.FAILED: frozenset({StageState.WAITING, StageState.RUNNING}),
    StageState.SKIPPED: frozenset({StageState.WAITING}),
    StageState.CANCELLED: frozenset(),
}
ENDPOINT_TRANSITIONS: Mapping[EndpointState, frozenset[EndpointState]] = {
    EndpointState.ACTIVE: frozenset({EndpointState.DISABLED}),
    EndpointState.DISABLED: frozenset({EndpointState.ACTIVE}),
}
DELIVERY_TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    DeliveryState.PENDING: frozenset(
        {DeliveryState.DELIVERED, DeliveryState.EXHAUSTED, DeliveryState.DISABLED}
    ),
    DeliveryState.DELIVERED: frozenset({DeliveryState.PENDING}),
    DeliveryState.EXHAUSTED: frozenset({DeliveryState.PENDING}),
    DeliveryState.DISABLED: frozenset({DeliveryState.PENDING}),
}

SETTLED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""Nothing happens to a job here until the user asks (`retry` re-opens the first two)."""
FINAL = frozenset(state for state, nexts in JOB_TRANSITIONS.items() if not nexts)
"""No move leads out of these."""
STAGE_GOOD = frozenset({StageState.DONE, StageState.REUSED})
"""Stages that need it may begin."""
STAGE_LOST = frozenset({StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED})
"""Stages that need it cannot."""
STAGE_OPEN = frozenset({StageState.WAITING, StageState.WORKING, StageState.RUNNING})
"""The run is not over while a stage is here."""
WORKABLE = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING})
"""Shards of a job in one of these states may be claimed and published."""


def sources_of(target: JobState) -> tuple[JobState, ...]:
    """The states from which a job may move to `target`, in a stable order (for guarded UPDATEs)."""
    return tuple(state for state, nexts in JOB_TRANSITIONS.items() if target in nexts)


def lifecycle_diagram(moves: Mapping[S, frozenset[S]]) -> str:
    """A lifecycle as a Mermaid state diagram; pages show this very text."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(moves))}"]
    lines += [
        f"    {state} --> {target}"
        for state, nexts in moves.items()
        for target in moves
        if target in nexts
    ]
    lines += [f"    {state} --> [*]" for state, nexts in moves.items() if not nexts]
    return "\n".join(lines)


class JobKind(StrEnum):
    """What a job does; each kind has one module in `worker/kinds`."""

    GENERATE = "generate"
    EMBED = "embed"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PIPELINE = "pipeline"
    """Stages of other kinds, each started when those before it are done; it has no rows."""


class FailureCode(StrEnum):
    """Why a row failed. These names are shown to users, grouped by, and stable."""

    INVALID_ANSWER = "invalid_answer"
    """The answer did not fit its function or schema, and neither did the re-asked one."""
    TRUNCATED = "truncated"
    """The answer ended by `finish_reason` length: raise max_tokens."""
    EMPTY_ANSWER = "empty_answer"
    """The model answered with nothing."""
    REFUSED = "refused"
    """The model declined to answer, or the provider's guardrail did."""
    BAD_ROW = "bad_row"
    """The row lacks what the recipe's template needs."""
    REQUEST_REJECTED = "request_rejected"
    """The API called the request wrong (400, 404, 422); asking again will not help."""
    SERVER_ERROR = "server_error"
    """Transient errors outlasted the retry budget of the call."""
    UNCERTAIN = "uncertain"
    """A call may have been paid without its answer reaching us, and `on_uncertain` says hold."""
    TRAINING_FAILED = "training_failed"
    """A training run ended without a model; the detail says why and what to do."""
    MODEL_FAILED = "model_failed"
    """A model of our own could not be loaded to read the row, or its process died with it."""
    POISON = "poison"
    """The worker died three times with this row in hand."""
    INTERNAL = "internal"
    """A bug on our side; the detail holds the exception's type. Please report it."""
