"""The shapes of answers: Mistral's, those of its look-alikes, and broken ones."""

from typing import Any

import pytest

from models.payloads import Usage
from models.recipes.answers import Choice, ToolCall
from worker.gateway.bodies import parse
from worker.gateway.mistral import (
    chat_problem,
    read_model_names,
    read_usage,
    to_choice,
    to_choices,
    to_vectors,
    vectors_problem,
)


def a_message(**changes: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": "hello", "tool_calls": None} | changes


def an_answer(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A chat completion."""
    given = messages or (a_message(),)
    choices = [
        {"index": i, "message": message, "finish_reason": "stop"} for i, message in enumerate(given)
    ]
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    return {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": choices,
        "usage": usage,
    } | changes


def test_a_text_is_read() -> None:
    """The plain case."""
    assert chat_problem(an_answer()) is None
    assert to_choice(an_answer()) == Choice("hello", [], "stop")


@pytest.mark.parametrize("arguments", ['{"a": 1}', {"a": 1}])
def test_a_function_call_is_read_whichever_way_its_arguments_come(arguments: object) -> None:
    """Mistral may send a text or an object."""
    call = {"id": "abcdefghi", "function": {"name": "keep", "arguments": arguments}}
    answer = an_answer(a_message(content=None, tool_calls=[call]))
    assert chat_problem(answer) is None
    assert to_choice(answer).tool_calls == [ToolCall("abcdefghi", "keep", arguments)]  # type: ignore[arg-type] # both types are given
    assert to_choice(answer).content is None


def test_chunks_are_joined_and_thinking_is_left_out() -> None:
    """Magistral answers in chunks."""
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "hel"},
        {"type": "text", "text": "lo"},
    ]
    answer = an_answer(a_message(content=content))
    assert chat_problem(answer) is None
    assert to_choice(answer).content == "hello"


def test_extras_of_other_servers_do_no_harm() -> None:
    """vLLM and llama.cpp send fields that Mistral does not know."""
    answer = an_answer(
        a_message(refusal="I will not", reasoning_content=None),
        prompt_logprobs=None,
        timings={"predicted_ms": 1.0},
    )
    assert chat_problem(answer) is None
    assert to_choice(answer).refusal == "I will not"


def test_every_choice_of_n_is_read() -> None:
    """`n: 2` gives two."""
    both = to_choices(an_answer(a_message(), a_message(content="bye")))
    assert [choice.content for choice in both] == ["hello", "bye"]
    assert to_choice({}) == Choice()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": {"message": "boom"}},
        an_answer(choices=None),
        an_answer(choices=[]),
        an_answer(choices=[{"index": 0, "finish_reason": "stop"}]),
        an_answer(a_message(content={"secret": "prompt"})),
        an_answer(a_message(tool_calls=[{"function": {}}])),
        an_answer(a_message(tool_calls={"secret": "prompt"})),
        an_answer(usage=None),
    ],
)
def test_what_is_no_answer_is_named_without_its_values(answer: dict[str, Any]) -> None:
    """The place and the kind of error, and never what stood there."""
    problem = chat_problem(answer)
    assert problem
    assert "secret" not in problem
    assert "boom" not in problem


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 3}, Usage(10, 3, 0)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 0, 4)),
        ({"prompt_tokens": 10, "prompt_token_details": {"cached_tokens": 4}}, Usage(10, 0, 4)),
        ({"prompt_tokens": 10, "num_cached_tokens": 4}, Usage(10, 0, 4)),
        ({"prompt_tokens": None, "completion_tokens": "3", "x": 1}, Usage()),
        ({"prompt_tokens": -5, "completion_tokens": 2**70}, Usage()),
        ({"prompt_tokens": 1, "prompt_tokens_details": None}, Usage(1)),
        (None, None),
        ("10", None),
    ],
)
def test_usage_is_read_however_bad_the_rest_is(usage: object, read: Usage | None) -> None:
    """A paid answer counts even if it is of no use."""
    assert read_usage({"usage": usage, "choices": "rubbish"}) == read


def test_usage_of_what_is_no_object_is_none() -> None:
    """A list, a text, nothing."""
    assert [read_usage(answer) for answer in ([], "x", None)] == [None, None, None]


def test_vectors_come_back_in_the_order_of_the_inputs() -> None:
    """Whatever order the server sent them in."""
    answer = {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1]}]}
    assert vectors_problem(answer, 2) is None
    assert to_vectors(answer) == [[1], [2.0]]


def test_vectors_need_no_index_and_no_id() -> None:
    """llama.cpp leaves out what the SDK asks for."""
    answer = {"data": [{"embedding": [1.0]}, {"embedding": [2.0]}]}
    assert vectors_problem(answer, 2) is None
    assert to_vectors(answer) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"embedding": [1.0]}],
        [{"embedding": [1.0]}, {"embedding": []}],
        [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
        [{"embedding": [1.0]}, {"embedding": "AAAA"}],
        [{"embedding": [1.0]}, {"embedding": [None]}],
        [{"embedding": [1.0]}, {"embedding": ["1"]}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 0}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": "1"}],
        [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": None}],
        [{"embedding": [1e308]}, {"embedding": [1e308, 1e308]}],
        ["x", "y"],
    ],
)
def test_vectors_that_do_not_match_their_inputs_are_refused(data: object) -> None:
    """A missing or doubled vector would be stored with the wrong row."""
    assert vectors_problem({"data": data}, 2)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        ({"data": [{"id": "a", "aliases": ["b"]}, {"id": "b"}]}, ("a", "b")),
        ({"object": "list", "data": [{"id": "a"}, {}, 5, {"id": 7}]}, ("a",)),
        ({"models": [{"name": "a", "model": "a"}]}, ("a",)),
        ([{"id": "a"}, "b"], ("a", "b")),
        ({"data": []}, ()),
        ({"detail": "no"}, None),
        ("x", None),
        (None, None),
    ],
)
def test_models_are_listed_for_every_kind_of_server(
    answer: object, names: tuple[str, ...] | None
) -> None:
    """Mistral, vLLM, llama.cpp, Ollama."""
    assert read_model_names(answer) == names


def test_an_answer_cut_inside_a_surrogate_pair_is_mended() -> None:
    """It was paid for: one character is lost, not the answer."""
    assert parse(b'{"content": "ok \\ud83d", "p": NaN}') == {"content": "ok ?", "p": None}


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": ', b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_none(body: bytes) -> None:
    """And raises nothing."""
    assert parse(body) is None
