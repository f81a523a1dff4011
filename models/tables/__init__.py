"""The tables. Times: seconds since the epoch by the database's clock; money: nano-USD."""

from models.tables.fleet import ClockHand, LimiterSeen, LimitSeen, Pulse, WorkerSeen
from models.tables.judged import (
    EvaluationReport,
    Judgement,
    Review,
    ReviewPair,
    Stage,
    VectorStore,
)
from models.tables.ledger import BudgetHold, Call, Doubt, Spending
from models.tables.remote import BatchRequest, RemoteOperation, TrainingPoint, TunedModel
from models.tables.telling import Attempt, Delivery, Endpoint, Event
from models.tables.work import Job, Row, Shard

__all__ = [
    "NANO",
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
]

NANO = 1_000_000_000
