"""Answers: what is taken, what is not, and under which name."""

import math

import pytest
from recipe_builders import FUNCTION, a_call, a_step, called, compiled, fan_out, said

from models.recipes import Choice, Problem, Read, ToolCall
from models.states import FailureCode

SCHEMA = {"name": "score", "schema": {"type": "object", "required": ["score"]}}


def read(choice: Choice, **step: object) -> Read | Problem:
    made = compiled(a_step(**step))
    return made.read(made.recipe.steps[0], choice)


@pytest.mark.parametrize(
    "choice",
    [
        called(a_call()),
        called(ToolCall("x", "save", {"questions": ["one?", "two?"]})),
        called(a_call(), finish_reason=None),
        called(a_call(), finish_reason="stop", content="I call it now."),
        called(a_call('  {"questions": ["one?", "two?"]}\n')),
    ],
)
def test_good_calls(choice: Choice) -> None:
    """One call of the function whose arguments fit is read, as text or as an object."""
    assert read(choice, function=FUNCTION) == Read({"questions": ["one?", "two?"]})


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (said("Here are my questions."), "it is text, and one call"),
        (called(a_call(), a_call()), "2 function calls"),
        (called(a_call(name="other")), "calls 'other'"),
        (called(a_call("{")), "not JSON"),
        (called(a_call('{"questions": [], "questions": []}')), "twice"),
        (called(a_call('{"questions": [NaN]}')), "NaN"),
        (called(a_call('{"questions": [1e999]}')), "too large"),
        (called(a_call('{"questions": [92233720368547758080]}')), "64 bits"),
        (called(a_call('{"questions": ["\\ud800"]}')), "half a character"),
        (called(a_call("[" * 100_000)), "nested"),
        (called(a_call('{"questions": ' + "[" * 70 + "]" * 70 + "}")), "64 levels"),
        (called(ToolCall("x", "save", {"questions": [math.nan]})), "not JSON compliant"),
        (called(a_call({"questions": "one?"})), "$.questions: 'one?' is not of type 'array'"),
        (called(a_call({"questions": ["a", 2]})), "$.questions[1]"),
        (called(a_call({"questions": list("abcd")})), "$.questions: "),
        (called(a_call({})), "'questions' is a required property"),
        (called(a_call({"questions": [], "x": 1})), "'x' was unexpected"),
        (called(a_call("[]")), "is not of type 'object'"),
    ],
)
def test_bad_calls(choice: Choice, words: str) -> None:
    """Every way of missing the function is an invalid answer that one re-ask may mend."""
    problem = read(choice, function=FUNCTION)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.repairable) == (FailureCode.INVALID_ANSWER, True)
    assert words in problem.detail


@pytest.mark.parametrize(
    "content",
    ['{"score": 1}', '\n {"score": 1} \n', '```json\n{"score": 1}\n```', '```\n{"score": 1}\n```'],
)
def test_json_answers(content: str) -> None:
    """JSON is read with white space or a fence around it."""
    assert read(said(content), schema=SCHEMA) == Read({"score": 1})


@pytest.mark.parametrize(
    "content", ['Sure: {"score": 1}', "{}", '{"score": 1} {"score": 2}', "[1]"]
)
def test_bad_json_answers(content: str) -> None:
    """Words around the JSON, missing keys, two values and other types are invalid."""
    problem = read(said(content), schema=SCHEMA)
    assert isinstance(problem, Problem)
    assert problem.code is FailureCode.INVALID_ANSWER


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (said("half an ans", finish_reason="length"), FailureCode.TRUNCATED),
        (said("half an ans", finish_reason="model_length"), FailureCode.TRUNCATED),
        (said("", finish_reason="length"), FailureCode.TRUNCATED),
        (said(None), FailureCode.EMPTY_ANSWER),
        (said(" \n\t"), FailureCode.EMPTY_ANSWER),
        (said("fine", refusal="I won't."), FailureCode.REFUSED),
        (said("", finish_reason="content_filter"), FailureCode.REFUSED),
        (said("I'm sorry, but I can't help with that."), FailureCode.REFUSED),
        (said("fine", finish_reason="error"), FailureCode.SERVER_ERROR),
    ],
)
@pytest.mark.parametrize("kind", [{}, {"function": FUNCTION}, {"schema": SCHEMA}])
def test_named_failures(choice: Choice, code: FailureCode, kind: dict[str, object]) -> None:
    """Cut-off, empty, refused and broken answers are named, never re-asked, whatever was asked."""
    problem = read(choice, **kind)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.repairable) == (code, False)


def test_a_truncated_call_is_not_taken_even_when_it_parses() -> None:
    """finish_reason length fails an answer that looks whole: nothing silent."""
    problem = read(called(a_call(), finish_reason="length"), function=FUNCTION)
    assert isinstance(problem, Problem)
    assert problem.code is FailureCode.TRUNCATED


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I can’t provide medical advice.",
        "I am sorry, I cannot help you with this.",
        "Sorry, I can't do that.",
        "I cannot provide an answer to this question.",
        "I can't help with that.",
        "I'm unable to answer this.",
        "I am not able to discuss this topic.",
        "I won't be able to help with this request.",
        "I apologize, but I cannot fulfill this request.",
        "Unfortunately, I cannot answer that.",
        "As an AI language model, I cannot provide that.",
        "**I'm sorry, but I can't comply.**",
        "Je suis désolé, mais je ne peux pas répondre à cette question.",
        "Désolée, je ne peux pas vous aider.",
        "Es tut mir leid, aber ich kann dabei nicht helfen.",
        "Leider kann ich diese Frage nicht beantworten.",
    ],
)
def test_refusals(text: str) -> None:
    """The usual first words of a refusal are recognised."""
    problem = read(said(text))
    assert isinstance(problem, Problem)
    assert problem.code is FailureCode.REFUSED


@pytest.mark.parametrize(
    "text",
    [
        "I cannot overstate how often miR-21 is raised in tumours.",
        "miR-21 cannot help distinguish the two groups.",
        "Sorry is the first word of the poem.",
        "Unfortunately, miR-21 alone cannot provide a diagnosis.",
        "I can provide three reasons.",
        "It is unable to assist in repair once PTEN is lost. I cannot help you further.",
        "As an AI-based score, it ranks targets by free energy.",
        "Es tut mir leid zu hören, dass die Studie abgebrochen wurde.",
        "Je ne mange pas de pain.",
        "No.",
    ],
)
def test_answers_that_are_no_refusals(text: str) -> None:
    """Honest answers with such words in another sense, or later, are taken."""
    assert read(said(text)) == Read(text)


def test_refusals_can_be_answers() -> None:
    """A step that translates takes "I can't help you" for the translation it is."""
    text = "I'm sorry, but I can't help you."
    assert read(said(text), checks={"refusals": False}) == Read(text)


def test_text_is_stripped() -> None:
    """White space around a text answer is not part of it."""
    assert read(said(" yes\n")) == Read("yes")


def test_a_call_where_text_was_asked_for() -> None:
    """A function call instead of text is invalid, not empty."""
    problem = read(called(a_call()))
    assert isinstance(problem, Problem)
    assert problem.code is FailureCode.INVALID_ANSWER


def test_half_characters_in_text() -> None:
    """Text that UTF-8 cannot hold is invalid before it can break a commit."""
    problem = read(said("a\ud800b"))
    assert isinstance(problem, Problem)
    assert "half a character" in problem.detail


@pytest.mark.parametrize(
    ("checks", "text", "words"),
    [
        ({"forbid": [r"\bthe abstract\b"]}, "As The Abstract says, yes.", "'The Abstract'"),
        ({"min_chars": 10}, "yes", "at least 10"),
        ({"max_chars": 2}, "yes", "at most 2"),
    ],
)
def test_checks(checks: dict[str, object], text: str, words: str) -> None:
    """An answer against a declared rule is invalid, with the rule in words for the re-ask."""
    problem = read(said(text), checks=checks)
    assert isinstance(problem, Problem)
    assert words in problem.detail
    assert problem.repairable


def test_checks_reach_into_structures() -> None:
    """Forbidden words are found in every text of a function's arguments."""
    choice = called(a_call({"questions": ["fine?", "what does the title say?"]}))
    problem = read(choice, function=FUNCTION, checks={"forbid": ["the title"]})
    assert isinstance(problem, Problem)
    assert "'the title'" in problem.detail


def test_max_items_is_checked_where_the_list_is_made() -> None:
    """A list longer than the later fan-out takes is invalid at once, before its calls are paid."""
    first = a_step(name="many", schema={"schema": {"type": "object"}})
    second = a_step(name="each", prompt="{{ item }}", for_each="many.items", max_items=2)
    made = compiled(first, second)
    for answer, words in (('{"items": [1, 2, 3]}', "has 3 items"), ('{"x": 1}', "is missing")):
        problem = made.read(made.recipe.steps[0], said(answer))
        assert isinstance(problem, Problem)
        assert words in problem.detail
    assert made.read(made.recipe.steps[0], said('{"items": []}')) == Read({"items": []})


def test_a_schema_in_a_circle_fails_the_answer_not_the_worker() -> None:
    """A schema that refers to itself without end is a problem by name."""
    problem = read(said("{}"), schema={"schema": {"type": "object", "$ref": "#"}})
    assert isinstance(problem, Problem)
    assert "without end" in problem.detail


def test_details_stay_short() -> None:
    """A huge wrong answer does not become a huge error."""
    made = fan_out()
    problem = made.read(made.recipe.steps[0], called(a_call({"questions": "x" * 100_000})))
    assert isinstance(problem, Problem)
    assert len(problem.detail) <= 300
