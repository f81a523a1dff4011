"""The front of local models over an engine that answers what the test tells it to."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from producers.processes import free_port
from worker.serving.front import Front

ANSWER = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "news"}}]}


class Engine:
    """Answers with `status` and `answer`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status, self.answer = 200, {**ANSWER, "model": "m.gguf"}

    async def chat(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        return web.json_response(self.answer, status=self.status)


@pytest.fixture
def engine() -> Engine:
    return Engine()


async def opened(app: web.Application) -> TestServer:
    server = TestServer(app)
    await server.start_server()
    return server


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[aiohttp.ClientSession]:
    """Speaks to a front over the engine."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", engine.chat)
    behind = await opened(app)
    front = await opened(Front(str(behind.make_url("/")), ["base", "news"]).application())
    async with aiohttp.ClientSession(front.make_url("/")) as session:
        yield session
    await front.close()
    await behind.close()


async def ask(client: aiohttp.ClientSession, **body: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/v1/chat/completions", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_request_reaches_the_engine_with_its_adapter(client, engine):
    """The name chose it, and the answer has that name."""
    status, answer = await ask(client, model="news", messages=[])
    assert (status, answer["model"]) == (200, "news")
    assert engine.asked[0]["lora"] == [{"id": 0, "scale": 1.0}]


async def test_the_models_are_listed(client):
    """Base first, as any OpenAI-shaped server lists them."""
    async with client.get("/v1/models") as answer:
        assert [model["id"] for model in (await answer.json())["data"]] == ["base", "news"]


async def test_an_unknown_model_never_reaches_the_engine(client, engine):
    """404 with the names there are."""
    status, answer = await ask(client, model="nope", messages=[])
    assert (status, engine.asked) == (404, [])
    assert "base, news" in answer["message"]


async def test_what_the_engine_refuses_keeps_its_status_and_words(client, engine):
    """A context that is too long is the caller's to mend, not ours to hide."""
    engine.status, engine.answer = 400, {"error": {"message": "too many tokens"}}
    status, answer = await ask(client, model="base", messages=[])
    assert (status, answer["message"]) == (400, "too many tokens")


async def test_a_body_that_is_no_request_is_refused(client):
    """422, as Mistral's API says."""
    async with client.post("/v1/chat/completions", data=b"[]") as answer:
        assert answer.status == 422


async def test_an_engine_that_is_gone_is_worth_another_try():
    """503: the caller's gateway waits and asks again."""
    front = await opened(Front(f"http://127.0.0.1:{free_port()}", ["base"]).application())
    async with aiohttp.ClientSession(front.make_url("/")) as client:
        status, answer = await ask(client, model="base", messages=[])
    await front.close()
    assert (status, answer["message"]) == (503, "the engine: ClientConnectorError")
