"""What is held true of a model's limit, by all processes together, and the pace it means. Pure."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from random import Random

from models.limits import Limit
from worker.gateway.faults import LimitHeaders
from worker.limiter import adaptive
from worker.limiter.adaptive import KEPT, UNPACED_RATE, Search

MARGIN = 0.985
"""Share of a known request limit that is used: 15 ms of sender jitter fit into each second."""
TOKEN_MARGIN = 0.97
TOKEN_BURST_S = 1.5
"""Tokens that may be sent ahead, in seconds' worth; with the margin below 60 s' worth a minute."""
PROBE_RATE = 1 / 30
"""Calls per second under a limit of 0: the fault that follows stops the job, not a silence."""
UNPACED_TOKEN_RATE = 3_000_000.0
"""Tokens per second no worker can use up: not worth pacing."""


@dataclass(frozen=True, slots=True)
class Belief:
    """The limits that headers announced (per minute), and the search by refusals."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    search: Search = field(default_factory=Search)

    def to_json(self) -> str:
        """As stored beside the reservations."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> "Belief":
        """What another process stored; a blank belief if it is of another version."""
        try:
            values = json.loads(text)
            return Belief(**{**values, "search": Search(**values["search"])})
        except (ValueError, TypeError, KeyError):
            return Belief()

    @staticmethod
    def from_limit(limit: Limit) -> "Belief":
        """What was learnt in an earlier life, to start from."""
        rate = limit.requests_per_minute
        if limit.source != "found" or not rate:
            return Belief(rate, limit.tokens_per_minute)
        search = Search(rate=KEPT * rate / 60, ceiling=rate / 60, events=1)
        return Belief(tokens_per_minute=limit.tokens_per_minute, search=search)


Change = Callable[[Belief], Belief]
"""One step of a belief; applied twice it changes nothing more."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Requests and tokens per second to keep to (None: unpaced), and the limit it comes from.

    `cap`: the known request limit as a rate; `found_free`: unpaced only because nothing was ever
    refused, not because someone said so.
    """

    rate: float | None
    token_rate: float | None
    cap: float | None
    limit: Limit | None
    found_free: bool = False

    def takes_s(self, tokens: float) -> float:
        """How long a call of `tokens` uses up the limit, in seconds; the tighter of both counts."""
        by_requests = 1 / (self.rate or UNPACED_RATE)
        return max(by_requests, tokens / self.token_rate if self.token_rate else 0.0)


def learn(belief: Belief, limits: LimitHeaders) -> Belief:
    """The belief after an answer's headers; a header that was not sent changes nothing."""
    requests, tokens = limits.limit_requests_minute, limits.limit_tokens_minute
    if requests is None and tokens is None:
        return belief
    return replace(
        belief,
        requests_per_minute=belief.requests_per_minute if requests is None else requests,
        tokens_per_minute=belief.tokens_per_minute if tokens is None else tokens,
    )


def refused(
    belief: Belief, *, at: float, measured: float, told: Limit | None, random: Random
) -> Belief:
    """The belief after a 429 on our own quota."""
    now = pace(told, belief)
    search = adaptive.refused(
        belief.search, at, measured=measured, rate=now.rate, cap=now.cap, random=random
    )
    return belief if search is belief.search else replace(belief, search=search)


def advanced(belief: Belief, now: float, told: Limit | None) -> Belief:
    """The belief after a while without refusals in which calls were waiting."""
    search = adaptive.advance(belief.search, now, cap=pace(told, belief).cap)
    return belief if search is belief.search else replace(belief, search=search)


def pace(told: Limit | None, belief: Belief) -> Pace:
    """What is told or announced, the stricter of both; else what the search has found."""
    said = told or Limit()
    requests = _stricter(said.requests_per_minute, belief.requests_per_minute)
    tokens = _stricter(said.tokens_per_minute, belief.tokens_per_minute)
    told_free = told is not None and said.requests_per_minute is said.tokens_per_minute is None
    cap = None if requests is None else max(PROBE_RATE, requests / 60 * MARGIN)
    rate = _rate(cap, belief.search, told_free=told_free)
    token_rate = None if tokens is None else max(1.0, tokens / 60 * TOKEN_MARGIN)
    return Pace(
        rate=None if rate is None or rate >= UNPACED_RATE else rate,
        token_rate=None if (token_rate or UNPACED_TOKEN_RATE) >= UNPACED_TOKEN_RATE else token_rate,
        cap=cap,
        limit=_limit(told, belief, requests, tokens),
        found_free=rate is None and not told_free,
    )


def _stricter(told: float | None, announced: float | None) -> float | None:
    return min((limit for limit in (told, announced) if limit is not None), default=None)


def _rate(cap: float | None, search: Search, *, told_free: bool) -> float | None:
    if search.ceiling is None and (cap is not None or (told_free and not search.events)):
        return cap
    if cap is None or search.rate is None:
        return search.rate if cap is None else cap
    return min(cap, search.rate)


def _limit(
    told: Limit | None, belief: Belief, requests: float | None, tokens: float | None
) -> Limit | None:
    """The limit in force, for people to read."""
    if requests is not None or tokens is not None:
        known = told is not None and requests == told.requests_per_minute
        return Limit(requests, tokens, "told" if known else "header")
    if belief.search.ceiling is not None:
        return Limit(belief.search.ceiling * 60, None, "found")
    return told
