"""What a trainer asks of one row (`MISTRAL.md`, fine-tuning), as named problems. Pure."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError

from models.words import printable
from producers.conversations import ROLES
from producers.datasets.shaping import BrokenRowError, is_objects, misshapen

_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_KNOWN = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls", "prefix", "weight"},
    "tool": {"role", "content", "tool_call_id", "name"},
}
_PLAIN = {"role", "content"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a trainer would refuse. `advice` says what to do."""

    code: str
    message: str
    advice: str


def problems_of(row: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with a row; empty for one that can be trained on."""
    if "labels" in row:
        return [*_label_problems(row)]
    found = [*_chat_problems(row.get("messages")), *_tools_problems(row.get("tools"))]
    return found or [*_library_problems(row["messages"], row.get("tools"))]


def check_row(row: Mapping[str, Any]) -> None:
    """Raises `BrokenRowError` with the first rule that the row breaks."""
    for problem in problems_of(row):
        raise BrokenRowError(problem.code, problem.message, problem.advice)


def _label_problems(row: Mapping[str, Any]) -> Iterator[Problem]:
    labels = row["labels"]
    if not isinstance(labels, dict) or not labels:
        yield Problem(
            "labels",
            "`labels` is no object with a label for each name",
            'write {"labels": {"topic": "news"}}',
        )
    elif bad := [name for name, value in labels.items() if not _is_label(value)]:
        yield Problem(
            "label_value",
            f"the label `{printable(bad[0], 40)}` is neither a text nor a list of texts",
            "write labels as texts",
        )
    if why := misshapen({"messages": row.get("messages")}):
        yield Problem("messages", why, "write a list of {role, content}, or leave it out")
    if has_text := isinstance(row.get("text"), str) and bool(row["text"].strip()):
        return
    if not has_text and not isinstance(row.get("messages"), list):
        yield Problem(
            "no_input",
            "a row with labels has neither `text` nor `messages`",
            "give it the text that is to be classified",
        )


def _is_label(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, str) and one for one in value)
    return isinstance(value, str) and bool(value)


def _chat_problems(messages: object) -> Iterator[Problem]:
    if not isinstance(messages, list) or not messages:
        yield Problem(
            "no_messages",
            "`messages` is not a list with messages",
            'write {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}',
        )
        return
    roles = [one.get("role") if isinstance(one, dict) else None for one in messages]
    for place, message in enumerate(messages):  # these first: they are why an order is wrong
        yield from _message_problems(message, f"messages[{place}]")
    yield from _order_problems(roles)


def _order_problems(roles: list[Any]) -> Iterator[Problem]:
    if (systems := roles.count("system")) > 1:
        yield Problem(
            "system_messages", f"{systems} system messages; one is allowed", "join them into one"
        )
    if "user" not in roles:
        yield Problem("no_user", "nobody asks: there is no user message", "add a user message")
    if roles[-1] != "assistant":
        yield Problem(
            "last_message",
            f"the last message is by {printable(str(roles[-1]), 40)!r}, not the assistant",
            "end the row with the answer to learn, or leave the row out",
        )


def _message_problems(message: object, path: str) -> Iterator[Problem]:
    if not isinstance(message, dict):
        yield Problem("message", f"`{path}` is not an object", "write {role, content}")
        return
    role = message.get("role")
    if role not in ROLES:
        told = f"`{path}.role` is {printable(str(role), 40)!r}"
        yield Problem("role", told, f"take one of {', '.join(ROLES)}")
        return
    yield from _content_problems(message, path)
    if unknown := sorted(set(message) - _KNOWN[role]):
        names = ", ".join(f"`{printable(name, 40)}`" for name in unknown)
        yield Problem(
            "unknown_field", f"`{path}` has {names}", "leave them out, or put them in meta"
        )
    if message.get("weight") not in (None, 0, 1):
        yield Problem("weight", f"`{path}.weight` is neither 0 nor 1", "write 0 or 1")
    yield from _calls_problems(message.get("tool_calls"), f"{path}.tool_calls")
    if role == "tool" and not _CALL_ID.fullmatch(str(message.get("tool_call_id"))):
        yield _bad_id(f"{path}.tool_call_id")


def _content_problems(message: Mapping[str, Any], path: str) -> Iterator[Problem]:
    content = message.get("content")
    if not isinstance(content, str | list | None):
        yield Problem("content", f"`{path}.content` is neither a text nor a list", "write a text")
    elif not message.get("tool_calls") and not (
        content.strip() if isinstance(content, str) else content
    ):
        yield Problem("empty", f"`{path}.content` is empty", "fill it, or leave the row out")


def _calls_problems(calls: object, path: str) -> Iterator[Problem]:
    if not isinstance(calls, list | None):
        told = f"`{path}` is not a list"
        yield Problem("tool_calls", told, "write [{id, type, function}], or leave it out")
        return
    for place, call in enumerate(calls or ()):
        yield from _call_problems(call, f"{path}[{place}]")


def _call_problems(call: object, path: str) -> Iterator[Problem]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        yield Problem("tool_call", f"`{path}` has no function", "write {id, type, function}")
        return
    if not _CALL_ID.fullmatch(str(call.get("id"))):
        yield _bad_id(f"{path}.id")
    arguments = function.get("arguments")
    if not isinstance(arguments, str) or not _is_json(arguments):
        yield Problem(
            "tool_arguments",
            f"`{path}.function.arguments` is not JSON in a text",
            'write them as a text, "{\\"city\\": \\"Paris\\"}"',
        )


def _tools_problems(tools: object) -> Iterator[Problem]:
    if tools is not None and not _is_functions(tools):
        yield Problem(
            "tools",
            "`tools` is not a list of functions",
            'write [{"type": "function", "function": {name, parameters}}], or leave it out',
        )


def _is_functions(tools: object) -> bool:
    return is_objects(tools) and all(isinstance(one.get("function"), dict) for one in tools)


def _bad_id(path: str) -> Problem:
    return Problem(
        "tool_call_id", f"`{path}` is not 9 letters or digits", "give calls ids of 9 characters"
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def is_plain(messages: list[Any]) -> bool:
    """Whether messages that keep our rules keep the library's too: texts, a system message first.

    Most rows of most datasets do, and the library takes three times as long as our rules.
    """
    return all(
        message.keys() == _PLAIN
        and isinstance(message["content"], str)
        and (
            message["role"] in ("user", "assistant") or (message["role"] == "system" and not place)
        )
        for place, message in enumerate(messages)
    )


def _library_problems(messages: list[Any], tools: list[Any] | None) -> Iterator[Problem]:
    """What mistral-common says of messages and tools that our own rules let pass."""
    check = library_check()
    if check is None or (not tools and is_plain(messages)):
        return
    plain = [{key: message[key] for key in message if key != "weight"} for message in messages]
    if said := check(plain, tools):
        advice = "mend the order or the parts of the messages, or the tools"
        yield Problem("mistral_common", said, advice)


@cache
def library_check() -> Callable[[list[Any], list[Any] | None], str] | None:
    """mistral-common's validator for fine-tuning: its words, or an empty text. None: not here."""
    try:
        from mistral_common.exceptions import (  # noqa: PLC0415 # half a second
            MistralCommonException,
        )
        from mistral_common.protocol.instruct.request import (  # noqa: PLC0415 # as above
            ChatCompletionRequest,
        )
        from mistral_common.protocol.instruct.validator import (  # noqa: PLC0415 # as above
            MistralRequestValidatorV11,
            ValidationMode,
        )
    except ImportError:
        return None
    validator = MistralRequestValidatorV11(ValidationMode.finetuning)

    def check(messages: list[Any], tools: list[Any] | None) -> str:
        asked = {"messages": messages, "tools": tools}
        try:
            validator.validate_request(ChatCompletionRequest.model_validate(asked))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            return printable(f"{where}: {first['msg']}", 300)
        except (MistralCommonException, ValueError) as error:
            return printable(" ".join(str(error).split()), 300)
        return ""

    return check
