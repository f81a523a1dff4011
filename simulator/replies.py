"""Error bodies of the API, by name. Shapes as observed; nothing here knows when they are sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError

Misread = ValidationError | orjson.JSONDecodeError
JSON = "application/json"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, ready to be sent."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def error(status: int, message: object, kind: str, code: str | None = None) -> Reply:
    """An error in the API's flat shape; `code` is a number written as text."""
    body = {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }
    return Reply(status, orjson.dumps(body))


def detailed(status: int, detail: object) -> Reply:
    """FastAPI's own shape, in which the routes of files, batches and fine-tuning answer errors."""
    return Reply(status, orjson.dumps({"detail": detail}))


def wrong_in(problem: Misread) -> list[dict[str, Any]]:
    """FastAPI's list of what is wrong with a body that was read as JSON."""
    if isinstance(problem, orjson.JSONDecodeError):
        return [_detail("json_invalid", (problem.pos,), problem.msg, None)]
    found = problem.errors(include_url=False, include_context=False)
    return [_detail(one["type"], one["loc"], one["msg"], one["input"]) for one in found]


def _detail(kind: str, place: tuple[int | str, ...], message: str, given: object) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *place], "msg": message, "input": given}


def misread(problem: Misread) -> Reply:
    """422 of those routes."""
    return detailed(422, wrong_in(problem))


def unprocessable(detail: list[dict[str, Any]]) -> Reply:
    """422: the one error whose `message` is an object, with FastAPI's list inside."""
    return error(422, {"detail": detail}, "invalid_request_error")


def invalid_model(model: str) -> Reply:
    """400, code 1500: there is no such model, or not for this route."""
    return error(400, f"Invalid model: {model}", "invalid_model", "1500")


def invalid_request(message: str) -> Reply:
    """400, code 3003: well formed, and yet not to be done."""
    return error(400, message, "invalid_request_error", "3003")


def too_large(message: str) -> Reply:
    """400, code 3210: more than one request for embeddings may hold."""
    return error(400, message, "invalid_request_prompt", "3210")


def prompt_too_long(tokens: int, most: int) -> Reply:
    """400, code 3051: more than the model's window."""
    told = f"Prompt contains {tokens} tokens and 0 draft tokens, too large for model with {most}"
    return error(400, f"{told} maximum context length", "invalid_request_prompt", "3051")


def rate_limited(message: str = "Rate limit exceeded", **headers: str) -> Reply:
    """429, code 1300: the account's own limit."""
    reply = error(429, message, "rate_limited", "1300")
    return Reply(reply.status, reply.body, headers=headers)


def page(status: int, title: str) -> Reply:
    """An HTML page, as proxies in front of the API write them."""
    text = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Reply(status, text.encode(), HTML)


def capacity(status: int, kind: str, code: str) -> Reply:
    """The provider is out of capacity: not the account's limit, though it may say 429."""
    return error(status, "Service tier capacity exceeded for this model.", kind, code)


UNAUTHORIZED = error(401, "Unauthorized", "invalid_request_error", "1000")
NO_STREAMING = invalid_request("the simulator does not stream")
NOT_FOUND = error(404, "Not found", "not_found")
_MODEL_MISSING = {"type": "missing", "loc": ["body", "model"], "msg": "Field required"}
_FOREIGN = {"error": {"message": "engine is dead", "type": "InternalServerError", "code": 500}}

ERRORS: Mapping[str, Reply] = {
    "rate_limited": rate_limited(),
    "rate_limited_short": Reply(429, b'{"message":"Requests rate limit exceeded"}'),
    "retry_after_second": rate_limited(**{"retry-after": "1"}),
    "retry_after_day": rate_limited(**{"retry-after": "86400"}),
    "retry_after_negative": rate_limited(**{"retry-after": "-1"}),
    "retry_after_date": rate_limited(**{"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}),
    "retry_after_garbage": rate_limited(**{"retry-after": "soon, I hope"}),
    "capacity_429": capacity(429, "service_tier_capacity_exceeded", "3505"),
    "capacity_503": capacity(503, "backend_out_of_capacity", "3505"),
    "capacity_3810": capacity(429, "service_tier_capacity_exceeded", "3810"),
    "server_error": error(500, "Internal server error", "internal_server_error", "1000"),
    "bad_gateway": page(502, "502 Bad Gateway"),
    "brownout_503": error(503, "Service unavailable.", "internal_server_proxy_error", "1001"),
    "gateway_timeout": page(504, "504 Gateway Time-out"),
    "request_timeout": error(408, "Request timeout", "request_timeout"),
    "too_early": error(425, "Too early", "too_early"),
    "html_520": page(520, "520: Web server is returning an unknown error"),
    "overloaded_529": error(529, "Overloaded", "overloaded_error"),
    "empty_body": Reply(502, b""),
    "spending_limit": error(402, "Monthly spending limit reached.", "payment_required", "2300"),
    "unauthorized": UNAUTHORIZED,
    "forbidden_1910": error(403, "Access to this resource is forbidden", "forbidden", "1910"),
    "forbidden_1913": error(403, "This model is not open to your workspace", "forbidden", "1913"),
    "invalid_model": invalid_model("mistral-huge-latest"),
    "invalid_request_3003": invalid_request("Invalid request"),
    "not_found": NOT_FOUND,
    "unprocessable": unprocessable([_MODEL_MISSING]),
    "vllm_error": Reply(500, orjson.dumps(_FOREIGN)),
}
"""Every error body a client may meet, by the name under which it can be provoked."""
