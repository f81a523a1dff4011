"""The simulator over real sockets: routes, limits, faults and what it counts."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from simulator.fault_plan import FaultRules
from simulator.faults import FAULTS, Instead
from simulator.limits import LimitRules
from simulator.serving import Serving, serve
from simulator.settings import Config

CHAT = "/v1/chat/completions"
MODEL = "mistral-small-latest"
FIVE = {
    "x-ratelimit-limit-req-minute",
    "x-ratelimit-remaining-req-minute",
    "x-ratelimit-limit-tokens-minute",
    "x-ratelimit-remaining-tokens-minute",
    "x-ratelimit-tokens-query-cost",
}


def a_question(number: int = 0) -> dict[str, Any]:
    text = f"Expression of miR-{number} was raised. What was raised?"
    return {"model": MODEL, "messages": [{"role": "user", "content": text}]}


@asynccontextmanager
async def simulated(
    *, key: str = "any", **options: Any
) -> AsyncIterator[tuple[aiohttp.ClientSession, Serving]]:
    """A running simulator and a client of it."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        serve(Config(**options)) as serving,
        aiohttp.ClientSession(serving.url, headers=headers) as session,
    ):
        yield session, serving


def failing(*script: str | None) -> FaultRules:
    return FaultRules(script=script)


def limit_headers(answer: aiohttp.ClientResponse) -> set[str]:
    return {name.lower() for name in answer.headers if name.lower().startswith("x-ratelimit")}


async def statuses(session: aiohttp.ClientSession, count: int, path: str = CHAT) -> list[int]:
    async def ask(number: int) -> int:
        async with session.post(path, json=a_question(number)) as answer:
            return answer.status

    return await asyncio.gather(*map(ask, range(count)))


async def stats_of(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get("/_stats") as answer:
        return dict(await answer.json())


async def test_the_limit_headers_come_where_the_api_sends_them():
    """Chat carries all five headers, embeddings the request pair, models none; none is a wait."""
    async with simulated(limits=LimitRules(requests={"*": 60}, tokens={"*": 10_000})) as (it, _):
        chat = await it.post(CHAT, json=a_question())
        embedding = await it.post("/v1/embeddings", json={"model": "mistral-embed", "input": "a"})
        models = await it.get("/v1/models")
    assert limit_headers(chat) == FIVE
    assert chat.headers["x-ratelimit-limit-req-minute"] == "60"
    assert chat.headers["x-ratelimit-remaining-req-minute"] == "59"
    assert limit_headers(embedding) == {name for name in FIVE if name.endswith("req-minute")}
    assert limit_headers(models) == set()


async def test_over_the_limit_is_refused_and_counted():
    """A burst over the limit gets 429 with code 1300 and the headers, and no `Retry-After`."""
    async with simulated(limits=LimitRules(requests={MODEL: 5})) as (it, _):
        assert sorted(await statuses(it, 8)) == [200] * 5 + [429] * 3
        refused = await it.post(CHAT, json=a_question())
        body = await refused.json()
        stats = await stats_of(it)
    assert (body["code"], body["type"]) == ("1300", "rate_limited")
    assert limit_headers(refused) == FIVE
    assert "Retry-After" not in refused.headers
    assert (stats["accepted"], stats["refused"], stats["executed"]) == (5, 4, 5)
    assert sum(second["refused"] for second in stats["per_second"]) == 4


async def test_the_token_limit_is_debited_by_usage():
    """Once a call has used up the tokens of the minute, the next is refused."""
    async with simulated(limits=LimitRules(tokens={"*": 20})) as (it, _):
        assert await statuses(it, 1) == [200]
        assert await statuses(it, 1) == [429]


async def test_limits_change_at_run_time():
    """`POST /_limits` changes what it names and keeps the rest; nonsense is refused."""
    async with simulated(limits=LimitRules(requests={"*": 1}, window_s=60)) as (it, _):
        assert sorted(await statuses(it, 2)) == [200, 429]
        changed = await it.post("/_limits", json={"requests": {"*": 0}})
        assert (await changed.json())["window_s"] == 60
        refused = await it.post(CHAT, json=a_question())
        assert refused.headers["x-ratelimit-limit-req-minute"] == "0"
        assert (await it.post("/_limits", json={"requests": "many"})).status == 400


async def test_headers_can_be_kept_back():
    """With `limit_headers` off a client learns of limits by 429 alone."""
    limits = LimitRules(requests={"*": 1})
    async with simulated(limits=limits, limit_headers=False) as (it, _):
        answers = [await it.post(CHAT, json=a_question()) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert [limit_headers(answer) for answer in answers] == [set(), set()]


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/v1/models", "/v1/models/x"])
async def test_a_key_is_asked_for(path):
    """No key, or another than the one demanded, is 401; the control routes need none."""
    async with serve(Config(key="right")) as serving, aiohttp.ClientSession(serving.url) as it:
        method = it.get if "models" in path else it.post
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert (await method(path, headers=headers)).status == 401
        answer = await method(path, headers={"Authorization": "Bearer right"})
        assert answer.status != 401
        assert (await it.get("/_health")).status == 200


async def test_a_function_that_cannot_be_filled_is_refused():
    """A schema that refers to what it does not hold gives 400, unpaid."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"$ref": "#/$defs/x"}}}
    async with simulated() as (it, serving):
        answer = await it.post(CHAT, json={**a_question(), "tools": [tool]})
        assert (answer.status, serving.simulation.stats.figures.executed) == (400, 0)


async def test_unknown_models_and_routes():
    """An unknown model is 400 with code 1500, an unknown route 404, in the flat shape."""
    async with simulated() as (it, _):
        model = await it.post(CHAT, json={**a_question(), "model": "gpt-9"})
        route = await it.get("/v1/nothing")
        assert (model.status, (await model.json())["code"]) == (400, "1500")
        assert (route.status, (await route.json())["object"]) == (404, "error")


@pytest.mark.parametrize(
    "name", [name for name, fault in FAULTS.items() if isinstance(fault, Instead)]
)
async def test_an_error_fault_is_answered_as_it_stands(name):
    """Each error fault arrives with its status, body and headers, and is not paid."""
    fault = FAULTS[name]
    assert isinstance(fault, Instead)
    async with simulated(faults=failing(name)) as (it, serving):
        async with it.post(CHAT, json=a_question()) as answer:
            body = await answer.read()
        assert (answer.status, body) == (fault.reply.status, fault.reply.body)
        assert answer.content_type == fault.reply.content_type
        assert (
            fault.reply.headers.items() <= {k.lower(): v for k, v in answer.headers.items()}.items()
        )
        assert await statuses(it, 1) == [200]
        assert serving.simulation.stats.figures.executed == 1
        assert serving.simulation.stats.faults == {name: 1}


@pytest.mark.parametrize(("name", "paid"), [("reset_before", 0), ("reset_after", 1)])
async def test_a_reset_connection_is_paid_only_if_executed(name, paid):
    """A reset gives no answer at all; after execution the call is paid, and again when repeated."""
    async with simulated(faults=failing(name)) as (it, _):
        with pytest.raises(aiohttp.ClientConnectionError):
            await it.post(CHAT, json=a_question())
        assert await statuses(it, 1) == [200]
        stats = await stats_of(it)
    assert (stats["executed"], stats["duplicates"]) == (1 + paid, paid)


@pytest.mark.parametrize(("name", "paid"), [("hang", 0), ("hang_paid", 1)])
async def test_a_hanging_call_ends_with_its_client(name, paid):
    """Silence lasts until the client gives up, and then nothing is left in flight."""
    async with simulated(faults=failing(name)) as (it, serving):
        with pytest.raises(TimeoutError):
            await it.post(CHAT, json=a_question(), timeout=aiohttp.ClientTimeout(total=0.1))
        stats = serving.simulation.stats
        async with asyncio.timeout(30):
            while stats.in_flight:
                await asyncio.sleep(0.01)
        assert (stats.figures.accepted, stats.figures.executed) == (1, paid)


async def test_half_a_body_is_half_a_body():
    """A damaged answer is paid, and arrives broken off, cut, or not at all."""
    async with simulated(faults=failing("half_body", "cut_body", "empty_answer")) as (it, serving):
        with pytest.raises(aiohttp.ClientPayloadError):
            await (await it.post(CHAT, json=a_question())).read()
        cut = await it.post(CHAT, json=a_question())
        with pytest.raises(ValueError, match="line 1"):
            await cut.json()
        empty = await it.post(CHAT, json=a_question())
        assert (empty.status, await empty.read()) == (200, b"")
        assert serving.simulation.stats.figures.executed == 3


async def test_a_malformed_answer_is_paid():
    """A refusal instead of the function call is a good answer by HTTP, and counted by name."""
    async with simulated(faults=failing("refusal")) as (it, serving):
        answer = await (await it.post(CHAT, json=a_question())).json()
        assert "can't help" in answer["choices"][0]["message"]["content"]
        assert serving.simulation.stats.faults == {"refusal": 1}
        assert serving.simulation.stats.figures.executed == 1


async def test_faults_change_at_run_time():
    """`POST /_faults` begins and ends faults; an unknown name is refused with the known ones."""
    async with simulated() as (it, _):
        await it.post("/_faults", json={"windows": [{"name": "html_520", "from_s": 0, "to_s": 60}]})
        assert await statuses(it, 2) == [520, 520]
        await it.post("/_faults", json={})
        assert await statuses(it, 1) == [200]
        wrong = await it.post("/_faults", json={"rates": {"htlm_520": 1}})
        assert wrong.status == 400
        assert "html_520" in (await wrong.json())["message"]
        assert "malformed" in (await (await it.get("/_faults")).json())["groups"]


async def test_a_repeated_call_is_found_out():
    """Two equal bodies, with keys in another order, are one unique call executed twice."""
    async with simulated() as (it, _):
        for body in (a_question(), dict(reversed(a_question().items()))):
            assert (await it.post(CHAT, json=body)).status == 200
        stats = await stats_of(it)
        assert (stats["unique"], stats["duplicates"], stats["repeated"]) == (1, 1, 1)
        await it.post("/_reset")
        assert (await stats_of(it))["executed"] == 0


async def test_concurrency_is_seen():
    """Slow answers overlap: the peak counts them, and tokens are added up per model."""
    async with simulated(latency_median_s=0.2) as (it, _):
        assert await statuses(it, 20) == [200] * 20
        stats = await stats_of(it)
    assert stats["peak_in_flight"] == 20
    assert stats["in_flight"] == 0
    assert stats["models"][MODEL]["tokens_in"] == stats["tokens_in"] > 0


async def test_a_large_prompt_is_taken():
    """Half a megabyte of prompt is answered like any other, what passes the window is refused."""
    async with simulated() as (it, _):
        body = a_question()
        for times, status in ((13_000, 200), (60_000, 400)):
            body["messages"][0]["content"] = "Expression was raised in all samples. " * times
            large = io.BytesIO(json.dumps(body).encode())
            assert (await it.post(CHAT, data=large)).status == status
