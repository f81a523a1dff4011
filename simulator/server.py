"""The routes: inference and models as the API has them, and `/_...` to steer and watch."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, TypeVar

import orjson
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from models.errors import BadInputError
from simulator.catalogue import model_card, model_list
from simulator.endpoints import ENDPOINTS, Endpoint
from simulator.fault_plan import FaultRules
from simulator.faults import FAULTS, GROUPS
from simulator.hosting.hosted import Hosted
from simulator.inference import Simulation, answer, response
from simulator.limits import LimitRules
from simulator.replies import NOT_FOUND, UNAUTHORIZED, Reply, invalid_model, invalid_request

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Rules = TypeVar("Rules", LimitRules, FaultRules)
_LIMIT_RULES = TypeAdapter(LimitRules)
_FAULT_RULES = TypeAdapter(FaultRules)
_LARGEST_BODY = 64 * 2**20


def application(simulation: Simulation) -> web.Application:
    """The simulator as an aiohttp application."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    inference = [web.post(it.path, _inference(simulation, it)) for it in ENDPOINTS]
    app.add_routes([*inference, *Models(simulation).routes(), *Control(simulation).routes()])
    hosted = Hosted(simulation)
    app.add_routes(hosted.routes())
    app.cleanup_ctx.append(hosted.ticking)
    app.router.add_route("*", "/{anything:.*}", _not_found)
    return app


def _inference(simulation: Simulation, endpoint: Endpoint) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await simulation.infer(request, endpoint)

    return handle


async def _not_found(request: web.Request) -> web.StreamResponse:
    return response(NOT_FOUND)


class Models:
    """The catalogue's routes: no limits, no faults."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/v1/models", self._list), web.get("/v1/models/{model}", self._card)]

    async def _list(self, request: web.Request) -> web.Response:
        if not self._simulation.knows(request):
            return response(UNAUTHORIZED)
        return answer(model_list(self._simulation.models))

    async def _card(self, request: web.Request) -> web.Response:
        if not self._simulation.knows(request):
            return response(UNAUTHORIZED)
        model = request.match_info["model"]
        known = model in self._simulation.models
        return answer(model_card(model)) if known else response(invalid_model(model))


class Control:
    """The routes that the real API does not have: they need no key."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def routes(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/_health", self._health),
            web.get("/_stats", self._stats),
            web.post("/_reset", self._reset),
            web.post("/_limits", self._limits),
            web.get("/_faults", self._names),
            web.post("/_faults", self._faults),
        ]

    async def _health(self, request: web.Request) -> web.Response:
        return answer({"status": "ok"})

    async def _stats(self, request: web.Request) -> web.Response:
        return answer(self._simulation.stats.report(time.monotonic()))

    async def _reset(self, request: web.Request) -> web.Response:
        """Forget the counts; limits used stay used."""
        self._simulation.stats = self._simulation.stats.successor(time.monotonic())
        return answer({"status": "ok"})

    async def _limits(self, request: web.Request) -> web.Response:
        """Change the limits that are named; the others stay."""
        gates = self._simulation.gates
        rules = _read(_LIMIT_RULES, await request.read(), asdict(gates.rules))
        if isinstance(rules, Reply):
            return response(rules)
        gates.change(rules)
        return answer(asdict(rules))

    async def _names(self, request: web.Request) -> web.Response:
        return answer({"faults": sorted(FAULTS), "groups": dict(GROUPS)})

    async def _faults(self, request: web.Request) -> web.Response:
        """Follow other fault rules from now on; `{}` ends all faults."""
        rules = _read(_FAULT_RULES, await request.read(), {})
        if isinstance(rules, Reply):
            return response(rules)
        self._simulation.faults.change(rules, time.monotonic())
        return answer(asdict(rules))


def _read(adapter: TypeAdapter[Rules], raw: bytes, usual: dict[str, Any]) -> Rules | Reply:
    try:
        return adapter.validate_python({**usual, **orjson.loads(raw or b"{}")})
    except (ValidationError, BadInputError, TypeError, ValueError) as problem:
        return invalid_request(str(problem))
