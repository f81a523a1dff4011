"""Many connections at once: a loop whose turns are long must not leave them waiting."""

import asyncio
import select
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import uvloop

from simulator.serving import serve

HERD = 60
TURNS = 20


async def answered_within(turns: int) -> int:
    """How many of a herd of connections are answered after so many turns of the loop."""
    async with serve() as serving:
        place = urlsplit(serving.url)
        with ExitStack() as stack:
            herd = [
                stack.enter_context(socket.create_connection((place.hostname, place.port)))
                for _ in range(HERD)
            ]
            for one in herd:
                one.sendall(b"GET /_stats HTTP/1.1\r\nHost: here\r\n\r\n")
            for _ in range(turns):
                await asyncio.sleep(0)
            readable, _, _ = select.select(herd, [], [], 0)
            return len(readable)


def test_a_herd_is_taken_in_a_few_turns():
    """uvloop takes one connection a turn and listener: a busy loop would take seconds for these."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(answered_within(TURNS)) == HERD
