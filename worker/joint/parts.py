"""One answer to many texts, as an answer to each: vectors packed, usage divided. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from models.payloads import Usage
from worker.gateway.replies import Reply
from worker.gateway.vectors import written


def parts(reply: Reply, vectors: Sequence[Sequence[float]], weights: Sequence[int]) -> list[Reply]:
    """An answer for each of the texts, in their order, as if each had been asked alone.

    `weights`: how much of the usage each takes. Vectors become base64 of float32, as the API itself
    would send them: that is what the ledger keeps, a quarter of their digits.
    """
    shares = divided(reply.usage, weights)
    return [
        replace(reply, usage=share, answer=_answer(reply.answer, vector, share))
        for vector, share in zip(vectors, shares, strict=True)
    ]


def divided(usage: Usage, weights: Sequence[int]) -> list[Usage]:
    """The usage in parts as their weights are; they add up to it, to the token."""
    numbers = (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)
    columns = [list(_shares(number, weights)) for number in numbers]
    return [Usage(*row) for row in zip(*columns, strict=True)]


def _shares(total: int, weights: Sequence[int]) -> Iterator[int]:
    whole, given = sum(weights), 0
    for reached in accumulate(weights):
        share = total * reached // whole - given
        given += share
        yield share


def _answer(whole: dict[str, Any], vector: Sequence[float], share: Usage) -> dict[str, Any]:
    told = {
        "prompt_tokens": share.prompt_tokens,
        "completion_tokens": share.completion_tokens,
        "total_tokens": share.total,
    }
    data = [{"object": "embedding", "index": 0, "embedding": written(vector)}]
    return {**whole, "data": data, "usage": told}
