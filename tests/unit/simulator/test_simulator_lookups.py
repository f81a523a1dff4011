"""What the simulated model searches for when it is offered a function to look things up."""

from simulator.content.prose import Prose
from simulator.content.schemas import fill

PROMPT = """Look up what you need, then answer.
Question: Which disease is associated with hsa-miR-21?

A) Lymphoma
B) Asthma"""
SCHEMA = {
    "type": "object",
    "properties": {"query": {"type": "string"}, "entity": {"type": "string"}},
    "required": ["query"],
}


def test_a_search_is_for_what_the_prompt_asks() -> None:
    """The question itself, and the thing with a name in it."""
    assert fill(SCHEMA, Prose(PROMPT, 1)) == {
        "query": "Which disease is associated with hsa-miR-21?",
        "entity": "hsa-miR-21",
    }


def test_without_a_question_a_search_is_for_something_in_the_prompt() -> None:
    """It is a text all the same."""
    found = fill(SCHEMA, Prose("Tell me of miR-155 in the blood of patients.", 1))
    assert isinstance(found, dict)
    assert found["query"]
    assert found["entity"]
