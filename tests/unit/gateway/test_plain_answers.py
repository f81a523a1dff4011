"""What our own check calls plain, the SDK's model takes too."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client.models.chatcompletionresponse import ChatCompletionResponse
from pydantic import TypeAdapter, ValidationError

from tests.drawn import some
from worker.gateway.mistral import chat_problem, sdk_problem
from worker.gateway.plain import is_plain

SDK = TypeAdapter(ChatCompletionResponse)
PLAIN: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "model": "mistral-small-latest",
    "created": 1,
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Yes.", "tool_calls": None},
        }
    ],
}
PLACES: list[tuple[str | int, ...]] = [
    *((name,) for name in PLAIN),
    *(("usage", name) for name in (*PLAIN["usage"], "prompt_audio_seconds", "service_tier")),
    ("choices", 0),
    *(("choices", 0, name) for name in ("index", "finish_reason", "message", "messages")),
    *(("choices", 0, name) for name in ("logprobs", "prompt_logprobs")),
    *(("choices", 0, "message", name) for name in ("role", "content", "tool_calls", "prefix")),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "assistant"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
LEFT_OUT = object()


def changed(changes: list[tuple[tuple[str | int, ...], object]]) -> dict[str, Any]:
    """The plain answer with other values in some places, or none there."""
    answer = copy.deepcopy(PLAIN)
    for (*way, last), value in changes:
        inner: Any = answer
        for step in way:
            try:
                inner = inner[step]
            except (KeyError, IndexError, TypeError):
                inner = None
        if isinstance(inner, dict) or (isinstance(inner, list) and last == 0 and inner):
            inner[last] = value
            if value is LEFT_OUT:
                del inner[last]
    return answer


@some(600)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES | st.just(LEFT_OUT)), max_size=3))
def test_what_is_plain_the_sdk_takes(changes: list[tuple[tuple[str | int, ...], object]]) -> None:
    """Whatever stands in whichever place; and both ways answer alike of whether it is an answer."""
    answer = changed(changes)
    if is_plain(answer):
        SDK.validate_python(answer)
        assert answer["choices"]
    assert chat_problem(answer) == sdk_problem(answer)


def test_plain_answers_are_told_without_the_sdk() -> None:
    """Also with what Mistral adds to usage, and of several choices."""
    answer = copy.deepcopy(PLAIN)
    answer["usage"]["prompt_tokens_details"] = {"cached_tokens": 1}
    answer["choices"] *= 2
    assert is_plain(answer)


@pytest.mark.parametrize("place", [p for p in PLACES if p[-1] in {"id", "created", "index"}])
def test_what_the_sdk_wants_is_missed(place: tuple[str | int, ...]) -> None:
    """What is left out is no plain answer, and the SDK names it."""
    answer = changed([(place, LEFT_OUT)])
    assert not is_plain(answer)
    with pytest.raises(ValidationError):
        SDK.validate_python(answer)
    assert "missing" in (chat_problem(answer) or "")
