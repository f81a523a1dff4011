"""The simulator as a process: quick to start, prompt to end, kept to its second."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter

import aiohttp

import simulator


def a_body(number: int) -> dict:
    message = {"role": "user", "content": f"What is miR-{number}?"}
    return {"model": "mistral-small-latest", "messages": [message]}


def statuses_of(url: str, per_second: int, seconds: float) -> Counter[int]:
    """Statuses of calls sent at even steps, counted."""
    with asyncio.Runner() as runner:
        return runner.run(ask_evenly(url, per_second, seconds))


async def ask_evenly(url: str, per_second: int, seconds: float) -> Counter[int]:
    """The same inside a loop; a call is sent whether or not earlier ones are answered."""
    async with aiohttp.ClientSession(url, headers={"Authorization": "Bearer k"}) as session:

        async def ask(number: int) -> int:
            await asyncio.sleep(number / per_second)
            async with session.post("/v1/chat/completions", json=a_body(number)) as answer:
                return answer.status

        numbers = range(int(per_second * seconds))
        return Counter(await asyncio.gather(*map(ask, numbers)))


def test_it_says_where_it_listens_and_can_be_steered():
    """`spawn` yields a running simulator whose faults and figures are at hand."""
    with simulator.spawn("--limit", "*=6000") as spawned:
        assert spawned.url.startswith("http://127.0.0.1:")
        spawned.steer("faults", rates={"server_error": 1})
        assert statuses_of(spawned.url, 100, 0.05) == {500: 5}
        stats = spawned.stats()
    assert (stats["requests"], stats["executed"]) == (5, 0)
    assert stats["faults"] == {"server_error": 5}


def test_twice_the_limit_is_half_refused():
    """Asked at twice the limit with a window of 1 s, it accepts the limit and no more."""
    with simulator.spawn("--limit", "*=3000", "--window", "1") as spawned:
        statuses = statuses_of(spawned.url, 100, 3.0)
        accepted = [second["accepted"] for second in spawned.stats()["per_second"]]
    assert statuses[200] + statuses[429] == 300
    assert statuses[200] == sum(accepted) >= 75
    # counted a moment after it is admitted, maybe in the next second; unlimited it would be 100
    assert max(accepted) <= 75


def test_sigterm_ends_it_promptly_even_with_calls_in_flight():
    """SIGTERM ends the process with code 0 while a call hangs that would never end."""
    command = [sys.executable, "-m", "simulator", "--port", "0", "--fault", "hang=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().split()[-1]

        async def hang() -> None:
            asking = asyncio.create_task(ask_evenly(url, 10, 0.1))
            await in_flight(url)
            process.send_signal(signal.SIGTERM)
            await asyncio.gather(asking, return_exceptions=True)

        with asyncio.Runner() as runner:
            runner.run(hang())
        assert process.wait(30) == 0, "sooner than aiohttp's own patience of a minute"


async def in_flight(url: str) -> None:
    """Returns when a call has arrived."""
    async with asyncio.timeout(30), aiohttp.ClientSession(url) as session:
        while True:
            async with session.get("/_stats") as answer:
                if (await answer.json())["in_flight"]:
                    return


def refused(*options: str) -> str:
    """What it says when it does not start, with exit code 2."""
    command = [sys.executable, "-m", "simulator", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_a_port_that_is_taken_is_told():
    """With the way out, and no traceback."""
    with simulator.spawn() as spawned:
        port = spawned.url.rpartition(":")[2]
        assert "choose another --port" in refused("--port", port)


def test_a_host_that_is_none_is_told():
    """The same for an address that is not this machine's."""
    assert "choose another --host" in refused("--host", "0.0.0.0x", "--port", "0")
