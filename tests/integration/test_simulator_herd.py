"""Many connections at once: a loop whose turns are long must not leave them waiting."""

import asyncio
import errno
import select
import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

from simulator.serving import serve
from simulator.settings import Config

HERD = 60
TURNS = 20
BOTH = ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))


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


async def test_a_name_that_means_an_address_of_elsewhere_too(monkeypatch: pytest.MonkeyPatch):
    """`localhost` is ::1 as well, which a machine without IPv6 does not have."""
    real = socket.create_server

    def create(address: tuple[str, int], **how: Any) -> socket.socket:
        if address[0] == "::1":
            raise OSError(errno.EADDRNOTAVAIL, "not here")
        return real(address, **how)

    def meant(*_: Any, **__: Any) -> Any:
        return [(family, 1, 6, "", (host, 0)) for family, host in BOTH]

    monkeypatch.setattr(socket, "create_server", create)
    monkeypatch.setattr(socket, "getaddrinfo", meant)
    async with serve(Config(host="localhost", port=0)) as serving:
        assert urlsplit(serving.url).hostname == "127.0.0.1"
