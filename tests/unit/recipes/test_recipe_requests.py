"""Requests, re-asks and records: the way of one row through a recipe."""

import json

import pytest
from mistral_common.protocol.instruct.request import ChatCompletionRequest
from mistral_common.protocol.instruct.validator import MistralRequestValidatorV3, ValidationMode
from recipe_builders import (
    FUNCTION,
    a_call,
    a_recipe,
    a_scope,
    a_step,
    called,
    compiled,
    fan_out,
    said,
)

from models.recipes import Choice, Compiled, Problem, RowProblem, Scope, ToolCall
from models.states import FailureCode

OPENAPI_FIELDS = {
    *("model", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "metadata"),
    *("messages", "response_format", "tools", "tool_choice", "presence_penalty"),
    *("frequency_penalty", "n", "prediction", "parallel_tool_calls", "reasoning_effort"),
    *("prompt_mode", "guardrails", "prompt_cache_key", "service_tier", "safe_prompt"),
}
PARAMETERS = {
    "temperature": 0.5,
    "top_p": 0.9,
    "max_tokens": 10,
    "stop": ["\n"],
    "random_seed": 1,
    "presence_penalty": 0,
    "frequency_penalty": -1.5,
    "safe_prompt": True,
    "reasoning_effort": "low",
    "prompt_mode": "reasoning",
    "service_tier": "priority",
    "metadata": {"team": "a", "none": None},
}


def check_with_mistral(body: dict) -> None:
    """What Mistral's own validator of serving requests has to say (it raises)."""
    known = {key: body[key] for key in ("messages", "tools", "temperature") if key in body}
    request = ChatCompletionRequest(model=body["model"], **known)
    MistralRequestValidatorV3(ValidationMode.serving).validate_request(request)


def test_a_text_request() -> None:
    """System, examples and prompt become messages in this order, stripped; parameters go along."""
    made = compiled(
        a_step(
            system="Be {{ vars.tone }}.\n",
            messages=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            parameters={"temperature": 0.5, "max_tokens": 10},
        ),
        variables={"tone": "kind"},
    )
    (body,) = made.requests(made.recipe.steps[0], a_scope("  x \n"))
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "Read:   x"},
    ]
    assert (body["model"], body["temperature"], body["max_tokens"]) == (
        "mistral-small-latest",
        0.5,
        10,
    )
    check_with_mistral(body)


def test_messages_may_end_with_the_prompt() -> None:
    """Examples that end with a user's message need no prompt."""
    made = compiled(a_step(prompt=None, messages=[{"role": "user", "content": "{{ row.text }}"}]))
    (body,) = made.requests(made.recipe.steps[0], a_scope())
    assert body["messages"] == [{"role": "user", "content": "a text"}]


def test_parameters_are_sent_as_they_are() -> None:
    """Every parameter arrives, nulls inside metadata included, and none the API does not know."""
    made = compiled(a_step(parameters=PARAMETERS))
    (body,) = made.requests(made.recipe.steps[0], a_scope())
    assert {key: body[key] for key in PARAMETERS} == PARAMETERS
    assert body.keys() <= OPENAPI_FIELDS


def test_a_function_request() -> None:
    """A function step offers one tool and requires one call of it, in the word all servers know."""
    made = compiled(a_step(function=FUNCTION))
    (body,) = made.requests(made.recipe.steps[0], a_scope())
    assert body["tools"] == [{"type": "function", "function": FUNCTION}]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body.keys() <= OPENAPI_FIELDS
    check_with_mistral(body)


def test_a_schema_request() -> None:
    """A schema step sends response_format with the schema as written, nulls in it included."""
    definition = {"type": "object", "properties": {"a": {"default": None}}}
    made = compiled(a_step(schema={"name": "x", "schema": definition}))
    (body,) = made.requests(made.recipe.steps[0], a_scope())
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "strict": True, "schema": definition},
    }


def test_fan_out_and_its_records() -> None:
    """One request per item in order, then one record per answer with its item."""
    made = fan_out()
    first, second = made.recipe.steps
    read = made.read(first, called(a_call()))
    assert not isinstance(read, Problem)
    scope = a_scope(questions=read.value)
    prompts = [body["messages"][0]["content"] for body in made.requests(second, scope)]
    assert prompts == ["one?", "two?"]
    scope.answers["answers"] = ["1", "2"]
    assert made.records(scope) == [{"q": "one?", "a": "1"}, {"q": "two?", "a": "2"}]


def test_an_empty_list_makes_no_requests_and_no_records() -> None:
    """A fan-out over nothing is nothing, if the schema lets it be empty."""
    made = fan_out()
    scope = a_scope(questions={"questions": []}, answers=[])
    assert made.requests(made.recipe.steps[1], scope) == []
    assert made.records(scope) == []


def test_fan_out_over_a_list_of_the_row() -> None:
    """`row.path` fans out too; what is no list, missing or too long there is a bad row."""
    made = compiled(a_step(prompt="{{ number }} {{ item }}", for_each="row.meta.tags", max_items=2))
    (step,) = made.recipe.steps
    bodies = made.requests(step, Scope({"text": "", "meta": {"tags": ["a", "b"]}}))
    assert [body["messages"][0]["content"] for body in bodies] == ["1 a", "2 b"]
    for tags in ("a", None, ["a", "b", "c"], {"a": 1}):
        with pytest.raises(RowProblem) as caught:
            made.requests(step, Scope({"meta": {"tags": tags}}))
        assert caught.value.code is FailureCode.BAD_ROW
        assert "row.meta.tags" in caught.value.detail


def test_a_third_step_over_a_fan_out_keeps_the_pairs() -> None:
    """Looping over a fan-out step gives each answer together with the item it answers."""
    steps = [step.model_dump(exclude_none=True) for step in fan_out().recipe.steps]
    judged = a_step(name="judged", prompt="{{ q }}: {{ a }}?", for_each="answers", **{"as": "a"})
    output = {
        "for_each": "judged",
        "as": "j",
        "record": {"all": "{{ q }}{{ a }}{{ j }}{{ number }}"},
    }
    made = compiled(*steps, judged, output=output)
    scope = a_scope(questions={"questions": ["q1", "q2"]}, answers=["a1", "a2"])
    bodies = made.requests(made.recipe.steps[2], scope)
    assert [body["messages"][0]["content"] for body in bodies] == ["q1: a1?", "q2: a2?"]
    scope.answers["judged"] = ["y", "n"]
    assert made.records(scope) == [{"all": "q1a1y1"}, {"all": "q2a2n2"}]


def test_provenance_is_one_for_one_with_records() -> None:
    """The side file gets as many entries as there are records; empty where nothing is said."""
    scope = a_scope(questions={"questions": ["q1", "q2"]}, answers=["a1", "a2"])
    said_nothing = fan_out()
    assert said_nothing.provenance(scope) == [{}, {}]
    told = fan_out(for_each="answers", record={"a": "b"}, provenance={"n": "{{ number }}"})
    assert told.provenance(scope) == [{"n": 1}, {"n": 2}]


def test_the_cache_key_is_of_the_template() -> None:
    """Rows do not change the key, the template, its variables and its function do."""
    keys = {}
    for name, step in {
        "base": a_step(),
        "same": a_step(name="other", parameters={"temperature": 0}),
        "prompt": a_step(prompt="{{ row.text }}"),
        "system": a_step(system="x"),
        "function": a_step(function=FUNCTION),
    }.items():
        made = compiled(step)
        texts = ("one", "two")
        bodies = [made.requests(made.recipe.steps[0], a_scope(text))[0] for text in texts]
        (keys[name],) = {body["prompt_cache_key"] for body in bodies}
    assert keys["base"] == keys["same"]
    assert len(set(keys.values())) == 4
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys.values())


def test_requests_are_the_same_every_time() -> None:
    """The same recipe and row give the same bytes, so that a paid call is found again."""
    row = a_scope("x")
    recipe = a_recipe(a_step(function=FUNCTION, parameters=PARAMETERS))
    again = recipe.model_validate_json(recipe.model_dump_json())
    bodies = [Compiled(one).requests(one.steps[0], row) for one in (recipe, again)]
    assert json.dumps(bodies[0]) == json.dumps(bodies[1])


def test_a_missing_field_is_a_bad_row() -> None:
    """The failure names step, template and field."""
    made = compiled()
    with pytest.raises(RowProblem) as caught:
        made.requests(made.recipe.steps[0], Scope({"id": "1"}))
    assert caught.value.code is FailureCode.BAD_ROW
    assert caught.value.detail.startswith("step answer, prompt: there is no 'text' here")


@pytest.mark.parametrize(
    "choice",
    [
        called(a_call({"questions": 1})),
        called(a_call({"questions": 1}, id="call_0123456789_too_long_for_mistral")),
        called(ToolCall("", "save", {"questions": 1})),
        called(a_call(name="other"), a_call()),
        called(a_call("{broken")),
        called(a_call(name="not a name!")),
        called(a_call("[1]")),
        said("Just text."),
    ],
)
def test_a_re_ask_is_a_valid_conversation(choice: Choice) -> None:
    """After any bad answer the re-ask passes Mistral's validator and says what was wrong."""
    made = compiled(a_step(function=FUNCTION, system="s"))
    (step,) = made.recipe.steps
    (body,) = made.requests(step, a_scope())
    problem = made.read(step, choice)
    assert isinstance(problem, Problem)
    assert problem.repairable
    again = made.repair(step, body, choice, problem)
    check_with_mistral(again)
    assert again["messages"][:2] == body["messages"]
    assert again["messages"][-1]["role"] in ("user", "tool")
    assert problem.detail in again["messages"][-1]["content"]
    assert {**again, "messages": 0} == {**body, "messages": 0}
    assert len(body["messages"]) == 2


def test_a_re_ask_of_text_shows_the_answer() -> None:
    """A text that broke a rule is re-asked with the text and the rule."""
    made = compiled(a_step(checks={"forbid": ["the abstract"]}))
    (step,) = made.recipe.steps
    (body,) = made.requests(step, a_scope())
    choice = said("See the abstract.")
    problem = made.read(step, choice)
    assert isinstance(problem, Problem)
    *_, answer, last = made.repair(step, body, choice, problem)["messages"]
    assert answer == {"role": "assistant", "content": "See the abstract."}
    assert "'the abstract'" in last["content"]


def test_preview_is_exact_first_and_made_up_later() -> None:
    """A preview holds the true first request, then a stand-in per later step with its count."""
    made = fan_out()
    first, second = made.preview({"text": "x"})
    assert first.body == made.requests(made.recipe.steps[0], a_scope("x"))[0]
    assert (first.count, first.is_exact) == (1, True)
    assert (second.count, second.is_exact) == (3, False)
    assert second.body["messages"][0]["content"]


def test_preview_counts_lists_of_the_row() -> None:
    """A fan-out over the row's own list is counted, and an empty one asks nothing."""
    made = compiled(a_step(prompt="{{ item }}", for_each="row.tags"))
    assert [one.count for one in made.preview({"tags": ["a", "b"]})] == [2]
    assert made.preview({"tags": []}) == []


TREE = {
    "type": "object",
    "properties": {"nodes": {"type": "array", "items": {"$ref": "#/$defs/node"}, "minItems": 4}},
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "kind": {"enum": ["leaf", "twig"]},
                "weight": {"type": "number", "minimum": 2},
                "next": {"$ref": "#/$defs/node"},
            },
        }
    },
}


def test_preview_follows_references() -> None:
    """Stand-ins are made from referenced schemas too, even from those that hold themselves."""
    made = compiled(
        a_step(name="tree", schema={"schema": TREE}),
        a_step(prompt="{{ item.kind }} {{ item.weight }} {{ item.name }}", for_each="tree.nodes"),
    )
    _, second = made.preview({"text": "x"})
    assert second.count == 4
    assert second.body["messages"][0]["content"].startswith("leaf 2 ")


def test_preview_survives_an_open_schema() -> None:
    """Where no schema says what the next step reads, the estimate is filler, not a failure."""
    made = compiled(
        a_step(name="open", schema={"schema": {"type": "object"}}),
        a_step(name="one", prompt="{{ open.this.that }}"),
        a_step(name="many", prompt="{{ item.x }}", for_each="open.list"),
    )
    counts = [(one.step.name, one.count, one.is_exact) for one in made.preview({"text": "x"})]
    assert counts == [("open", 1, True), ("one", 1, False), ("many", 3, False)]


def test_preview_names_a_bad_row() -> None:
    """What the row itself lacks is a failure in a preview as well."""
    with pytest.raises(RowProblem):
        compiled().preview({})
