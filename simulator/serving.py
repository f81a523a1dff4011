"""A simulator inside the running event loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from simulator.inference import Simulation
from simulator.server import application
from simulator.settings import Config

_BACKLOG = 4096
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
    """Listen until the block ends; calls in flight are then dropped."""
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
        await web.TCPSite(runner, config.host, config.port, backlog=_BACKLOG).start()
        host, port = runner.addresses[0][:2]
        yield Serving(f"http://{host}:{port}", simulation)
    finally:
        await runner.cleanup()
