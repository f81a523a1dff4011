"""The function by which a model looks documents up itself: offered, read, answered. Pure.

Mistral's rules: a call's id has nine characters, its arguments are JSON text, every call is
answered by one tool message, and nothing of the user's follows: the model has the word.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from models.recipes.answers import Choice, ToolCall
from models.recipes.problems import shorten
from models.recipes.strict_json import Json, check_text, parse_json
from models.suites.schema import Lookup

MOST_AT_ONCE = 4
"""Look-ups of one answer that are carried out; the model is told to ask for the others again."""
MOST_SOUGHT = 2_000
"""Characters of a query: what is longer was not meant as one."""
OVER = "This was the last look-up: answer now."
NOTHING = "Nothing was found."


@dataclass(frozen=True, slots=True)
class Sought:
    """What a well-formed call asks for."""

    query: str
    entity: str = ""


def offer(body: Mapping[str, Any], tool: Lookup, *, has_entity: bool) -> dict[str, Any]:
    """The request with the function beside the prompt's own, if it has one: then one of them has
    to be called, else the model may answer at once."""
    own = body.get("tools") or []
    choice = body.get("tool_choice", "required") if own else "auto"
    return {**body, "tools": [_function(tool, has_entity=has_entity), *own], "tool_choice": choice}


def looks_up(choice: Choice, body: Mapping[str, Any]) -> bool:
    """Whether an answer calls for documents; a call of the prompt's own function answers."""
    own = {one["function"]["name"] for one in body.get("tools") or []}
    called = {one.name for one in choice.tool_calls}
    return bool(called) and not called & own


def sought_by(calls: Sequence[ToolCall], tool: Lookup) -> list[Sought | str]:
    """What each call asks for, or what is wrong with it, as the model is told."""
    too_many = f"at most {MOST_AT_ONCE} look-ups at once; ask for this one again"
    found = [read_call(call, tool) for call in calls]
    return [one if at < MOST_AT_ONCE else too_many for at, one in enumerate(found)]


def read_call(call: ToolCall, tool: Lookup) -> Sought | str:
    """What the call asks for, or what is wrong with it."""
    usage = f'call {tool.name} with {{"query": "..."}}'
    if call.name != tool.name:
        return f"there is no function {shorten(call.name, 64)!r}; {usage}"
    try:
        given = _arguments(call)
    except ValueError as problem:
        return f"the arguments are {problem}; {usage}"
    values = [given.get(key) or "" for key in ("query", "entity")]
    texts = [" ".join(value.split()) for value in values if isinstance(value, str)]
    if len(texts) < len(values) or not any(texts) or max(map(len, texts)) > MOST_SOUGHT:
        return f"the query has to be a text of at most {MOST_SOUGHT} characters; {usage}"
    return Sought(*texts)


def exchange(
    choice: Choice,
    sought: Sequence[Sought | str],
    results: Sequence[str],
    tool: Lookup,
    turn: int,
    *,
    is_last: bool,
) -> Iterator[dict[str, Any]]:
    """The answer that called, and what its calls were answered, as the next request tells them.

    Servers read earlier calls again and refuse broken ones, so one that was not well formed is told
    as a call without arguments. Ids are our own: the same however often the row is run.
    """
    ids = [f"look{turn:02d}{at:03d}" for at in range(len(results))]
    calls = [_told(one, call_id, tool) for one, call_id in zip(sought, ids, strict=True)]
    yield {"role": "assistant", "content": choice.content or "", "tool_calls": calls}
    for at, (call_id, result) in enumerate(zip(ids, results, strict=True)):
        over = f"\n\n{OVER}" if is_last and at == len(results) - 1 else ""
        content = result + over
        yield {"role": "tool", "tool_call_id": call_id, "name": tool.name, "content": content}


def _function(tool: Lookup, *, has_entity: bool) -> dict[str, Json]:
    query = {"type": "string", "description": "What to search for, in words."}
    entity = {"type": "string", "description": "A name that documents have to be about, if any."}
    definition = {
        "type": "object",
        "properties": {"query": query, **({"entity": entity} if has_entity else {})},
        "required": ["query"],
        "additionalProperties": False,
    }
    told = {"name": tool.name, "description": tool.description, "parameters": definition}
    return {"type": "function", "function": told}


def _arguments(call: ToolCall) -> Mapping[str, Json]:
    given = parse_json(call.arguments) if isinstance(call.arguments, str) else call.arguments
    if not isinstance(given, dict):
        raise ValueError("no JSON object")
    for text in given.values():
        check_text(str(text))
    return given


def _told(sought: Sought | str, call_id: str, tool: Lookup) -> dict[str, Json]:
    given = {} if isinstance(sought, str) else {"query": sought.query, "entity": sought.entity}
    arguments = orjson.dumps({key: text for key, text in given.items() if text}).decode()
    function = {"name": tool.name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}
