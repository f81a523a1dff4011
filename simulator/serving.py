"""A simulator inside the running event loop."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from models.errors import BadInputError
from simulator.inference import Simulation
from simulator.server import application
from simulator.settings import Config

_BACKLOG = 4096
_NOT_HERE = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
"""`localhost` may name ::1 on a machine without IPv6: then its other address will do."""
_ACCEPTS = 16
"""Connections taken at most in one turn of the loop. libuv takes one a turn and listener: a busy
loop, whose turns are long, would leave a herd of new callers waiting until the load is over."""
_SHUTDOWN_S = 0.1


@dataclass(frozen=True, slots=True)
class Serving:
    """A listening simulator; `url` has no trailing slash and no `/v1`.

    `simulation` is its inside: its `stats`, and `faults` and `gates` to change.
    """

    url: str
    simulation: Simulation


@asynccontextmanager
async def serve(config: Config | None = None) -> AsyncIterator[Serving]:
    """Listen until the block ends; calls in flight are then dropped.

    Raises `BadInputError` where it cannot listen.
    """
    config = config or Config()
    simulation = Simulation(config)
    runner = web.AppRunner(
        application(simulation),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_S,
    )
    await runner.setup()
    try:
        await _listen(runner, config)
        host, port = runner.addresses[0][:2]
        yield Serving(f"http://{host}:{port}", simulation)
    finally:
        await runner.cleanup()
        simulation.journal.close()


async def _listen(runner: web.AppRunner, config: Config) -> None:
    """Several listeners on each socket: every one takes one connection a turn."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
        for family, *_, address in found:
            if runner.addresses and not config.port:
                break  # another address would get another free port
            try:
                listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                continue
            with listening:
                for _ in range(_ACCEPTS):
                    await web.SockSite(runner, listening.dup(), backlog=_BACKLOG).start()
    except OSError as error:
        raise BadInputError(_refusal(error, config)) from error
    if not runner.addresses:
        raise BadInputError(f"{config.host!r} is no address of this machine: choose another --host")


def _refusal(error: OSError, config: Config) -> str:
    """Why it cannot listen there, and which option to change."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{config.host!r} is no address of this machine: choose another --host"
    why = os.strerror(error.errno or 0).lower()
    place = f"{config.host}:{config.port}"
    return f"cannot listen on {place} ({why}): choose another --port (0 takes a free one)"
