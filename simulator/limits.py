"""The account's limits per model, enforced exactly over a sliding window, and their headers."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

MINUTE_S = 60.0
EVERY_MODEL = "*"
# As good as none, yet finite: the real API always states a figure.
UNLIMITED_REQUESTS = 1_000_000
UNLIMITED_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """Per minute. 0 requests: the model is not on the plan."""

    requests: int = UNLIMITED_REQUESTS
    tokens: int = UNLIMITED_TOKENS


@dataclass(frozen=True, slots=True)
class LimitRules:
    """What the account may do: `requests` and `tokens` per minute by model, `*` for all others.

    `window_s` is how the request limit is enforced: 60 allows bursts of a minute's worth, 1 at
    most limit/60 in any second. `count_refused`: a refused request uses up the limit as well.
    """

    requests: Mapping[str, int] = field(default_factory=dict)
    tokens: Mapping[str, int] = field(default_factory=dict)
    window_s: Annotated[float, Field(gt=0, le=3600)] = MINUTE_S
    count_refused: bool = False

    def for_model(self, model: str) -> Limit:
        """The limit of `model`: its own entry, or that of `*`, or practically none."""
        every_requests = self.requests.get(EVERY_MODEL, UNLIMITED_REQUESTS)
        every_tokens = self.tokens.get(EVERY_MODEL, UNLIMITED_TOKENS)
        return Limit(self.requests.get(model, every_requests), self.tokens.get(model, every_tokens))


class Admission(StrEnum):
    """What the limiter says to a request that has just arrived."""

    GRANTED = "granted"
    TOO_MANY_REQUESTS = "too_many_requests"
    TOO_MANY_TOKENS = "too_many_tokens"
    NOT_ON_PLAN = "not_on_plan"


class SlidingSum:
    """The sum of what was added during the last `window_s` seconds; O(1) amortised."""

    __slots__ = ("_entries", "_total", "window_s")

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self._entries: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, now: float, amount: int = 1) -> None:
        """Count `amount` at `now` (seconds of a clock that never goes back)."""
        self._entries.append((now, amount))
        self._total += amount

    def total(self, now: float) -> int:
        """The sum over (now - window_s, now]; what is older is forgotten."""
        entries = self._entries
        oldest = now - self.window_s
        while entries and entries[0][0] <= oldest:
            self._total -= entries.popleft()[1]
        return self._total


class Gate:
    """One model's limiter: asked on arrival, told of the tokens once the call is done."""

    def __init__(self, limit: Limit, rules: LimitRules) -> None:
        self._minute = SlidingSum(MINUTE_S)
        self._tokens = SlidingSum(MINUTE_S)
        self._window = SlidingSum(MINUTE_S)
        self.change(limit, rules)

    def change(self, limit: Limit, rules: LimitRules) -> None:
        """Set another limit; what was already used of it stays used.

        A limit that gives no whole number of requests per window gets the window that does:
        100/min over 1 s is one request in any 0.6 s.
        """
        self.limit = limit
        self._count_refused = rules.count_refused
        self._allowed = max(1, int(limit.requests * rules.window_s / MINUTE_S))
        self._window.window_s = self._allowed * MINUTE_S / max(1, limit.requests)

    def admit(self, now: float, *, tokens_limited: bool) -> Admission:
        """Let a request in, or say which limit is used up."""
        admission = self._judge(now, tokens_limited=tokens_limited)
        if admission is Admission.GRANTED or self._count_refused:
            self._window.add(now)
            self._minute.add(now)
        return admission

    def _judge(self, now: float, *, tokens_limited: bool) -> Admission:
        if self.limit.requests == 0:
            return Admission.NOT_ON_PLAN
        if self._window.total(now) >= self._allowed:
            return Admission.TOO_MANY_REQUESTS
        if tokens_limited and self._tokens.total(now) >= self.limit.tokens:
            return Admission.TOO_MANY_TOKENS
        return Admission.GRANTED

    def debit(self, now: float, tokens: int) -> None:
        """Take what a finished call really used off the token limit."""
        self._tokens.add(now, tokens)

    def headers(self, now: float, cost: int, *, tokens_limited: bool) -> dict[str, str]:
        """The `x-ratelimit-*` headers: always per minute, whatever window is enforced."""
        limit = self.limit
        headers = {
            "x-ratelimit-limit-req-minute": str(limit.requests),
            "x-ratelimit-remaining-req-minute": _left(limit.requests, self._minute.total(now)),
        }
        if tokens_limited:
            headers["x-ratelimit-limit-tokens-minute"] = str(limit.tokens)
            left = _left(limit.tokens, self._tokens.total(now))
            headers["x-ratelimit-remaining-tokens-minute"] = left
            headers["x-ratelimit-tokens-query-cost"] = str(cost)
        return headers


def _left(limit: int, used: int) -> str:
    return str(max(0, limit - used))


class Gates:
    """The gates of all models, made as models are first asked for."""

    def __init__(self, rules: LimitRules) -> None:
        self.rules = rules
        self._gates: dict[str, Gate] = {}

    def gate(self, model: str) -> Gate:
        """The gate of `model`."""
        gate = self._gates.get(model)
        if gate is None:
            gate = self._gates[model] = Gate(self.rules.for_model(model), self.rules)
        return gate

    def change(self, rules: LimitRules) -> None:
        """Enforce other rules from now on, also for models seen before."""
        self.rules = rules
        for model, gate in self._gates.items():
            gate.change(rules.for_model(model), rules)
