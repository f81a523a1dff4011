"""The official SDK as the simulator's client."""

import json
from collections.abc import Iterator

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

import simulator

MODEL = "mistral-small-latest"
QUESTIONS = {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}
PARAMETERS = {"type": "object", "properties": {"questions": QUESTIONS}, "required": ["questions"]}
TOOL = {"type": "function", "function": {"name": "ask", "parameters": PARAMETERS}}
MESSAGES = [{"role": "user", "content": "Expression of miR-1 was raised in mice. What was raised?"}]


@pytest.fixture(scope="module")
def spawned() -> Iterator[simulator.Spawned]:
    with simulator.spawn() as spawned:
        yield spawned


@pytest.fixture
def client(spawned: simulator.Spawned) -> Iterator[Mistral]:
    with Mistral(api_key="any", server_url=spawned.url) as client:
        yield client
    spawned.steer("faults")


def test_text(client):
    """`chat.complete` reads a text answer with its usage."""
    answer = client.chat.complete(model=MODEL, messages=MESSAGES)
    assert "miR-1 was raised" in answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_function_call(client):
    """`chat.complete` reads a function call whose arguments are three questions."""
    answer = client.chat.complete(
        model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice="required"
    )
    (call,) = answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "tool_calls"
    assert len(json.loads(call.function.arguments)["questions"]) == 3


def test_embeddings(client):
    """`embeddings.create` reads one vector per text."""
    answer = client.embeddings.create(model="mistral-embed", inputs=["one", "two"])
    assert [len(item.embedding) for item in answer.data] == [1024, 1024]


def test_models(client):
    """`models.list` and `models.retrieve` read the catalogue."""
    names = [card.id for card in client.models.list().data]
    assert MODEL in names
    assert client.models.retrieve(model_id=MODEL).capabilities.function_calling


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("rate_limited", 429),
        ("rate_limited_short", 429),
        ("brownout_503", 503),
        ("html_520", 520),
        ("empty_body", 502),
        ("spending_limit", 402),
        ("vllm_error", 500),
    ],
)
def test_errors(client, spawned, fault, status):
    """Each error comes out of the SDK as an `SDKError` with its status."""
    spawned.steer("faults", script=[fault])
    with pytest.raises(SDKError) as caught:
        client.chat.complete(model=MODEL, messages=MESSAGES)
    assert caught.value.status_code == status
