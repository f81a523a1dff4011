"""A bare aiohttp loop: the same requests with nothing around them. The baseline of `throughput`.

`python -m benchmarks.bare URL FILE IN_FLIGHT` prints one JSON line: calls, seconds, CPU seconds.
"""

import asyncio
import json
import resource
import sys
import time

import aiohttp
import orjson
import uvloop


async def _run(url: str, bodies: list[bytes], in_flight: int) -> float:
    places = asyncio.Semaphore(in_flight)
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def call(body: bytes) -> None:
            async with places, session.post(url, data=body) as answer:
                orjson.loads(await answer.read())

        began = time.perf_counter()
        await asyncio.gather(*(call(body) for body in bodies))
        return time.perf_counter() - began


def main() -> None:
    """Posts every body of FILE (one JSON request a line)."""
    url, path, in_flight = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(path, "rb") as lines:  # noqa: PTH123 # a benchmark
        bodies = [line.rstrip() for line in lines]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seconds = runner.run(_run(f"{url}/v1/chat/completions", bodies, in_flight))
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"calls": len(bodies), "s": seconds, "cpu_s": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
