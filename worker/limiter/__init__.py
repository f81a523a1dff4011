"""One limiter for all worker processes: per account and model, requests and tokens together."""

from worker.limiter.limiter import Limiter
from worker.limiter.permit import Permit
from worker.limiter.usage import ModelUse
from worker.limiter.waiting import Flow

__all__ = ["Flow", "Limiter", "ModelUse", "Permit"]
