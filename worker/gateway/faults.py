"""Foreign errors in our words. Nothing outside `worker/gateway` knows an HTTP body or aiohttp."""

from dataclasses import dataclass
from enum import StrEnum

from models.payloads import Usage


class FaultKind(StrEnum):
    """What went wrong with a call, by what has to be done about it."""

    QUOTA = "quota"
    """429 on our own limit (code 1300): wait for the window, tell the limiter; costs no attempt."""
    CAPACITY = "capacity"
    """The provider is out of capacity (3505, 3810, 503 `out_of_capacity`): back off, tens of s."""
    TRANSIENT = "transient"
    """5xx, 408, 425, 520, 529, dropped connections before an answer: retry within a budget."""
    TIMEOUT = "timeout"
    """No answer within the call's total time-out; the call may have been paid."""
    UNREADABLE = "unreadable"
    """2xx with a body that is not an answer (cut, HTML, wrong shape); it may have been paid."""
    MONEY = "money"
    """402 / code 2300: the spending limit. The job is paused."""
    ACCOUNT = "account"
    """401, 403, unknown model, a limit of 0: no row can succeed. The job is paused."""
    REJECTED = "rejected"
    """400, 404, 422 about this very request: the row fails with the message."""


@dataclass(frozen=True, slots=True)
class LimitHeaders:
    """The five `x-ratelimit-*` headers; None where one was not sent."""

    limit_requests_minute: int | None = None
    remaining_requests_minute: int | None = None
    limit_tokens_minute: int | None = None
    remaining_tokens_minute: int | None = None
    tokens_query_cost: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed call. `retry_after_s` is clamped to 0..300; `maybe_paid`: the request left us
    whole and nothing proves that it was not executed. `usage`: what an answer that cannot be used
    was nevertheless charged for."""

    kind: FaultKind
    message: str
    status: int | None = None
    code: str = ""
    retry_after_s: float | None = None
    maybe_paid: bool = False
    limits: LimitHeaders | None = None
    usage: Usage | None = None
