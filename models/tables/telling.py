"""What is told: the outbox of events, the endpoints that hear of them, and every attempt."""

from sqlalchemy import Column, Float, Index, Integer, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from models.states import DeliveryState, EndpointState


class Event(SQLModel, table=True):
    """The outbox: what happened, written in the transaction that made it true."""

    __tablename__ = "events"
    __table_args__ = (
        Index("events_by_subject", "subject_id", "seq", unique=True),
        Index(
            "events_to_relay",
            "id",
            sqlite_where=text("relayed_at IS NULL"),
            postgresql_where=text("relayed_at IS NULL"),
        ),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    subject_id: str
    """The job it is about, or the endpoint."""
    seq: int
    """1, 2, ... per subject."""
    type: str
    data: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    relayed_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class Endpoint(SQLModel, table=True):
    """A URL that hears of events, with the secret that signs what is sent there."""

    __tablename__ = "endpoints"

    id: str = Field(primary_key=True)
    url: str
    events: str = Field(default="[]", sa_column=Column(Text, nullable=False))
    """JSON array of event types, `job.*` for a family; empty: all."""
    job_id: str | None = Field(default=None, index=True)
    """Only events of this job; None: of all."""
    secret: str = Field(sa_column=Column(Text, nullable=False))
    """Sealed (`models/sealing.py`)."""
    old_secret: str | None = Field(default=None, sa_column=Column(Text))
    """Sealed; signs beside the new one until `old_until`."""
    old_until: float | None = Field(default=None, sa_column=Column(Float(53)))
    state: str = EndpointState.ACTIVE
    reason: str = ""
    """Why it is disabled."""
    event_seq: int = 0
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    failing_since: float | None = Field(default=None, sa_column=Column(Float(53)))
    """First failure after the last success."""
    last_status: int | None = None
    last_error: str = ""
    last_at: float | None = Field(default=None, sa_column=Column(Float(53)))
    last_success_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class Delivery(SQLModel, table=True):
    """One event on its way to one endpoint. The stored bytes are the signed bytes."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "message_id"),
        Index(
            "deliveries_due",
            "endpoint_id",
            "next_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("deliveries_by_subject", "subject_id"),
        # `state` first is what SQLite takes, whatever else there is; so what it needs comes next
        Index("deliveries_by_state", "state", "endpoint_id", "next_at"),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True))
    message_id: str
    """`webhook-id`: the same on every attempt, and at every endpoint."""
    event_type: str
    subject_id: str
    endpoint_id: str
    state: str = DeliveryState.PENDING
    body: str = Field(sa_column=Column(Text, nullable=False))
    tries: int = 0
    """Attempts since it was made or last replayed: its place in the retry table."""
    attempts: int = 0
    """Attempts in all: numbers the log."""
    claims: int = 0
    """Fencing token: rises with every claim and outcome; what comes under an older one is lost."""
    next_at: float = Field(sa_column=Column(Float(53), nullable=False))
    """When it is due; while an attempt is under way, when that is taken for dead."""
    last_status: int | None = None
    last_ms: int | None = None
    last_error: str = ""
    created_at: float = Field(sa_column=Column(Float(53), nullable=False))
    settled_at: float | None = Field(default=None, sa_column=Column(Float(53)))


class Attempt(SQLModel, table=True):
    """The log: one POST and what came of it."""

    __tablename__ = "attempts"

    delivery_id: int = Field(primary_key=True)
    no: int = Field(primary_key=True)
    status: int | None = None
    """HTTP status; None: no answer came."""
    ms: int
    error: str = ""
    excerpt: str = Field(default="", sa_column=Column(Text, nullable=False))
    """The first KiB of the answer."""
    at: float = Field(sa_column=Column(Float(53), nullable=False))
