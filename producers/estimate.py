"""What a job will take: calls, tokens, money and time, told before anything is paid."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import Any, Protocol

import orjson

from models.embedding import MOST_TEXTS, MOST_TOKENS
from models.limits import Limit, limit_for
from models.nano import NANO
from models.payloads import Estimate, Usage
from models.prices import PriceTable
from models.recipes import Compiled, Recipe, RowProblem
from producers.readers import ReadResult
from producers.tokens import TokenCounter, token_counter

SAMPLE = 200
"""Rows whose prompts are rendered and counted; the rest is scaled from them."""


@dataclass(frozen=True, slots=True)
class Ways:
    """What a job takes by each way that its calls may go."""

    realtime: Estimate
    batch: Estimate
    """How long batches take is the provider's secret: its seconds are never known."""
    rounds: int
    """Successive batches: a step is asked when the one before it is answered."""
    requests: int = 0
    """What goes out in real time: fewer than calls where texts travel together."""


@dataclass(slots=True)
class _ModelSum:
    calls: float = 0
    prompt_tokens: float = 0
    completion_tokens: float = 0
    vectors: float = 0
    """How many of the calls ask for vectors: these travel together."""

    @property
    def requests(self) -> float:
        """What counts against a limit of requests."""
        if not self.vectors:
            return self.calls
        together = max(self.vectors / MOST_TEXTS, self.prompt_tokens / MOST_TOKENS)
        return self.calls - self.vectors + min(self.vectors, together)


class Request(Protocol):
    """Requests of one likeness that a row will make."""

    @property
    def body(self) -> dict[str, Any]:
        """One of them; its model, messages (or input) and tools are what is counted."""

    @property
    def count(self) -> int:
        """How many there will be."""

    @property
    def expected_output_tokens(self) -> int:
        """Length of a typical answer."""


def estimate_ways(
    recipe: Recipe, found: ReadResult, prices: PriceTable, limits: Mapping[str, Limit]
) -> Ways:
    """Renders a sample of the rows and scales; later steps are counted with made-up answers."""
    return estimate_requests(
        Compiled(recipe).preview, found, prices, limits, rounds=len(recipe.steps)
    )


def estimate_requests(
    requests_of: Callable[[dict[str, Any]], Iterable[Request]],
    found: ReadResult,
    prices: PriceTable,
    limits: Mapping[str, Limit],
    *,
    rounds: int,
) -> Ways:
    """What rows take whose requests `requests_of` tells; it may raise `RowProblem`.

    `rounds`: how many requests of a row wait for an answer before them, and one.
    """
    counter = token_counter()
    sums: dict[str, _ModelSum] = {}
    sampled = unrenderable = 0
    for data in _spread(found):
        sampled += 1
        try:
            for request in requests_of(data):
                _add(sums, request, counter)
        except RowProblem:
            unrenderable += 1
    scale = found.accepted / sampled if sampled else 0.0
    for part in sums.values():
        part.calls *= scale
        part.prompt_tokens *= scale
        part.completion_tokens *= scale
        part.vectors *= scale
    notes = [f"{unrenderable} of {sampled} sampled rows cannot be asked"] if unrenderable else []
    guess = Estimate(
        rows=found.accepted,
        calls=round(sum(part.calls for part in sums.values())),
        prompt_tokens=round(sum(part.prompt_tokens for part in sums.values())),
        completion_tokens=round(sum(part.completion_tokens for part in sums.values())),
        cost_usd=_cost(sums, prices, batch=False),
        seconds=_seconds(sums, limits),
        exact_tokens=counter.exact,
        notes=notes,
    )
    by_batch = {"cost_usd": _cost(sums, prices, batch=True), "seconds": None}
    requests = ceil(sum(part.requests for part in sums.values()))
    return Ways(guess, guess.model_copy(update=by_batch), rounds, requests)


def _spread(found: ReadResult) -> Iterator[dict[str, Any]]:
    """At most `SAMPLE` rows, evenly spread over the file."""
    step = max(1, -(-found.accepted // SAMPLE))
    return (row.data for row in islice(found.rows(), 0, None, step))


def _add(sums: dict[str, _ModelSum], request: Request, counter: TokenCounter) -> None:
    part = sums.setdefault(str(request.body["model"]), _ModelSum())
    part.calls += request.count
    part.vectors += request.count if "input" in request.body else 0
    part.prompt_tokens += request.count * counter.count(_text(request.body))
    part.completion_tokens += request.count * request.expected_output_tokens


def _text(body: Mapping[str, Any]) -> str:
    if "input" in body:  # one text, or several
        given = body["input"]
        return given if isinstance(given, str) else "\n".join(given)
    return orjson.dumps([body["messages"], body.get("tools")]).decode()


def _cost(sums: Mapping[str, _ModelSum], prices: PriceTable, *, batch: bool) -> float | None:
    total = 0
    for model, part in sums.items():
        usage = Usage(round(part.prompt_tokens), round(part.completion_tokens))
        cost = prices.cost_nano(model, usage, batch=batch)
        if cost is None:
            return None
        total += cost
    return total / NANO


def _seconds(sums: Mapping[str, _ModelSum], limits: Mapping[str, Limit]) -> float | None:
    """The slowest model's time at its limit; None if a limit is not known yet."""
    slowest = 0.0
    for model, part in sums.items():
        limit = limit_for(model, limits)
        if limit is None or not (limit.requests_per_minute or limit.tokens_per_minute):
            return None
        tokens = part.prompt_tokens + part.completion_tokens
        if limit.requests_per_minute:
            slowest = max(slowest, part.requests / limit.requests_per_minute * 60)
        if limit.tokens_per_minute:
            slowest = max(slowest, tokens / limit.tokens_per_minute * 60)
    return slowest
