"""What the simulated model says: a pure function of the request and its hash."""

import string
from collections.abc import Iterator
from typing import Any

import orjson

from simulator.bodies import (
    ChatBody,
    Function,
    ToolChoice,
    ToolMessage,
)
from simulator.content.choosing import best_of, labels_in, letters_in, without_letters
from simulator.content.prose import Prose
from simulator.content.schemas import fill
from simulator.content.taught import Taught

CHARACTERS_PER_TOKEN = 4
_ALPHABET = string.ascii_letters + string.digits
_CALL_ID_LENGTH = 9


def tokens_in(text: str) -> int:
    """About as many tokens as `text` has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def choices(
    body: ChatBody, prompt: str, seed: int, taught: Taught | None = None
) -> list[dict[str, Any]]:
    """The `choices` of an answer: `n` of them, each with a seed of its own.

    `taught`: what the model was tuned on.
    """
    said = "\n".join(_said_before(body))
    last = body.last_asked() or prompt
    voices = [Prose(prompt, seed + n, said, last) for n in range(body.n or 1)]
    return [_choice(body, prose, n, taught) for n, prose in enumerate(voices)]


def _said_before(body: ChatBody) -> Iterator[str]:
    for message in body.messages:
        if message.role == "assistant" and isinstance(message.content, str):
            yield message.content


def tokens_out(made: list[dict[str, Any]]) -> int:
    """The completion tokens of all choices."""
    return sum(tokens_in(_written(choice["message"])) for choice in made)


def _written(message: dict[str, Any]) -> str:
    calls = message["tool_calls"] or ()
    return str(message["content"]) + "".join(call["function"]["arguments"] for call in calls)


def _choice(body: ChatBody, prose: Prose, index: int, taught: Taught | None) -> dict[str, Any]:
    function = _function_to_call(body)
    message: dict[str, Any]
    if function is None:
        text, reason = _shortened(body, _text(body, prose, taught))
        message = {"role": "assistant", "content": text, "tool_calls": None}
    else:
        arguments = orjson.dumps(fill(function.parameters, prose)).decode()
        arguments, reason = _shortened(body, arguments, "tool_calls")
        call = _tool_call(function.name, arguments, prose)
        message = {"role": "assistant", "content": "", "tool_calls": [call]}
    return {"index": index, "message": message, "finish_reason": reason}


def _function_to_call(body: ChatBody) -> Function | None:
    """The function that is demanded; on `auto` the first, until a tool has answered."""
    functions = body.functions()
    choice = body.tool_choice
    if isinstance(choice, ToolChoice):
        return next((it for it in functions if it.name == choice.function.name), None)
    answered = bool(body.messages) and isinstance(body.messages[-1], ToolMessage)
    if not functions or choice == "none" or (choice == "auto" and answered):
        return None
    return functions[0]


def _text(body: ChatBody, prose: Prose, taught: Taught | None) -> str:
    wanted = body.response_format
    if wanted.type == "json_schema" and wanted.json_schema:
        return orjson.dumps(fill(wanted.json_schema.schema_, prose)).decode()
    if wanted.type == "json_object":
        return orjson.dumps({"answer": prose.answer()}).decode()
    return _stopped(body, _said(body, prose, taught))


def _said(body: ChatBody, prose: Prose, taught: Taught | None) -> str:
    """One of the choices that the prompt lays out; else what was taught; else of the prompt."""
    asked = body.last_asked()
    recalled = taught.recalled(asked, prose.pick) if taught else None
    options = letters_in(asked) or labels_in(_instructions(body))
    if options and recalled not in {option.said for option in options}:
        told = f"{without_letters(asked)} {recalled or ''}"
        return best_of(options, told, prose.pick).said
    return recalled or prose.answer()


def _instructions(body: ChatBody) -> str:
    told = (it.content for it in body.messages if it.role == "system")
    return "\n".join(text for text in told if isinstance(text, str))


def _stopped(body: ChatBody, text: str) -> str:
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or ()
    for stop in stops:
        text = text.split(stop, maxsplit=1)[0] if stop else text
    return text


def _shortened(body: ChatBody, text: str, reason: str = "stop") -> tuple[str, str]:
    if body.max_tokens is None or tokens_in(text) <= body.max_tokens:
        return text, reason
    return text[: body.max_tokens * CHARACTERS_PER_TOKEN], "length"


def _tool_call(name: str, arguments: str, prose: Prose) -> dict[str, Any]:
    call_id = "".join(_ALPHABET[prose.pick(len(_ALPHABET))] for _ in range(_CALL_ID_LENGTH))
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, "index": 0}
