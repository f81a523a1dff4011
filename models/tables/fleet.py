"""Who is alive and what was seen: workers, limits, the pace of jobs, the clock's hands."""

from sqlalchemy import BigInteger, Column, Float
from sqlmodel import Field, SQLModel


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
    spool_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    backlog: int = 0
    """What waits for the next group commit."""
    seen_at: float = Field(sa_column=Column(Float(53), nullable=False))


class LimiterSeen(SQLModel, table=True):
    """How one worker process stands with one model, a few seconds ago at most."""

    __tablename__ = "limiter_seen"

    worker: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    account: str
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    source: str = ""
    """`told`, `headers`, `found` ...; empty: no limit is known."""
    rate_per_s: float | None = None
    """What the processes of the account share now, calls per second; None: unpaced."""
    calls_per_s: float = 0.0
    """What this process sent over the last seconds."""
    hold_until: float | None = Field(default=None, sa_column=Column(Float(53)))
    in_flight: int = 0
    waiting: int = 0
    refusals: int = 0
    redis_away: bool = False
    seen_at: float = Field(sa_column=Column(Float(53), nullable=False))


class Pulse(SQLModel, table=True):
    """What a job's calls did in ten seconds, of all workers together: the charts' points."""

    __tablename__ = "pulses"

    job_id: str = Field(primary_key=True)
    at: int = Field(primary_key=True)
    """Begin of the ten seconds, seconds since the epoch, a multiple of 10."""
    calls: int = 0
    refusals: int = 0
    faults: int = 0
    """Other errors of the API or the way to it."""
    tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    ms_100: int = 0
    """Calls that took at most 100 ms; the next: at most 200 ms and more than 100; and so on."""
    ms_200: int = 0
    ms_300: int = 0
    ms_500: int = 0
    ms_750: int = 0
    ms_1000: int = 0
    ms_1500: int = 0
    ms_2000: int = 0
    ms_3000: int = 0
    ms_5000: int = 0
    ms_10000: int = 0
    ms_30000: int = 0
    ms_more: int = 0


class ClockHand(SQLModel, table=True):
    """When a periodic duty is next due; claimed by a guarded update, so any number may try."""

    __tablename__ = "clock_hands"

    name: str = Field(primary_key=True)
    next_at: float = Field(sa_column=Column(Float(53), nullable=False))
