"""Builders: a recipe, an answer, a call, each valid until a test says otherwise."""

import json
from typing import Any

from models.recipes import Choice, Compiled, Recipe, Scope, ToolCall, parse_recipe

LIST_OF_TEXTS = {
    "type": "object",
    "properties": {"questions": {"type": "array", "items": {"type": "string"}, "maxItems": 3}},
    "required": ["questions"],
    "additionalProperties": False,
}
FUNCTION = {"name": "save", "description": "Save them.", "parameters": LIST_OF_TEXTS}


def a_step(**changes: Any) -> dict[str, Any]:
    step = {"name": "answer", "model": "mistral-small-latest", "prompt": "Read: {{ row.text }}"}
    return {key: value for key, value in {**step, **changes}.items() if value is not None}


def recipe_data(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    output = {"record": {"text": "{{ row.text }}"}}
    return {"name": "test", "steps": list(steps) or [a_step()], "output": output, **changes}


def a_recipe(*steps: dict[str, Any], **changes: Any) -> Recipe:
    return parse_recipe(recipe_data(*steps, **changes), "test.toml")


def compiled(*steps: dict[str, Any], **changes: Any) -> Compiled:
    return Compiled(a_recipe(*steps, **changes))


def fan_out(**output: Any) -> Compiled:
    """Questions by function call, then an answer for each, then one record per answer."""
    second = a_step(name="answers", prompt="{{ q }}", for_each="questions.questions")
    return compiled(
        a_step(name="questions", function=FUNCTION),
        {**second, "as": "q"},
        output=output
        or {"for_each": "answers", "as": "a", "record": {"q": "{{ q }}", "a": "{{ a }}"}},
    )


def a_scope(text: str = "a text", **answers: Any) -> Scope:
    return Scope({"id": "1", "text": text}, answers)


def a_call(arguments: Any = None, name: str = "save", id: str = "abcdefghi") -> ToolCall:
    given = {"questions": ["one?", "two?"]} if arguments is None else arguments
    return ToolCall(id, name, given if isinstance(given, str) else json.dumps(given))


def said(content: str | None, **more: Any) -> Choice:
    return Choice(content=content, **{"finish_reason": "stop", **more})


def called(*calls: ToolCall, **more: Any) -> Choice:
    return Choice(tool_calls=list(calls), **{"finish_reason": "tool_calls", **more})
