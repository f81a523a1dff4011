"""Requests as llama.cpp's server takes them, and its answers as Mistral's API gives them (pure)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Body = dict[str, Any]

_UNKNOWN_TO_IT = (
    "metadata",
    "parallel_tool_calls",
    "prediction",
    "prompt_cache_key",
    "prompt_mode",
    "safe_prompt",
    "tool_choice",
    "tools",
)
_FORCING = ("any", "required")
_ITS_OWN = ("timings", "system_fingerprint", "__verbose")


class NotServedError(Exception):
    """A request that this server does not answer; the message says why, `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def to_engine(body: Mapping[str, Any], models: Sequence[str]) -> Body:
    """The request in the engine's words. `models` are the base and its adapters, in their order.

    Every adapter's scale is told: what a request leaves out would keep the server's own.
    """
    chosen = body.get("model")
    if chosen not in models:
        raise NotServedError(404, f"no model {chosen!r} here; there are: {', '.join(models)}")
    if body.get("stream"):
        raise NotServedError(400, "answers are not streamed here")
    asked = {name: value for name, value in body.items() if name not in _UNKNOWN_TO_IT}
    if "random_seed" in asked:
        asked["seed"] = asked.pop("random_seed")
    asked["lora"] = [
        {"id": number, "scale": float(name == chosen)} for number, name in enumerate(models[1:])
    ]
    return asked | _tools(body)


def _tools(body: Mapping[str, Any]) -> Body:
    """A call that must be made is asked for as JSON: the engine does not force calls itself."""
    forced = forced_tools(body)
    if forced:
        return {"response_format": {"type": "json_schema", "json_schema": _schema(forced)}}
    if not body.get("tools") or body.get("tool_choice") == "none":
        return {}
    return {"tools": body["tools"], "tool_choice": "auto"}


def forced_tools(body: Mapping[str, Any]) -> list[Body]:
    """The functions of which one must be called; none if the model may as well just answer."""
    functions = [tool["function"] for tool in body.get("tools") or ()]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        return [function for function in functions if function["name"] == name]
    return functions if choice in _FORCING else []


def _schema(functions: Sequence[Body]) -> Body:
    """The arguments of the one function, or a choice among calls."""
    if len(functions) == 1:
        return {"name": functions[0]["name"], "schema": _parameters(functions[0]), "strict": True}
    calls = [_call_schema(function) for function in functions]
    return {"name": "call", "schema": {"anyOf": calls}, "strict": True}


def _call_schema(function: Body) -> Body:
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": _parameters(function)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _parameters(function: Body) -> Body:
    parameters: Body = function.get("parameters") or {"type": "object", "properties": {}}
    return parameters


def from_engine(answer: Mapping[str, Any], body: Mapping[str, Any]) -> Body:
    """The engine's answer under the name that was asked for, forced calls as calls again."""
    kept = {name: value for name, value in answer.items() if name not in _ITS_OWN}
    kept["model"] = body["model"]
    forced = forced_tools(body)
    if forced:
        kept["choices"] = [_as_call(choice, forced) for choice in answer["choices"]]
    return kept


def _as_call(choice: Body, functions: Sequence[Body]) -> Body:
    """Arguments cut short stay as they are, with the finish reason that says so."""
    content = choice["message"].get("content") or ""
    name, arguments = _named(content, functions)
    call = {"name": name, "arguments": arguments}
    finish = "length" if choice.get("finish_reason") == "length" else "tool_calls"
    calls = [{"id": "call00000", "type": "function", "function": call}]
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    return {"index": choice.get("index", 0), "finish_reason": finish, "message": message}


def _named(content: str, functions: Sequence[Body]) -> tuple[str, str]:
    if len(functions) == 1:
        return functions[0]["name"], content.strip()
    try:
        call = json.loads(content)
        return call["name"], json.dumps(call["arguments"], ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        return functions[0]["name"], content.strip()
