"""What one chat call costs this process: our gateway, bare aiohttp, and the SDK's async client.

All three ask the same constant server (a subprocess) with the same number in flight, in rounds that
take turns; printed is the CPU time of this process per call (best and median of the rounds).

    python -m benchmarks.gateway [--calls 4000] [--in-flight 500] [--rounds 3] [--sdk-calls 200]
"""

import argparse
import asyncio
import gc
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp
import orjson
import uvloop
from aiohttp import web
from pydantic import SecretStr

from worker.gateway.gateway import Gateway
from worker.gateway.replies import Reply

BODY = {
    "model": "mistral-small-latest",
    "temperature": 0.7,
    "max_tokens": 800,
    "messages": [
        {"role": "system", "content": "You write one question about the text. " * 10},
        {"role": "user", "content": "The sea was calm and the wind came from the north. " * 40},
    ],
}
ANSWER = {
    "id": "cmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "mistral-small-2611",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "An answer. " * 130, "tool_calls": None},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 600, "completion_tokens": 400, "total_tokens": 1000},
}
HEADERS = {
    "Content-Type": "application/json",
    "x-ratelimit-limit-req-minute": "720",
    "x-ratelimit-remaining-req-minute": "719",
    "x-ratelimit-limit-tokens-minute": "5000000",
    "x-ratelimit-remaining-tokens-minute": "4999000",
    "x-ratelimit-tokens-query-cost": "1000",
}
THINKING_S = 0.05
Call = Callable[[], Awaitable[None]]


async def serve() -> None:
    """The constant server: the same answer after 50 ms, on a port it prints."""
    answer = orjson.dumps(ANSWER)

    async def chat(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(THINKING_S)
        return web.Response(body=answer, headers=HEADERS)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=2048).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def cpu_s() -> float:
    """CPU time of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(call: Call, calls: int, in_flight: int) -> tuple[float, float]:
    """CPU ms per call, and calls per second."""
    left = iter(range(calls))

    async def lane() -> None:
        for _ in left:
            await call()

    gc.collect()
    cpu, wall = cpu_s(), time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return (cpu_s() - cpu) / calls * 1000, calls / (time.perf_counter() - wall)


async def compare(url: str, given: argparse.Namespace) -> None:
    """Run the three in turns and print them."""
    from mistralai.client import Mistral  # noqa: PLC0415 # 0.3-3 s

    sent = orjson.dumps(BODY)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Gateway(url, SecretStr("no-key")) as gateway,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        Mistral(api_key="no-key", server_url=url) as sdk,
    ):

        async def ours() -> None:
            assert isinstance(await gateway.chat(BODY), Reply)

        async def bare() -> None:
            async with session.post(
                f"{url}/v1/chat/completions",
                data=sent,
                headers={"Content-Type": "application/json", "Authorization": "Bearer no-key"},
            ) as response:
                orjson.loads(await response.read())

        async def with_sdk() -> None:
            assert await sdk.chat.complete_async(**BODY)

        runs = [
            ("gateway", ours, given.calls, given.in_flight),
            ("bare aiohttp", bare, given.calls, given.in_flight),
            ("mistralai SDK", with_sdk, given.sdk_calls, min(given.in_flight, given.sdk_calls)),
        ]
        await report(runs, given.rounds)


async def report(runs: list[tuple[str, Call, int, int]], rounds: int) -> None:
    """One warm-up each, then rounds in turn; a table."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in runs}
    for _, call, calls, in_flight in runs:
        await measure(call, max(calls // 4, in_flight), in_flight)
    for _ in range(rounds):
        for name, call, calls, in_flight in runs:
            found[name].append(await measure(call, calls, in_flight))
    best = {name: min(cpu for cpu, _ in seen) for name, seen in found.items()}
    print(f"{'':14} {'CPU ms/call':>12} {'median':>8} {'calls/s':>8} {'x bare':>7} {'x ours':>7}")
    for name, seen in found.items():
        median = statistics.median(cpu for cpu, _ in seen)
        rate = max(rate for _, rate in seen)
        ratios = f"{best[name] / best['bare aiohttp']:7.2f} {best[name] / best['gateway']:7.2f}"
        print(f"{name:14} {best[name]:12.3f} {median:8.3f} {rate:8.0f} {ratios}")


def main() -> None:
    """Start the server, compare, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--in-flight", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sdk-calls", type=int, default=200)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve())
        return
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.gateway", "--serve"], stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout
            uvloop.run(compare(f"http://127.0.0.1:{int(server.stdout.readline())}", given))
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
