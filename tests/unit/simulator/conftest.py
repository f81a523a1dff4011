"""A paper, and requests about it."""

from typing import Any

import pytest

ABSTRACT = (
    "BACKGROUND: MicroRNAs regulate gene expression after transcription. "
    "RESULTS: Expression of miR-23b was raised in melanoma samples of 42 patients. "
    "It was found that miR-23b targets PTCH1, a gene of the hedgehog pathway. "
    "Silencing miR-23b reduced the growth of melanoma cells in mice. "
    "CONCLUSIONS: Blocking miR-23b may become a treatment of melanoma."
)


@pytest.fixture
def abstract() -> str:
    """The abstract of a paper, on one line."""
    return ABSTRACT


@pytest.fixture
def chat_body() -> dict[str, Any]:
    """A question about the paper."""
    prompt = f"Answer the question.\nAbstract: {ABSTRACT}\n\nWhich gene does miR-23b target?"
    messages = [{"role": "user", "content": prompt}]
    return {"model": "mistral-small-latest", "messages": messages}


@pytest.fixture
def asking(chat_body: dict[str, Any]) -> dict[str, Any]:
    """A demand for three questions by function call."""
    questions = {"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3}
    schema = {"type": "object", "properties": {"questions": questions}, "required": ["questions"]}
    tool = {"type": "function", "function": {"name": "ask", "parameters": schema}}
    return {**chat_body, "tools": [tool], "tool_choice": "required"}
