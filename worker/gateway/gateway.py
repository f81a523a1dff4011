"""The hot path: one request in, one `Reply` or one `Fault` out, at a few hundred microseconds.

aiohttp and orjson carry the call; `mistral` reads it; `normalising` and `dropped` say what failed.
Nothing here retries: what to do about a `Fault` is decided in `worker/retrying.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from pydantic import SecretStr

from models.payloads import Usage
from models.settings import Settings
from worker.gateway.bodies import MOST_BYTES, MOST_ERROR_BYTES, is_answer, parse, read_body
from worker.gateway.connecting import (
    CONNECT_S,
    checked_key,
    checked_root,
    headers_with,
    open_session,
)
from worker.gateway.dropped import BELOW_HTTP, cut
from worker.gateway.faults import Fault, FaultKind
from worker.gateway.headers import read_limits
from worker.gateway.normalising import normalise
from worker.gateway.replies import ModelList, Reply
from worker.gateway.scrubbing import scrub

Body = Mapping[str, Any]
CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
MODELS = "/v1/models"


@dataclass(frozen=True, slots=True)
class _Answered:
    """A 2xx response, read to its end or beyond the cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    latency_s: float


class Gateway:
    """The API behind one key. One per process, opened on the loop that uses it; closing it cuts
    the calls in flight. `connections`: the most at once, 0 for no bound (the limiter is one)."""

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        timeout_s: float = 120.0,
        connections: int = 0,
    ) -> None:
        root = checked_root(base_url)
        self._urls = {path: root.joinpath(path[1:]) for path in (CHAT, EMBEDDINGS, MODELS)}
        self._key = checked_key(api_key)
        self._timeout_s = timeout_s
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A gateway as the operator set it; raises `SetupError` for an unusable URL or key."""
        return cls(settings.base_url, settings.api_key, timeout_s=settings.call_timeout_s)

    async def open(self) -> Self:
        """Import the SDK's models (once per process, up to 3 s) and make the connection pool."""
        import worker.gateway.mistral  # noqa: F401, PLC0415 # see its docstring

        self._session = open_session(
            headers_with(self._key) | {"Content-Type": "application/json"},
            aiohttp.ClientTimeout(total=self._timeout_s, connect=CONNECT_S),
            connections=self._connections,
        )
        return self

    async def close(self) -> None:
        """Close the pool; harmless when it is not open."""
        if self._session:
            await self._session.close()
        self._session = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def chat(self, body: Body) -> Reply | Fault:
        """`POST /v1/chat/completions`. Raises nothing but `CancelledError` once open."""
        from worker.gateway.mistral import chat_problem  # noqa: PLC0415 # see its docstring

        return await self._ask(CHAT, body, chat_problem)

    async def embed(self, body: Body) -> Reply | Fault:
        """`POST /v1/embeddings`; a reply holds one vector per input (`mistral.to_vectors`)."""
        from worker.gateway.mistral import vectors_problem  # noqa: PLC0415 # see its docstring

        given = body.get("input")
        expected = len(given) if isinstance(given, list) else 1
        return await self._ask(EMBEDDINGS, body, partial(vectors_problem, expected=expected))

    async def models(self) -> ModelList | Fault:
        """`GET /v1/models`: what the server offers. Costs nothing."""
        from worker.gateway.mistral import read_model_names  # noqa: PLC0415 # see its docstring

        answered = await self._exchange("GET", MODELS)
        if isinstance(answered, Fault):
            return replace(answered, maybe_paid=False)
        raw = parse(answered.body)
        names = read_model_names(raw)
        if names is None:
            return _unreadable(answered, "not a list of models", maybe_paid=False)
        return ModelList(names, raw)

    async def _ask(
        self, path: str, body: Body, problem_of: Callable[[Body], str | None]
    ) -> Reply | Fault:
        try:
            sent = orjson.dumps(body)
        except TypeError:  # a lone surrogate, an integer beyond 64 bits, a foreign object
            return Fault(FaultKind.REJECTED, "the request cannot be written as JSON")
        answered = await self._exchange("POST", path, sent, body)
        return answered if isinstance(answered, Fault) else _reply(answered, problem_of)

    async def _exchange(
        self, method: str, path: str, sent: bytes | None = None, request: Body | None = None
    ) -> _Answered | Fault:
        """One HTTP exchange; `request` only serves to keep its words out of a `Fault`."""
        assert self._session, "the gateway is not open"
        started = perf_counter()
        response: aiohttp.ClientResponse | None = None
        body = b""
        try:
            async with self._session.request(
                method, self._urls[path], data=sent, allow_redirects=False
            ) as response:
                body = await read_body(
                    response, MOST_BYTES if is_answer(response.status) else MOST_ERROR_BYTES
                )
        except BELOW_HTTP as error:
            if response is None or is_answer(response.status):
                return cut(error, response, perf_counter() - started)
        if not is_answer(response.status):
            clean = partial(scrub, key=self._key, request=request)
            return normalise(response.status, response.headers, body, clean)
        return _Answered(response.status, response.headers, body, perf_counter() - started)


def _reply(answered: _Answered, problem_of: Callable[[Body], str | None]) -> Reply | Fault:
    """Usage is read first: an answer that is of no use to us was paid for all the same."""
    from worker.gateway.mistral import read_usage  # noqa: PLC0415 # see its docstring

    if len(answered.body) > MOST_BYTES:
        return _unreadable(answered, f"larger than {MOST_BYTES >> 20} MiB")
    answer = parse(answered.body)
    usage = read_usage(answer)
    problem = problem_of(answer) if isinstance(answer, dict) else "not a JSON object"
    if problem or not isinstance(answer, dict):
        return _unreadable(answered, problem or "", usage=usage)
    return Reply(
        answer=answer,
        usage=usage or Usage(),
        model=str(answer.get("model") or ""),
        limits=read_limits(answered.headers),
        latency_s=answered.latency_s,
    )


def _unreadable(
    answered: _Answered, problem: str, *, maybe_paid: bool = True, usage: Usage | None = None
) -> Fault:
    return Fault(
        kind=FaultKind.UNREADABLE,
        message=scrub(f"the answer is unusable: {problem}"),
        status=answered.status,
        maybe_paid=maybe_paid,
        limits=read_limits(answered.headers),
        usage=usage,
    )
