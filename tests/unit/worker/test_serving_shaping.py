"""Requests in llama.cpp's words and its answers in Mistral's."""

import json
from typing import Any

import pytest

from worker.serving.shaping import NotServedError, from_engine, to_engine

MODELS = ["smollm2", "news", "law"]
SCHEMA = {"type": "object", "properties": {"label": {"type": "string"}}, "required": ["label"]}
LABEL = {"type": "function", "function": {"name": "label", "parameters": SCHEMA}}
OTHER = {"type": "function", "function": {"name": "other"}}


def a_request(**changes: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "?"}]
    return {"model": "news", "messages": messages, "max_tokens": 5, **changes}


def an_answer(content: str, finish: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    return {"model": "m.gguf", "choices": [choice], "usage": usage, "timings": {"prompt_ms": 1}}


@pytest.mark.parametrize(
    ("model", "scales"), [("smollm2", [0, 0]), ("news", [1, 0]), ("law", [0, 1])]
)
def test_the_models_name_chooses_the_adapter(model: str, scales: list[int]):
    """Every adapter is told its scale in every request: base and tuned from one process."""
    asked = to_engine(a_request(model=model), MODELS)
    assert asked["lora"] == [{"id": at, "scale": scale} for at, scale in enumerate(scales)]


def test_an_unknown_model_is_refused_with_the_known_ones():
    """404, as Mistral does."""
    with pytest.raises(NotServedError, match="smollm2, news, law") as caught:
        to_engine(a_request(model="nope"), MODELS)
    assert caught.value.status == 404


def test_what_the_engine_does_not_know_is_left_out():
    """And the seed has its word for it."""
    asked = to_engine(a_request(random_seed=7, safe_prompt=True, prompt_mode=None), MODELS)
    assert asked["seed"] == 7
    assert not {"random_seed", "safe_prompt", "prompt_mode"} & asked.keys()


def test_streams_are_refused():
    """Better than an answer that the client waits for in pieces."""
    with pytest.raises(NotServedError, match="streamed"):
        to_engine(a_request(stream=True), MODELS)


@pytest.mark.parametrize(
    "choice", ["any", "required", {"type": "function", "function": {"name": "label"}}]
)
def test_a_forced_call_is_asked_for_as_json_and_comes_back_as_a_call(choice: Any):
    """The engine takes `required` and does not keep to it; a grammar it must keep to."""
    body = a_request(tools=[LABEL], tool_choice=choice)
    asked = to_engine(body, MODELS)
    assert asked["response_format"]["json_schema"]["schema"] == SCHEMA
    assert not {"tools", "tool_choice"} & asked.keys()
    answer = from_engine(an_answer(' {"label": "news"}\n'), body)
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {
        "name": "label",
        "arguments": '{"label": "news"}',
    }


def test_one_of_several_calls_is_forced_by_its_name():
    """The schema is a choice among calls, and the answer says which."""
    body = a_request(tools=[LABEL, OTHER], tool_choice="any")
    choices = to_engine(body, MODELS)["response_format"]["json_schema"]["schema"]["anyOf"]
    assert [one["properties"]["name"]["const"] for one in choices] == ["label", "other"]
    call = json.dumps({"name": "other", "arguments": {"label": "é"}})
    answer = from_engine(an_answer(call), body)
    function = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    assert function == {"name": "other", "arguments": '{"label": "é"}'}


def test_a_call_cut_short_says_so():
    """Its arguments stay half, with the reason that tells our own gateway."""
    body = a_request(tools=[LABEL], tool_choice="any")
    (choice,) = from_engine(an_answer('{"label": "ne', finish="length"), body)["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"label": "ne'


def test_calls_that_may_be_made_are_left_to_the_engine():
    """`auto` passes; `none` asks without tools."""
    asked = to_engine(a_request(tools=[LABEL]), MODELS)
    assert (asked["tools"], asked["tool_choice"]) == ([LABEL], "auto")
    assert "tools" not in to_engine(a_request(tools=[LABEL], tool_choice="none"), MODELS)


def test_an_answer_has_the_name_that_was_asked_for():
    """And nothing that only this engine says."""
    answer = from_engine(an_answer("news"), a_request())
    assert answer["model"] == "news"
    assert "timings" not in answer
    assert answer["choices"][0]["message"]["content"] == "news"
