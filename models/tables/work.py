"""What is asked for: jobs, their rows, the shards that workers lease, the stages of pipelines."""

from sqlalchemy import BigInteger, Column, Float, Index, Text, text
from sqlmodel import Field, SQLModel

from models.states import JobState, RowState, ShardState


class Job(SQLModel, table=True):
    """The durable record of one request for work."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("jobs_by_state", "state", "priority"),
        # lists of jobs are read from these, not past the long `spec` of every job
        Index("jobs_in_state", "state", "created_at", "id"),
        Index("jobs_listed", "created_at", "id", "state", "kind", "name", "input_name"),
    )

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
    calls_refused: int = 0
    """How often the API said 429."""
    prompt_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    completion_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cached_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cost_nano: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    budget_nano: int | None = Field(default=None, sa_column=Column(BigInteger))
    """What the job may spend; None: as much as it takes."""
    event_seq: int = 0
    """Number of the job's newest event."""
    progress_told: int = 0
    """Tenths of the rows that the last `job.progressed` told of."""
    progress_told_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    started_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    finished_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class Row(SQLModel, table=True):
    """One unit of input and what became of it."""

    __tablename__ = "rows"
    __table_args__ = (
        Index("rows_by_shard", "job_id", "shard_no", "state"),
        Index("rows_by_state", "job_id", "state"),
        Index(
            "rows_failed",  # the page of a job groups them by reason, and shows the first of each
            "job_id",
            "failure_code",
            "seq",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
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
        Index(
            "shards_rung",  # those whose message is on its way are few, and looked at every second
            "state",
            "published_at",
            sqlite_where=text("state = 'open' AND published_at IS NOT NULL"),
            postgresql_where=text("state = 'open' AND published_at IS NOT NULL"),
        ),
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


class Stage(SQLModel, table=True):
    """One stage of a pipeline's run; the run is a job of kind `pipeline`, its parent."""

    __tablename__ = "stages"
    __table_args__ = (Index("stages_by_hash", "hash", "state"),)

    run_id: str = Field(primary_key=True)
    """The parent job."""
    name: str = Field(primary_key=True)
    place: int
    """Order in the file, from 0."""
    kind: str
    needs: str = Field(default="[]", sa_column=Column(Text, nullable=False))
    """Names of the stages before it, as JSON."""
    state: str
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    """Why it failed, was passed over or waits, in words for people."""
    hash: str = ""
    """SHA-256 of what it does and of what it is given: the same was done before, or was not."""
    job_id: str | None = Field(default=None, index=True)
    """The job that does it, if a job does."""
    attempt: int = 0
    """How often `retry` re-opened it."""
    output: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    """What later stages read, as JSON: files, names, hashes, counts."""
    claimed_until: float | None = Field(default=None, sa_column=Column(Float(53)))
    owner: str = ""
    """Who has it in hand, where no job does it."""
    started_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    finished_at: float | None = Field(default=None, sa_column=Column(Float(53)))
