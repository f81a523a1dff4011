"""HTTP errors told as faults: every row of the known table, and the shapes other servers use."""

import orjson
import pytest

from worker.gateway.faults import FaultKind, LimitHeaders
from worker.gateway.normalising import MAYBE_PAID, normalise

HTML = b"<!DOCTYPE html><html><title>520: unknown error</title></html>"
PROMPT = "the confidential prompt of this test"


def flat(code: object = None, kind: str | None = None, message: object = "no") -> bytes:
    """Mistral's own shape of an error."""
    return orjson.dumps(
        {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    )


def detail(item: object) -> bytes:
    """FastAPI's shape of an error."""
    return orjson.dumps({"detail": item})


def foreign(message: str, code: object = None) -> bytes:
    """The shape of vLLM, llama.cpp and Ollama."""
    return orjson.dumps({"error": {"message": message, "type": "BadRequestError", "code": code}})


QUOTA, CAPACITY, MONEY = FaultKind.QUOTA, FaultKind.CAPACITY, FaultKind.MONEY
ACCOUNT, REJECTED, TRANSIENT = FaultKind.ACCOUNT, FaultKind.REJECTED, FaultKind.TRANSIENT
TABLE = [
    (429, flat("1300", "rate_limited", "Rate limit exceeded"), QUOTA),
    (429, flat(1300, "rate_limited"), QUOTA),
    (429, b'{"message":"Requests rate limit exceeded"}', QUOTA),
    (429, b"", QUOTA),
    (429, HTML, QUOTA),
    (429, foreign("model is at capacity"), QUOTA),
    (429, flat("3505", "service_tier_capacity_exceeded"), CAPACITY),
    (429, flat(3505, None), CAPACITY),
    (503, flat("3505", "backend_out_of_capacity"), CAPACITY),
    (503, flat(None, "backend_out_of_capacity"), CAPACITY),
    (503, flat("3810"), CAPACITY),
    (500, flat("3810"), CAPACITY),
    (402, flat("2300", "spending_limit"), MONEY),
    (402, b"", MONEY),
    (403, flat(2300), MONEY),
    (429, flat(2300), MONEY),
    (401, flat(None, None, "Unauthorized"), ACCOUNT),
    (401, detail("Invalid API key"), ACCOUNT),
    (403, flat("1910"), ACCOUNT),
    (403, flat(1913), ACCOUNT),
    (403, flat(None, "content_moderation", "blocked by guardrail"), REJECTED),
    (400, flat("1500", "invalid_model", "Invalid model: x"), ACCOUNT),
    (400, flat(None, "invalid_model"), ACCOUNT),
    (400, flat("3003", "invalid_request"), REJECTED),
    (400, flat("3051", "invalid_request_prompt", "Prompt contains 40000 tokens"), REJECTED),
    (400, foreign("maximum context length is 4096 tokens", 1500), REJECTED),
    (404, foreign("The model `x` does not exist.", 404), ACCOUNT),
    (404, detail("Not Found"), ACCOUNT),
    (404, HTML, ACCOUNT),
    (404, flat(None, "not_found", "model x not found"), ACCOUNT),
    (404, flat(None, "not_found", "file 12 not found"), REJECTED),
    (405, detail("Method Not Allowed"), ACCOUNT),
    (407, b"", ACCOUNT),
    (302, b"", ACCOUNT),
    (308, HTML, ACCOUNT),
    (413, b"", REJECTED),
    (422, detail([{"loc": ["body", "seed"], "msg": "extra", "type": "x"}]), REJECTED),
    (422, flat(None, "invalid_request_error", {"detail": [{"loc": [], "msg": "m"}]}), REJECTED),
    (408, b"", TRANSIENT),
    (425, b"", TRANSIENT),
    (500, flat(1000, "internal_server_error"), TRANSIENT),
    (500, b"null", TRANSIENT),
    (500, b"[1]", TRANSIENT),
    (502, HTML, TRANSIENT),
    (503, b"upstream connect error", TRANSIENT),
    (503, b'{"error":"Service Unavailable"}', TRANSIENT),
    (504, b"", TRANSIENT),
    (520, HTML, TRANSIENT),
    (529, b'{"message": 5, "code": [], "type": {}}', TRANSIENT),
    (599, b"\xff\xfe\x00", TRANSIENT),
]


@pytest.mark.parametrize(("status", "body", "kind"), TABLE)
def test_each_known_error_is_told_apart(status: int, body: bytes, kind: FaultKind) -> None:
    """The body decides where it speaks, the status where it does not."""
    fault = normalise(status, {}, body)
    assert (fault.kind, fault.status) == (kind, status)
    assert f"HTTP {status}" in fault.message
    assert len(fault.message) <= 300


@pytest.mark.parametrize("status", [400, 401, 402, 404, 422, 425, 429, 500, 502, 503, 529])
def test_a_plain_refusal_cost_nothing(status: int) -> None:
    """These statuses say that no answer was made."""
    assert not normalise(status, {}, b"").maybe_paid


@pytest.mark.parametrize("status", sorted(MAYBE_PAID))
def test_a_proxy_that_gave_up_may_have_let_the_call_run(status: int) -> None:
    """The server behind a proxy's time-out may still finish and charge."""
    assert normalise(status, {}, HTML).maybe_paid


def test_a_limit_of_zero_is_a_plan_and_not_a_quota() -> None:
    """Waiting does not put a model on the plan, so the job is paused."""
    fault = normalise(429, {"x-ratelimit-limit-req-minute": "0"}, flat("1300"))
    assert fault.kind is ACCOUNT
    assert "plan" in fault.message
    assert fault.limits == LimitHeaders(limit_requests_minute=0)


def test_nothing_remaining_is_a_quota() -> None:
    """Zero *remaining* requests are what every 429 says."""
    assert normalise(429, {"x-ratelimit-remaining-req-minute": "0"}, b"").kind is QUOTA


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "MISTRAL_API_KEY"),
        (402, "spending limit"),
        (403, "plan and rights"),
        (404, "MISTRAL_BASE_URL"),
        (307, "MISTRAL_BASE_URL"),
    ],
)
def test_a_paused_job_says_what_to_do(status: int, hint: str) -> None:
    """Whoever reads the message knows the next step."""
    assert hint in normalise(status, {}, b"").message


@pytest.mark.parametrize("wrap", [detail, lambda d: flat(message={"detail": d})])
def test_details_keep_place_and_reason_but_no_input(wrap: object) -> None:
    """A 422 echoes the prompt as `input` and in `ctx`; neither is kept."""
    item = {
        "type": "extra_forbidden",
        "loc": ["body", "messages", 0, "colour"],
        "msg": "Extra inputs are not permitted",
        "input": PROMPT,
        "ctx": {"given": PROMPT},
    }
    fault = normalise(422, {}, wrap([item, "and more", 7]))  # type: ignore[operator]
    assert "body.messages.0.colour: Extra inputs are not permitted (extra_forbidden)" in (
        fault.message
    )
    assert "confidential" not in repr(fault)


def test_the_code_is_kept_for_the_reader() -> None:
    """Code, or type where there is no code."""
    assert normalise(503, {}, flat(3505, "x")).code == "3505"
    assert normalise(500, {}, flat(None, "internal")).code == "internal"
    assert normalise(500, {}, foreign("x", 500)).code == ""


def test_html_is_named_and_not_quoted() -> None:
    """An error page helps nobody in a list of failed rows."""
    assert normalise(520, {}, HTML).message.endswith("an HTML page, not the API's JSON")
