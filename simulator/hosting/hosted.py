"""What the account keeps and runs by itself: files, batches, fine-tuning jobs; one clock moves it.

The clock works in slices so short that calls in real time hardly notice.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict

import orjson
from aiohttp import web

from models.errors import BadInputError
from simulator.hosted_rules import Steering
from simulator.hosting.batch_routes import BatchRoutes
from simulator.hosting.batches import Batches
from simulator.hosting.file_routes import FileRoutes
from simulator.hosting.files import Files
from simulator.hosting.tuning_routes import TuningRoutes
from simulator.hosting.tunings import Tunings
from simulator.inference import Simulation, answer, response
from simulator.replies import detailed, invalid_request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_SLICE_S = 0.008
_PAUSE_S = 0.02
_UNKNOWN_KEY = detailed(401, "Unauthorized")


class Hosted:
    """The routes, and the clock behind them."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.steering = Steering(simulation.config.hosted)
        self.files = Files()
        self.batches = Batches(simulation, self.files, self.steering)
        self.tunings = Tunings(simulation, self.steering)
        self._woken = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """The routes of the API, for known keys, and `/_batch`, for anybody."""
        simulation, files, steering = self._simulation, self.files, self.steering
        routes = [
            *FileRoutes(simulation, files, steering).routes(),
            *BatchRoutes(simulation, files, self.batches, steering).routes(),
            *TuningRoutes(simulation, files, self.tunings, steering).routes(),
        ]
        guarded = [web.route(it.method, it.path, self._guarded(it.handler)) for it in routes]
        return [*guarded, web.post("/_batch", self._steer)]

    def _guarded(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._simulation.knows(request):
                return response(_UNKNOWN_KEY)
            try:
                return await handler(request)
            except BadInputError as problem:
                return response(detailed(422, str(problem)))
            finally:
                self._woken.set()

        return handle

    async def _steer(self, request: web.Request) -> web.StreamResponse:
        """Change the rules that are named; the others stay."""
        try:
            rules = self.steering.change(orjson.loads(await request.read() or b"{}"))
        except (BadInputError, ValueError, TypeError) as problem:
            return response(invalid_request(str(problem)))
        return answer(asdict(rules))

    async def ticking(self, app: web.Application) -> AsyncIterator[None]:
        """Run the clock while the application runs."""
        clock = asyncio.create_task(self._tick())
        yield
        clock.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await clock
        self.batches.close()
        self.files.close()

    async def _tick(self) -> None:
        while True:
            now = time.time()
            busy = [part.tick(now, _SLICE_S) for part in (self.batches, self.tunings)]
            if self.batches.is_idle and self.tunings.is_idle:
                self._woken.clear()
                await self._woken.wait()
            else:
                await asyncio.sleep(0 if any(busy) else _PAUSE_S)
