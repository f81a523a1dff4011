"""The tables. Times: seconds since the epoch by the database's clock; money: nano-USD."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text
from sqlmodel import Field, SQLModel

from models.states import JobState, RowState, ShardState

NANO = 1_000_000_000


class Job(SQLModel, table=True):
    """The durable record of one request for work."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_state", "state", "priority"),)

    id: str = Field(primary_key=True)
    kind: str
    name: str = ""
    """The recipe's (later: suite's, dataset's) name, for people."""
    state: str = JobState.QUEUED
    state_reason: str = ""
    """Why it is paused, failed or cancelled, in words for people."""
    priority: int = 5
    """0 (first) to 9 (last)."""
    spec: str = Field(sa_column=Column(Text, nullable=False))
    """`JobSpec` as JSON: everything a worker needs; no secrets."""
    estimate: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    parent_id: str | None = Field(default=None, index=True)
    fingerprint: str = Field(index=True)
    """SHA-256 of input, recipe and options: finds the same submission again."""
    idempotency_key: str | None = Field(default=None, unique=True)
    input_name: str = ""
    max_failed_share: float = 0.05
    rows_total: int = 0
    rows_done: int = 0
    rows_failed: int = 0
    rows_rejected: int = 0
    shards_total: int = 0
    shards_done: int = 0
    calls_made: int = 0
    """Answers paid for by this job."""
    calls_from_ledger: int = 0
    """Answers found already paid for."""
    calls_doubtful: int = 0
    """Calls that may have been paid without an answer reaching us (table `doubts`)."""
    calls_unpriced: int = 0
    """Paid calls whose model is not in the price table: their cost is unknown, not zero."""
    calls_retried: int = 0
    prompt_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    completion_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cached_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cost_nano: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    event_seq: int = 0
    """Number of the job's newest event."""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    started_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    finished_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class Row(SQLModel, table=True):
    """One unit of input and what became of it."""

    __tablename__ = "rows"
    __table_args__ = (
        Index("rows_by_shard", "job_id", "shard_no", "state"),
        Index("rows_by_state", "job_id", "state"),
    )

    job_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    """Place in the accepted input, from 0; exports keep this order."""
    row_id: str
    shard_no: int
    state: str = RowState.OPEN
    data: str = Field(sa_column=Column(Text, nullable=False))
    """The input object as JSON."""
    records: str | None = Field(default=None, sa_column=Column(Text))
    """What the row became: a JSON array of output records."""
    provenance: str | None = Field(default=None, sa_column=Column(Text))
    """Models, prompt hashes, call keys and usage, as JSON."""
    failure_code: str | None = None
    failure_detail: str | None = None
    attempt: int = 0
    """How often `retry` re-opened it: answers of no use are drawn anew, good ones are kept."""
    in_hand: bool = False
    """Set while a shard with a death behind it runs this row (see `worker/shards.py`)."""
    deaths: int = 0
    """How often a worker died with this row in hand."""


class Shard(SQLModel, table=True):
    """A run of rows leased to one task."""

    __tablename__ = "shards"
    __table_args__ = (
        Index("shards_by_state", "state", "lease_until"),
        Index("shards_by_job", "job_id", "state"),
    )

    job_id: str = Field(primary_key=True)
    no: int = Field(primary_key=True)
    first_seq: int
    last_seq: int
    state: str = ShardState.OPEN
    token: int = 0
    """Fencing token: rises with every claim; writes under an older one change nothing."""
    lease_until: float | None = Field(default=None, sa_column=Column(Float(53)))
    owner: str = ""
    published_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    """When its message was last sent; None: nobody has been rung for it."""
    deaths: int = 0
    """How often its lease ran out."""


class Call(SQLModel, table=True):
    """The ledger: one paid API request with its answer, by the key of its canonical form."""

    __tablename__ = "calls"
    __table_args__ = (Index("calls_by_job", "job_id"),)

    key: str = Field(primary_key=True)
    endpoint: str = "chat"
    model: str
    answer: str = Field(sa_column=Column(Text, nullable=False))
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_nano: int | None = Field(default=None, sa_column=Column(BigInteger))
    """None: the model is not in the price table."""
    latency_ms: int = 0
    job_id: str
    """The job that paid."""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))


class Doubt(SQLModel, table=True):
    """A call that left us and whose answer never came: perhaps paid, priced by estimate."""

    __tablename__ = "doubts"
    __table_args__ = (Index("doubts_by_key", "key"),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    key: str
    job_id: str = Field(index=True)
    model: str
    reason: str
    """`crash`, or the fault's kind."""
    cost_nano: int | None = Field(default=None, sa_column=Column(BigInteger))
    """Estimated; None: unknown."""
    nonce: str = Field(unique=True)
    """Of the attempt; makes the replay of a spool harmless."""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))


class Event(SQLModel, table=True):
    """The outbox: what happened, written in the transaction that made it true."""

    __tablename__ = "events"
    __table_args__ = (Index("events_by_job", "job_id", "seq", unique=True),)

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    job_id: str
    seq: int
    type: str
    data: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    relayed_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class LimitSeen(SQLModel, table=True):
    """What was last learnt of a model's limit, so that a restart does not begin blind."""

    __tablename__ = "limits_seen"

    account: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    source: str
    seen_at: float = Field(sa_column=Column(Float(53), nullable=False))


class WorkerSeen(SQLModel, table=True):
    """A worker process that is (or was) alive, with its number of shard slots."""

    __tablename__ = "workers_seen"

    id: str = Field(primary_key=True)
    slots: int
    rows_in_flight: int = 0
    seen_at: float = Field(sa_column=Column(Float(53), nullable=False))


class ClockHand(SQLModel, table=True):
    """When a periodic duty is next due; claimed by a guarded update, so any number may try."""

    __tablename__ = "clock_hands"

    name: str = Field(primary_key=True)
    next_at: float = Field(sa_column=Column(Float(53), nullable=False))
