"""The wire's shapes. The only module that knows the SDK, and of it only two response models.

Importing it costs 0.2-3 s (the SDK), so `Gateway.open` does, and nothing else at import.
"""

import math
from collections.abc import Mapping
from typing import Any

from mistralai.client.models.chatcompletionresponse import ChatCompletionResponse
from pydantic import TypeAdapter, ValidationError

from models.payloads import Usage
from models.recipes.answers import Choice, ToolCall
from worker.gateway.plain import is_plain

_CHAT = TypeAdapter(ChatCompletionResponse)


def chat_problem(answer: Mapping[str, Any]) -> str | None:
    """Why `answer` is no chat completion (places and kinds of error, never values), or None."""
    return None if is_plain(answer) else sdk_problem(answer)


def sdk_problem(answer: Mapping[str, Any]) -> str | None:
    """The same by the SDK's model and a look at the messages, whatever the shape."""
    try:
        _CHAT.validate_python(answer)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in found[:3])
    choices = answer["choices"]
    if not choices or not all(_is_message(choice.get("message")) for choice in choices):
        return "choices: not all with a message"
    return None


def vectors_problem(answer: Mapping[str, Any], expected: int) -> str | None:
    """Why `answer` does not hold `expected` vectors of one length, or None.

    Our own check and not the SDK's: that one refuses llama.cpp and Ollama (no `id`), accepts
    items without a vector, does not count them, and takes three times as long.
    """
    data = answer.get("data")
    if not isinstance(data, list) or len(data) != expected:
        return f"data: not a list of {expected}"
    sizes = {_size(item) for item in data}
    if sizes & {0} or len(sizes) != 1:
        return "data: not vectors of one length"
    indices = [item.get("index", place) for place, item in enumerate(data)]
    return None if sorted(indices, key=str) == sorted(range(expected), key=str) else "data: index"


def to_vectors(answer: Mapping[str, Any]) -> list[list[float]]:
    """The vectors of a checked answer, in the order of the inputs."""
    data = answer["data"]
    placed = {item.get("index", place): item["embedding"] for place, item in enumerate(data)}
    return [placed[index] for index in range(len(data))]


def to_choice(answer: Mapping[str, Any]) -> Choice:
    """The first choice of a checked answer (fresh or from the ledger); an empty one if none."""
    return next(iter(to_choices(answer)), Choice())


def to_choices(answer: Mapping[str, Any]) -> list[Choice]:
    """All choices (`n` of the request) in our words; texts of chunks joined, thinking left out."""
    return [_choice(given, given.get("message") or {}) for given in answer.get("choices") or []]


def read_usage(answer: object) -> Usage | None:
    """What the call was charged for, however wrong the rest is; None if the answer does not say."""
    said = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(said, dict):
        return None
    return Usage(
        prompt_tokens=_count(said.get("prompt_tokens")),
        completion_tokens=_count(said.get("completion_tokens")),
        cached_tokens=_cached(said),
    )


def read_model_names(answer: object) -> tuple[str, ...] | None:
    """Names and aliases from `{"data": [...]}` (Mistral, vLLM), `{"models": [...]}` (llama.cpp,
    Ollama) or a bare list, without repeats; None if it is none of these."""
    listed = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    if not isinstance(listed, list):
        return None
    return tuple(dict.fromkeys(name for item in listed for name in _names(item)))


def _is_message(message: object) -> bool:
    """What the SDK does not check: it takes any object for `content` or `tool_calls` left out."""
    if not isinstance(message, dict):
        return False
    content, calls = message.get("content"), message.get("tool_calls")
    return isinstance(content, str | list | None) and isinstance(calls, list | None)


def _choice(given: Mapping[str, Any], message: Mapping[str, Any]) -> Choice:
    refusal = message.get("refusal")  # OpenAI's word, which vLLM sends too
    return Choice(
        content=_text(message.get("content")),
        tool_calls=[_tool_call(call) for call in message.get("tool_calls") or []],
        finish_reason=given.get("finish_reason"),
        refusal=refusal if isinstance(refusal, str) else None,
    )


def _text(content: object) -> str | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    chunks = [chunk for chunk in content if isinstance(chunk, dict) and chunk.get("type") == "text"]
    return "".join(str(chunk.get("text") or "") for chunk in chunks)


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    return ToolCall(
        id=str(call.get("id") or ""),
        name=str(function.get("name") or ""),
        arguments=arguments if isinstance(arguments, dict) else str(arguments or ""),
    )


def _names(item: object) -> list[str]:
    if not isinstance(item, dict):
        return [item] if isinstance(item, str) else []
    aliases = item.get("aliases")
    own = item.get("id") or item.get("name") or item.get("model")
    found = [own, *(aliases if isinstance(aliases, list) else [])]
    return [name for name in found if isinstance(name, str) and name]


def _cached(said: Mapping[str, Any]) -> int:
    """Mistral writes both `prompt_tokens_details` and `prompt_token_details`."""
    for name in ("prompt_tokens_details", "prompt_token_details"):
        if isinstance(details := said.get(name), dict) and "cached_tokens" in details:
            return _count(details["cached_tokens"])
    return _count(said.get("num_cached_tokens"))


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 < value < 2**53 else 0


def _size(item: object) -> int:
    """Length of an item's vector; 0 if it is not one. `sum` checks the types in C."""
    vector = item.get("embedding") if isinstance(item, dict) else None
    if not isinstance(vector, list):
        return 0
    try:
        return len(vector) if math.isfinite(sum(vector)) else 0
    except (TypeError, OverflowError):
        return 0
