"""The function by which models look documents up."""

import json

import pytest

from models.recipes.answers import Choice, ToolCall
from models.suites.looking_up import (
    MOST_AT_ONCE,
    OVER,
    Sought,
    exchange,
    looks_up,
    offer,
    read_call,
    sought_by,
)
from models.suites.schema import Lookup

TOOL = Lookup()
BODY = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
OWN = {
    "tools": [{"type": "function", "function": {"name": "save", "parameters": {}}}],
    "tool_choice": "required",
}


def a_call(arguments: object, name: str = "look_up") -> ToolCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall("x", name, text)


def test_the_function_is_offered_and_may_be_left_alone() -> None:
    """A text may answer at once; an entity is asked for only where names are recognised."""
    offered = offer(BODY, TOOL, has_entity=True)
    (function,) = offered["tools"]
    assert offered["tool_choice"] == "auto"
    assert set(function["function"]["parameters"]["properties"]) == {"query", "entity"}
    (function,) = offer(BODY, TOOL, has_entity=False)["tools"]
    assert set(function["function"]["parameters"]["properties"]) == {"query"}


def test_a_prompt_that_answers_by_a_function_keeps_it() -> None:
    """One of the two has to be called, and only a call of its own is the answer."""
    body = {**BODY, **OWN}
    offered = offer(body, TOOL, has_entity=False)
    assert [one["function"]["name"] for one in offered["tools"]] == ["look_up", "save"]
    assert offered["tool_choice"] == "required"
    assert looks_up(Choice(tool_calls=[a_call({})]), body)
    assert not looks_up(Choice(tool_calls=[a_call({}, "save")]), body)
    assert not looks_up(Choice(content="B"), body)


@pytest.mark.parametrize(
    ("arguments", "sought"),
    [
        ({"query": " liver \n cancer "}, Sought("liver cancer")),
        ({"query": "x", "entity": "miR-21"}, Sought("x", "miR-21")),
        ({"entity": "miR-21"}, Sought("", "miR-21")),
        ({"query": "x", "limit": 5}, Sought("x")),
        ({"query": "x", "entity": None}, Sought("x")),
    ],
)
def test_a_call_says_what_is_sought(arguments: object, sought: Sought) -> None:
    """White space and what is said besides do not matter."""
    assert read_call(a_call(arguments), TOOL) == sought


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (a_call("{"), "not JSON"),
        (a_call(""), "not JSON"),
        (a_call('["x"]'), "no JSON object"),
        (a_call({}), "has to be a text"),
        (a_call({"query": "  "}), "has to be a text"),
        (a_call({"query": 3}), "has to be a text"),
        (a_call({"query": ["a", "b"]}), "has to be a text"),
        (a_call({"query": "x" * 3000}), "at most 2000"),
        (a_call('{"query": "\\ud800"}'), "half a character"),
        (a_call({"query": "x"}, "find_it"), "no function 'find_it'"),
        (a_call({"query": "x"}, ""), "no function ''"),
    ],
)
def test_a_call_that_cannot_be_carried_out_is_told_how_to(call: ToolCall, why: str) -> None:
    """What is wrong and what to call."""
    told = read_call(call, TOOL)
    assert isinstance(told, str)
    assert why in told
    assert "call look_up with" in told


def test_too_many_look_ups_at_once_are_put_off() -> None:
    """The first few are carried out."""
    found = sought_by([a_call({"query": str(no)}) for no in range(9)], TOOL)
    assert [isinstance(one, Sought) for one in found] == [no < MOST_AT_ONCE for no in range(9)]


def test_an_exchange_keeps_mistrals_rules() -> None:
    """Ids of nine letters and digits, one answer per call in order, arguments that parse; the same
    each time, whatever ids the server made."""
    choice = Choice(tool_calls=[a_call({"query": "x"}), a_call("{", "br oken")])
    sought = sought_by(choice.tool_calls, TOOL)
    made = list(exchange(choice, sought, ["found", "Error"], TOOL, 2, is_last=True))
    assert [one["role"] for one in made] == ["assistant", "tool", "tool"]
    calls = made[0]["tool_calls"]
    assert all(len(call["id"]) == 9 and call["id"].isalnum() for call in calls)
    assert [one["tool_call_id"] for one in made[1:]] == [call["id"] for call in calls]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"query": "x"}, {}]
    assert {call["function"]["name"] for call in calls} == {"look_up"}
    assert made[1]["content"] == "found"
    assert made[2]["content"].endswith(OVER)
