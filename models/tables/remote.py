"""Remote work: what was asked of others, and the calls that wait for it."""

from sqlalchemy import BigInteger, Column, Float, Index, Text, text
from sqlmodel import Field, SQLModel

from models.states import RemoteState, RequestState

_OPEN_STATES = "state IN ('sending', 'running', 'fetching')"


class RemoteOperation(SQLModel, table=True):
    """A hosted batch or training run: intent first, remote id second, looked at by the clock."""

    __tablename__ = "remote_operations"
    __table_args__ = (
        Index(
            "remote_operations_due",
            "next_check_at",
            sqlite_where=text(_OPEN_STATES),
            postgresql_where=text(_OPEN_STATES),
        ),
        Index("remote_operations_by_job", "job_id"),
    )

    id: str = Field(primary_key=True)
    """`op_...`: travels in the remote job's metadata, so that it is found again."""
    job_id: str
    shard_no: int | None = None
    """The shard that waits for it (training); None: its requests name theirs (batch)."""
    kind: str
    """`batch` or `training`."""
    endpoint: str = ""
    """`chat` or `embeddings` (batch)."""
    model: str
    state: str = RemoteState.SENDING
    reason: str = ""
    """Why it failed, or what is odd about it, for people."""
    remote_id: str | None = None
    remote_status: str = ""
    """The provider's word, as last seen; unknown ones are shown and asked about again."""
    answer: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    """The provider's last answer about it, as JSON."""
    files: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    """Remote file ids by role, as JSON: `input`, `validation`, `output`, `error`."""
    requests_total: int = 0
    requests_done: int = 0
    """Settled here with an answer."""
    requests_failed: int = 0
    cost_nano: int | None = Field(default=None, sa_column=Column(BigInteger))
    """What it will cost at most; None: unknown."""
    reckoned_nano: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """What its answered requests could have cost at most, for the next batch's reckoning."""
    spent_nano: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """What they did cost."""
    checks: int = 0
    check_failures: int = 0
    """Looks that failed in a row."""
    claims: int = 0
    """Fencing token: rises with every claim; what comes under an older one is lost."""
    next_check_at: float = Field(sa_column=Column(Float(53), nullable=False))
    """When it is looked at next; while somebody has it in hand, when that one is taken for dead."""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    starting_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    """When a request to start it was about to be made: it may be there though nobody heard."""
    submitted_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    settled_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class BatchRequest(SQLModel, table=True):
    """A call of a job that goes by batch, from the row that wants it until its answer is stored."""

    __tablename__ = "batch_requests"
    __table_args__ = (
        Index("batch_requests_by_state", "job_id", "state"),
        Index("batch_requests_by_shard", "job_id", "shard_no", "state"),
        Index("batch_requests_by_op", "op_id"),
        Index("batch_requests_by_key", "key"),
    )

    job_id: str = Field(primary_key=True)
    shard_no: int = Field(primary_key=True)
    key: str = Field(primary_key=True)
    """The call's key; `custom_id` in the batch file."""
    state: str = RequestState.WAITING
    endpoint: str
    model: str
    body: str = Field(sa_column=Column(Text, nullable=False))
    """The request as JSON; empty for one that follows another's."""
    bytes: int = 0
    """Of its line in a batch file."""
    cost_nano: int | None = Field(default=None, sa_column=Column(BigInteger))
    """At most, by batch; None: unknown."""
    op_id: str | None = None
    tries: int = 0
    """Batches it was in."""
    code: str = ""
    """A `FailureCode`, once it failed."""
    detail: str = Field(default="", sa_column=Column(Text, nullable=False))
