"""The inference routes: how a body is read, what it is answered, and what that used."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from simulator.bodies import ChatBody, EmbeddingBody
from simulator.catalogue import CONTEXT, embeds
from simulator.content.answers import CHARACTERS_PER_TOKEN, choices, tokens_in, tokens_out
from simulator.content.embeddings import embeddings, too_much
from simulator.content.taught import Taught
from simulator.replies import (
    NO_STREAMING,
    Reply,
    invalid_model,
    prompt_too_long,
    too_large,
    unprocessable,
    wrong_in,
)

Body = ChatBody | EmbeddingBody
_CACHE_BLOCK = 64  # characters; prefixes are cached in whole blocks
_CACHE_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; `cached` ones are part of `prompt`. None: no cache was asked for."""

    prompt: int
    completion: int = 0
    cached: int | None = None

    @property
    def limited(self) -> int:
        """What the token limit is debited: cached input is free."""
        return self.prompt + self.completion - (self.cached or 0)

    def as_dict(self) -> dict[str, Any]:
        """The `usage` of an answer."""
        usage: dict[str, Any] = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        }
        if self.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": self.cached}
        return usage


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed request. `digest`: eight bytes of the SHA-256 of route and canonical body."""

    endpoint: "Endpoint"
    body: Body
    digest: int

    @property
    def model(self) -> str:
        """The model it is for."""
        return self.body.model

    def told(self, usage: Usage) -> dict[str, Any]:
        """What a journal says of it once it ran."""
        used = {"tokens_in": usage.prompt, "tokens_out": usage.completion}
        return {
            "digest": f"{self.digest:016x}",
            "model": self.model,
            **used,
            "cached": usage.cached or 0,
        }


Answerer = Callable[[Any, int, "PromptCache", Taught | None], tuple[dict[str, Any], Usage]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One inference route. `tokens_limited`: the token limit holds, and its headers are sent."""

    path: str
    body_type: type[ChatBody] | type[EmbeddingBody]
    tokens_limited: bool
    answerer: Answerer

    def read(self, raw: bytes, models: tuple[str, ...]) -> Call | Reply:
        """The call that `raw` asks for, or the 422 or 400 it gets."""
        try:
            data = orjson.loads(raw)
            body = self.body_type.model_validate(data)
        except (orjson.JSONDecodeError, ValidationError) as problem:
            return unprocessable(wrong_in(problem))
        return self._refusal(body, len(raw), models) or Call(self, body, self._digest(data))

    def _refusal(self, body: Body, size: int, models: tuple[str, ...]) -> Reply | None:
        if body.model not in models or embeds(body.model) != isinstance(body, EmbeddingBody):
            return invalid_model(body.model)
        if isinstance(body, EmbeddingBody):
            problem = too_much(body)
            return too_large(problem) if problem else None
        may_be_long = size >= CONTEXT * CHARACTERS_PER_TOKEN  # counting each costs the calls' rate
        if may_be_long and (asked := _tokens_asked(body, body.prompt())) > CONTEXT:
            return prompt_too_long(asked, CONTEXT)
        return NO_STREAMING if body.stream else None

    def _digest(self, data: object) -> int:
        canonical = orjson.dumps([self.path, data], option=orjson.OPT_SORT_KEYS)
        return int.from_bytes(hashlib.sha256(canonical).digest()[:8])

    def answer(
        self, call: Call, cache: "PromptCache", taught: Taught | None = None
    ) -> tuple[dict[str, Any], Usage]:
        """The payload of a good answer, and what it used. `taught`: what a tuned model learnt."""
        return self.answerer(call.body, call.digest, cache, taught)


class PromptCache:
    """What was prompted under each `prompt_cache_key`; the oldest keys are forgotten."""

    def __init__(self) -> None:
        self._prompts: dict[str, str] = {}

    def cached_tokens(self, key: str | None, prompt: str) -> int | None:
        """Tokens of the prefix shared with the key's last prompt; None without a key."""
        if key is None:
            return None
        last = self._prompts.pop(key, "")
        self._prompts[key] = prompt
        if len(self._prompts) > _CACHE_KEYS:
            del self._prompts[next(iter(self._prompts))]
        return _shared_blocks(last, prompt) * _CACHE_BLOCK // CHARACTERS_PER_TOKEN


def _shared_blocks(one: str, other: str) -> int:
    whole = min(len(one), len(other)) // _CACHE_BLOCK
    for block in range(whole):
        part = slice(block * _CACHE_BLOCK, (block + 1) * _CACHE_BLOCK)
        if one[part] != other[part]:
            return block
    return whole


def _chat(
    body: ChatBody, seed: int, cache: PromptCache, taught: Taught | None
) -> tuple[dict[str, Any], Usage]:
    prompt = body.prompt()
    made = choices(body, prompt, seed, taught)
    usage = Usage(
        _tokens_asked(body, prompt),
        tokens_out(made),
        cache.cached_tokens(body.prompt_cache_key, prompt),
    )
    payload = _payload("chat.completion", body, seed, usage)
    return {**payload, "created": int(time.time()), "choices": made}, usage


def _tokens_asked(body: ChatBody, prompt: str) -> int:
    schemas = sum(len(orjson.dumps(function.parameters)) for function in body.functions())
    return tokens_in(prompt) + schemas // CHARACTERS_PER_TOKEN + 4 * len(body.messages)


def _embed(
    body: EmbeddingBody, seed: int, _cache: PromptCache, _taught: Taught | None
) -> tuple[dict[str, Any], Usage]:
    usage = Usage(sum(tokens_in(text) for text in body.texts()))
    return {**_payload("list", body, seed, usage), "data": embeddings(body)}, usage


def _payload(kind: str, body: Body, seed: int, usage: Usage) -> dict[str, Any]:
    return {
        "id": f"{seed:016x}{time.monotonic_ns():016x}",
        "object": kind,
        "model": body.model,
        "usage": usage.as_dict(),
    }


CHAT = Endpoint("/v1/chat/completions", ChatBody, tokens_limited=True, answerer=_chat)
EMBEDDINGS = Endpoint("/v1/embeddings", EmbeddingBody, tokens_limited=False, answerer=_embed)
ENDPOINTS = (CHAT, EMBEDDINGS)
