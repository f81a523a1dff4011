"""One line of a batch: executed as a call in real time would be, and written down."""

import random
import uuid
from dataclasses import dataclass
from typing import Any

import orjson

from models.errors import BadInputError
from simulator.endpoints import PromptCache
from simulator.hosted_rules import HostedRules
from simulator.hosting.batch_jobs import BatchJob
from simulator.inference import Simulation
from simulator.replies import ERRORS, Reply, invalid_request

_FAILURES = {
    "fail_500": ERRORS["server_error"],
    "fail_429": ERRORS["rate_limited"],
    "fail_400": ERRORS["invalid_request_3003"],
}
_NOT_A_LINE = invalid_request('a line is {"custom_id": "...", "body": {...}}')


@dataclass(frozen=True, slots=True)
class Written:
    """A line of the output or error file, with its end."""

    text: bytes
    failed: bool


class LineExecutor:
    """Executes lines on the simulated account; what fails is drawn per line, never by content."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._random = random.Random(simulation.config.seed)  # noqa: S311 # reproducible
        self._cache = PromptCache()

    def execute(self, raw: bytes, job: BatchJob, rules: HostedRules) -> Written:
        """What the line `raw` of `job` comes to."""
        try:
            line = orjson.loads(raw)
            custom_id, body = line.get("custom_id"), dict(line["body"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return _failed(None, _NOT_A_LINE, rules)
        reply = self._drawn(rules) or self._answered(body, job)
        if reply.status != 200:
            return _failed(custom_id, reply, rules)
        response = {"status_code": 200, "body": orjson.Fragment(reply.body)}
        return Written(_line(custom_id, response, None), failed=False)

    def _drawn(self, rules: HostedRules) -> Reply | None:
        """The failure that the rules want for this line."""
        place = self._random.random()
        for name, reply in _FAILURES.items():
            place -= getattr(rules, name)
            if place < 0:
                return reply
        return None

    def _answered(self, body: dict[str, Any], job: BatchJob) -> Reply:
        if job.model is not None:
            body["model"] = job.model
        call = job.endpoint.read(orjson.dumps(body), self._simulation.models)
        if isinstance(call, Reply):
            return call
        try:
            payload, usage = call.endpoint.answer(
                call, self._cache, self._simulation.taught.get(call.model)
            )
        except BadInputError as problem:
            return invalid_request(str(problem))
        except (
            Exception
        ):  # in real time it would be this request's 500: no reason to stop the clock
            return ERRORS["server_error"]
        hosted = self._simulation.stats.hosted
        hosted.executed(call.digest, usage.prompt, usage.completion)
        self._simulation.journal.note("executed", n=None, batch=job.id, **call.told(usage))
        return Reply(200, orjson.dumps(payload))


def _failed(custom_id: str | None, reply: Reply, rules: HostedRules) -> Written:
    if rules.errors_as == "error":
        message = orjson.loads(reply.body)["message"]
        error = {"message": message, "code": reply.status}
        return Written(_line(custom_id, None, error), failed=True)
    response = {"status_code": reply.status, "body": orjson.Fragment(reply.body)}
    return Written(_line(custom_id, response, None), failed=True)


def _line(custom_id: str | None, response: object, error: object) -> bytes:
    line = {"id": f"batch-{uuid.uuid4()}", "custom_id": custom_id}
    return orjson.dumps({**line, "response": response, "error": error}) + b"\n"
