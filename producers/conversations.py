"""Records as conversations: what fine-tuning takes."""

from typing import Any

from models.errors import BadInputError

ROLES = ("system", "user", "assistant", "tool")


def check_chat(record: dict[str, Any], row_id: str) -> None:
    """Raise `BadInputError` unless the record is a conversation that can be trained on."""
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _not_chat(row_id, "`messages` is not a list with messages")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]", row_id)
    if messages[-1]["role"] != "assistant":
        raise _not_chat(row_id, f"the last message is by `{messages[-1]['role']}`, not `assistant`")


def _check_message(message: object, path: str, row_id: str) -> None:
    if not isinstance(message, dict):
        raise _not_chat(row_id, f"`{path}` is not an object")
    if message.get("role") not in ROLES:
        raise _not_chat(row_id, f"`{path}.role` is {message.get('role')!r}")
    content = message.get("content")
    if not isinstance(content, str | list | None):
        raise _not_chat(row_id, f"`{path}.content` is neither a text nor a list")
    if isinstance(content, str) and not content.strip():
        content = None
    if not content and not message.get("tool_calls"):
        raise _not_chat(row_id, f"`{path}.content` is empty")


def _not_chat(row_id: str, problem: str) -> BadInputError:
    advice = "mend the recipe's output, or export as jsonl"
    return BadInputError(f"row {row_id!r} cannot be exported as chat: {problem}; {advice}")
