"""What a simulated call costs: server CPU and requests/s, against a bare aiohttp handler.

    python benchmarks/simulator.py [--requests 5000] [--concurrency 50]

Both servers run as processes of their own and are asked the same 2 kB chat requests by the same
client in the same run. CPU is the server's user and system time, from /proc.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[1]))  # run from a checkout
import simulator

_SENTENCE = (
    "Expression of miR-{0} was raised in {1} samples of melanoma, and PTCH1 was its target. "
)
_LETTERS = 2000
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """One server under load."""

    name: str
    cpu_ms: float
    per_second: float


def request_body(number: int, *, with_function: bool) -> bytes:
    """A chat request with a prompt of 2 kB that is unlike all others."""
    text = "".join(_SENTENCE.format(number + line, line) for line in range(_LETTERS // 80))
    body = {
        "model": "mistral-small-latest",
        "messages": [{"role": "user", "content": f"Abstract: {text}\n\nWhat raised miR-{number}?"}],
    }
    return orjson.dumps({**body, **(_FUNCTION if with_function else {})})


_QUESTIONS = {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}
_PARAMETERS = {"type": "object", "properties": {"questions": _QUESTIONS}, "required": ["questions"]}
_FUNCTION = {
    "tools": [{"type": "function", "function": {"name": "ask", "parameters": _PARAMETERS}}],
    "tool_choice": "required",
}


async def load(url: str, requests: int, concurrency: int, *, with_function: bool) -> None:
    """Ask `requests` times, `concurrency` at once."""
    numbers = iter(range(requests))
    connector = aiohttp.TCPConnector(limit=concurrency)
    headers = {"Authorization": "Bearer any", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask() -> None:
            for number in numbers:
                body = request_body(number, with_function=with_function)
                async with session.post(f"{url}/v1/chat/completions", data=body) as answer:
                    await answer.read()
                    answer.raise_for_status()

        await asyncio.gather(*(ask() for _ in range(concurrency)))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(name: str, url: str, pid: int, options: argparse.Namespace) -> Measured:
    """Warm up, then load and read the clocks."""
    with_function = name == "function call"
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load(url, 200, options.concurrency, with_function=with_function))
        cpu, began = cpu_seconds(pid), time.perf_counter()
        runner.run(load(url, options.requests, options.concurrency, with_function=with_function))
    took = time.perf_counter() - began
    return Measured(
        name, (cpu_seconds(pid) - cpu) / options.requests * 1e3, options.requests / took
    )


@contextmanager
def bare_server() -> Iterator[tuple[str, int]]:
    """A handler that reads the body and returns a constant, in a process of its own."""
    command = [sys.executable, __file__, "--bare"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
    finally:
        process.terminate()
        process.wait()


async def serve_bare() -> None:
    """What the simulator is compared with."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"{}", content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def compare(options: argparse.Namespace) -> list[Measured]:
    """The bare handler first, then the simulator with text and with function calls."""
    with bare_server() as (url, pid):
        measured = [measure("bare handler", url, pid, options)]
    with simulator.spawn() as spawned:
        for name in ("text", "function call"):
            measured.append(measure(name, spawned.url, spawned.pid, options))
    return measured


def main() -> None:
    """Print one line of JSON per server."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_bare())
    bare, *others = compare(options)
    for one in (bare, *others):
        ratio = round(one.cpu_ms / bare.cpu_ms, 2)
        figures = {"cpu_ms_per_request": round(one.cpu_ms, 3), "ratio_to_bare": ratio}
        print(json.dumps({"server": one.name, **figures, "requests_per_s": round(one.per_second)}))


if __name__ == "__main__":
    main()
