"""Which requests are taken, and how the others are told so."""

import orjson
import pytest

from simulator.endpoints import CHAT, EMBEDDINGS, Call, Endpoint
from worker.gateway.faults import FaultKind
from worker.gateway.normalising import normalise

MODELS = ("mistral-small-latest", "mistral-embed")


def refusal(body: object, endpoint: Endpoint = CHAT) -> tuple[int, dict]:
    reply = endpoint.read(body if isinstance(body, bytes) else orjson.dumps(body), MODELS)
    return reply.status, orjson.loads(reply.body)


def test_an_unknown_field_is_named(chat_body):
    """An unknown field gives 422 in the flat shape, with FastAPI's detail inside `message`."""
    status, body = refusal({**chat_body, "best_of": 3})
    assert status == body["raw_status_code"] == 422
    (detail,) = body["message"]["detail"]
    assert detail["loc"] == ["body", "best_of"]
    assert detail["type"] == "extra_forbidden"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"model": None}, ["body", "model"]),
        ({"messages": "hello"}, ["body", "messages"]),
        ({"messages": [{"role": "user"}]}, ["body", "messages", 0, "user", "content"]),
        ({"messages": [{"role": "robot", "content": ""}]}, ["body", "messages", 0]),
        ({"temperature": 1.6}, ["body", "temperature"]),
        ({"n": 0}, ["body", "n"]),
        ({"response_format": {"type": "yaml"}}, ["body", "response_format", "type"]),
    ],
)
def test_a_bad_value_is_placed(chat_body, change, place):
    """A value of the wrong type or range gives 422 and the path to it."""
    status, body = refusal({**chat_body, **change})
    assert status == 422
    assert place in [detail["loc"] for detail in body["message"]["detail"]]


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_what_is_missing_is_named(chat_body, missing):
    """A request without model or messages gives 422 `missing`."""
    del chat_body[missing]
    status, body = refusal(chat_body)
    (detail,) = body["message"]["detail"]
    assert (status, detail["type"], detail["loc"]) == (422, "missing", ["body", missing])


def test_broken_json_is_unprocessable():
    """A body that is no JSON gives 422 `json_invalid`."""
    status, body = refusal(b'{"model":')
    assert status == 422
    assert body["message"]["detail"][0]["type"] == "json_invalid"


@pytest.mark.parametrize("model", ["gpt-9", "mistral-embed"])
def test_an_unknown_model_is_1500(chat_body, model):
    """A model that does not exist, or not for this route, gives 400 with code 1500."""
    status, body = refusal({**chat_body, "model": model})
    assert (status, body["code"], body["type"]) == (400, "1500", "invalid_model")


def test_embeddings_take_a_text_or_texts():
    """Both forms of `input` are read; chat models do not embed."""
    for texts in ("one", ["one", "two"]):
        body = orjson.dumps({"model": "mistral-embed", "input": texts})
        assert isinstance(EMBEDDINGS.read(body, MODELS), Call)
    status, _ = refusal({"model": "mistral-small-latest", "input": "one"}, EMBEDDINGS)
    assert status == 400


def test_streaming_is_refused_in_words(chat_body):
    """What the simulator cannot do it says, instead of answering something else."""
    status, body = refusal({**chat_body, "stream": True})
    assert status == 400
    assert "stream" in body["message"]


def test_a_prompt_over_the_window_is_refused(chat_body):
    """In the API's words, which the worker reads as a refusal of this row, unpaid: it asks on."""
    fits = {**chat_body, "messages": [{"role": "user", "content": "word " * 100_000}]}
    assert isinstance(CHAT.read(orjson.dumps(fits), MODELS), Call)
    long = {**chat_body, "messages": [{"role": "user", "content": "word " * 110_000}]}
    status, body = refusal(long)
    assert (status, body["code"], body["type"]) == (400, "3051", "invalid_request_prompt")
    assert "too large for model with 131072 maximum context length" in body["message"]
    fault = normalise(status, {}, orjson.dumps(body))
    assert fault.kind is FaultKind.REJECTED
    assert not fault.maybe_paid
    assert "131072" in str(fault.message)
