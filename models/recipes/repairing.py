"""The one re-ask: the conversation so far, the answer that did not fit, and what is wrong."""

import json
import re

from models.recipes.answers import Choice, ToolCall
from models.recipes.problems import Problem
from models.recipes.schema import Step
from models.recipes.strict_json import Json

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def repaired(
    step: Step, body: dict[str, Json], choice: Choice, problem: Problem
) -> dict[str, Json]:
    """`body` with the answer and the error after its messages (a user's or tool's comes last)."""
    again = f"Not accepted: {problem.detail}. {_instruction(step)}"
    if choice.tool_calls and all(_is_well_formed(call) for call in choice.tool_calls):
        added = _as_calls(choice.tool_calls, again)
    else:
        added = _as_text(choice, again)
    return {**body, "messages": [*body["messages"], *added]}


def _instruction(step: Step) -> str:
    if step.function:
        return f"Call {step.function.name} once more, exactly once, with corrected arguments."
    if step.answer_schema:
        return "Answer once more, with the corrected JSON only."
    return "Answer once more, with the corrected answer only."


def _is_well_formed(call: ToolCall) -> bool:
    """Servers parse earlier calls again and refuse the request when one is broken."""
    if not _NAME.fullmatch(call.name):
        return False
    if isinstance(call.arguments, dict):
        return True
    try:
        return isinstance(json.loads(call.arguments), dict)
    except (ValueError, RecursionError):
        return False


def _as_calls(calls: list[ToolCall], again: str) -> list[dict[str, Json]]:
    ids = [f"repair{number:03d}" for number in range(len(calls))]  # nine characters: Mistral's rule
    made = [
        {"id": id_, "type": "function", "function": {"name": call.name, "arguments": _text(call)}}
        for id_, call in zip(ids, calls, strict=True)
    ]
    answers = [
        {"role": "tool", "tool_call_id": id_, "name": call.name, "content": again}
        for id_, call in zip(ids, calls, strict=True)
    ]
    return [{"role": "assistant", "content": "", "tool_calls": made}, *answers]


def _as_text(choice: Choice, again: str) -> list[dict[str, Json]]:
    said = [choice.content or "", *(f"{call.name}({_text(call)})" for call in choice.tool_calls)]
    text = "\n".join(part for part in said if part.strip()) or "(no answer)"
    return [{"role": "assistant", "content": text}, {"role": "user", "content": again}]


def _text(call: ToolCall) -> str:
    if isinstance(call.arguments, str):
        return call.arguments
    return json.dumps(call.arguments, ensure_ascii=False)
