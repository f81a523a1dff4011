"""The tables. Times: seconds since the epoch by the database's clock; money: nano-USD."""

from sqlalchemy import Table
from sqlmodel import SQLModel

from models.tables.fleet import ClockHand, LimiterSeen, LimitSeen, Pulse, WorkerSeen
from models.tables.judged import EvaluationReport, Judgement, Review, ReviewPair
from models.tables.ledger import BudgetHold, Call, Doubt, Spending
from models.tables.registered import TrainingPoint, TunedModel, VectorStore
from models.tables.remote import BatchRequest, RemoteOperation
from models.tables.telling import Attempt, Delivery, Endpoint, Event
from models.tables.work import Job, Row, Shard, Stage

__all__ = [
    "Attempt",
    "BatchRequest",
    "BudgetHold",
    "Call",
    "ClockHand",
    "Delivery",
    "Doubt",
    "Endpoint",
    "EvaluationReport",
    "Event",
    "Job",
    "Judgement",
    "LimitSeen",
    "LimiterSeen",
    "Pulse",
    "RemoteOperation",
    "Review",
    "ReviewPair",
    "Row",
    "Shard",
    "Spending",
    "Stage",
    "TrainingPoint",
    "TunedModel",
    "VectorStore",
    "WorkerSeen",
    "table_of",
]


def table_of(model: type[SQLModel]) -> Table:
    """The table behind a class, to write statements with."""
    table: Table = model.__table__  # type: ignore[attr-defined] # SQLModel does not declare it
    return table
