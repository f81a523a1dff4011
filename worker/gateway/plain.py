"""The shape that nearly every answer has, told in an eighth of the time that the SDK's model takes.

What is plain, the SDK takes too (a property test holds the two together); whatever differs from the
plain shape is for the SDK to judge.
"""

from collections.abc import Mapping
from typing import Any

_ANSWER = (("id", str), ("object", str), ("model", str), ("created", int), ("choices", list))
_USAGE = (("prompt_tokens", int), ("completion_tokens", int), ("total_tokens", int))
_SELDOM = ("prompt_audio_seconds", "service_tier")
_RARE = ("messages", "logprobs", "prompt_logprobs")


def is_plain(answer: Mapping[str, Any]) -> bool:
    """Whether a parsed answer is a chat completion of texts alone."""
    usage = answer.get("usage")
    return (
        _has(answer, _ANSWER)
        and type(usage) is dict
        and _has(usage, _USAGE)
        and _lacks(usage, _SELDOM)
        and bool(answer["choices"])
        and all(_is_plain_choice(choice) for choice in answer["choices"])
    )


def _is_plain_choice(choice: Any) -> bool:
    if type(choice) is not dict or not _lacks(choice, _RARE):
        return False
    message = choice.get("message")
    return (
        type(choice.get("index")) is int
        and type(choice.get("finish_reason")) is str
        and type(message) is dict
        and message.get("role") == "assistant"
        and type(message.get("content")) is str
        and message.get("tool_calls") is None
        and type(message.get("prefix", False)) is bool
    )


def _has(found: Mapping[str, Any], wanted: tuple[tuple[str, type], ...]) -> bool:
    return all(type(found.get(name)) is kind for name, kind in wanted)


def _lacks(found: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return all(found.get(name) is None for name in names)
