"""The front: `/v1/chat/completions` and `/v1/models` before the engine."""

import time
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from worker.serving.shaping import NotServedError, from_engine, to_engine

_LARGEST_BODY = 16 * 1024**2
_ANSWER_S = 600.0
"""A long answer on one thread takes minutes; who asks has a shorter patience of its own."""


class Front:
    """Passes requests on, each with the adapter that its model's name stands for."""

    def __init__(self, engine: str, models: Sequence[str]) -> None:
        self._engine, self._models, self._since = engine, list(models), int(time.time())
        self._session: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        """The web application; it opens and closes its client by itself."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.cleanup_ctx.append(self._opened)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.models)
        return app

    async def _opened(self, _: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(self._engine, timeout=timeout) as self._session:
            yield

    async def models(self, _: web.Request) -> web.Response:
        """The base and its adapters."""
        known = {"object": "model", "created": self._since, "owned_by": "maestrale"}
        return _json({"object": "list", "data": [{"id": name, **known} for name in self._models]})

    async def chat(self, request: web.Request) -> web.Response:
        """One answer; what the engine refuses keeps its status."""
        try:
            body = orjson.loads(await request.read())
            asked = to_engine(body, self._models)
        except NotServedError as problem:
            return _refusal(problem.status, str(problem))
        except (ValueError, KeyError, TypeError, AttributeError):
            return _refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "no chat request in JSON")
        return await self._passed_on(asked, body)

    async def _passed_on(self, asked: dict[str, Any], body: dict[str, Any]) -> web.Response:
        assert self._session is not None
        try:
            async with self._session.post("/v1/chat/completions", json=asked) as answer:
                raw, status = await answer.read(), answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"the engine: {type(error).__name__}")
        if status != HTTPStatus.OK:
            return _refusal(status, _message(raw))
        return _json(from_engine(orjson.loads(raw), body))


def _message(raw: bytes) -> str:
    """The engine's own words about a refusal."""
    try:
        return str(orjson.loads(raw)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return "the engine refused the request"


def _json(answer: Any, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")


def _refusal(status: int, message: str) -> web.Response:
    told = {"object": "error", "message": message, "type": "invalid_request_error", "code": status}
    return _json(told, status)
