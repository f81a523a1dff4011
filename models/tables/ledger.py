"""What was paid for: the ledger, the calls in doubt, what was spent when, and money held back."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, Text
from sqlmodel import Field, SQLModel


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


class Spending(SQLModel, table=True):
    """What a job spent on a model on a day; moves in the transaction that stores its calls."""

    __tablename__ = "spending"
    __table_args__ = (Index("spending_by_day", "day"),)

    job_id: str = Field(primary_key=True)
    model: str = Field(primary_key=True)
    day: int = Field(primary_key=True)
    """Days since 1970-01-01, UTC."""
    calls: int = 0
    calls_unpriced: int = 0
    prompt_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    completion_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cached_tokens: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    cost_nano: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


class BudgetHold(SQLModel, table=True):
    """Money of a job's budget that one worker process may spend without asking again."""

    __tablename__ = "budget_holds"

    job_id: str = Field(primary_key=True)
    owner: str = Field(primary_key=True)
    nano: int = Field(sa_column=Column(BigInteger, nullable=False))
    until: float = Field(sa_column=Column(Float(53), nullable=False))
    """Not counted after this: the process is gone."""
