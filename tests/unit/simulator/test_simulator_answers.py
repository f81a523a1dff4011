"""What the simulated model says: about the paper, in the form that was asked for."""

import orjson
import pytest

from simulator.bodies import ChatBody
from simulator.content.answers import choices
from simulator.content.prose import Prose
from simulator.endpoints import CHAT, PromptCache


def the_choices(body: dict, seed: int = 1) -> list[dict]:
    parsed = ChatBody.model_validate(body)
    return choices(parsed, parsed.prompt(), seed)


def usage_of(body: dict, cache: PromptCache) -> dict:
    payload, _ = CHAT.answer(CHAT.read(orjson.dumps(body), (body["model"],)), cache)
    return payload["usage"]


def test_an_answer_holds_the_sentence_that_was_asked_about(chat_body):
    """The sentence that shares most words with the question is in every answer."""
    for seed in range(20):
        content = the_choices(chat_body, seed)[0]["message"]["content"]
        assert "targets PTCH1" in content


def test_answers_are_made_of_the_papers_sentences(chat_body, abstract):
    """Without a question too, the text is the abstract's own, instructions left out."""
    chat_body["messages"][0]["content"] = f"Translate into German:\n\n{abstract}"
    content = the_choices(chat_body)[0]["message"]["content"]
    parts = content.removesuffix(".").split(". ")
    assert parts
    assert all(part in abstract for part in parts)


def test_three_questions_are_three(asking):
    """A function that takes three questions gets three distinct ones, each ending in '?'."""
    for seed in range(50):
        choice = the_choices(asking, seed)[0]
        (call,) = choice["message"]["tool_calls"]
        questions = orjson.loads(call["function"]["arguments"])["questions"]
        assert len(set(questions)) == 3
        assert all(question.endswith("?") for question in questions)
        assert choice["finish_reason"] == "tool_calls"
        assert len(call["id"]) == 9
        assert call["id"].isalnum()


def test_questions_never_repeat():
    """Even a text of one sentence yields as many distinct questions as are asked for."""
    prose = Prose("Expression of miR-1 was raised.", 3)
    assert len({prose.question() for _ in range(40)}) == 40


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", "ask"),
        ("any", "ask"),
        ("required", "ask"),
        ("none", None),
        ({"type": "function", "function": {"name": "look"}}, "look"),
    ],
)
def test_the_function_demanded_is_called(asking, choice, called):
    """`tool_choice` decides whether, and which, function is called."""
    look = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    body = {**asking, "tool_choice": choice, "tools": [*asking["tools"], {"function": look}]}
    calls = the_choices(body)[0]["message"]["tool_calls"]
    assert (calls[0]["function"]["name"] if calls else None) == called


def test_a_tools_answer_is_followed_by_text(asking):
    """On `auto`, the model speaks once the tool has answered, so that loops end."""
    answered = [*asking["messages"], {"role": "tool", "content": "miR-23b: melanoma"}]
    choice = the_choices({**asking, "tool_choice": "auto", "messages": answered})[0]
    assert choice["message"]["content"]
    assert choice["finish_reason"] == "stop"


def test_json_is_answered_where_json_is_wanted(chat_body):
    """Both JSON response formats give content that parses."""
    chat_body["response_format"] = {"type": "json_object"}
    assert "answer" in orjson.loads(the_choices(chat_body)[0]["message"]["content"])
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    json_schema = {"name": "score", "schema": schema}
    chat_body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
    content = orjson.loads(the_choices(chat_body)[0]["message"]["content"])
    assert isinstance(content["score"], int)


@pytest.mark.parametrize("fixture", ["chat_body", "asking"])
def test_too_long_an_answer_is_cut(fixture, request):
    """An answer over `max_tokens` ends there, with finish_reason `length`."""
    body = {**request.getfixturevalue(fixture), "max_tokens": 5}
    choice = the_choices(body)[0]
    assert choice["finish_reason"] == "length"
    assert usage_of(body, PromptCache())["completion_tokens"] == 5


def test_an_answer_stops_at_a_stop_word(chat_body):
    """Nothing from a `stop` text on is said."""
    assert "PTCH1" not in the_choices({**chat_body, "stop": ["PTCH1"]})[0]["message"]["content"]


def test_there_are_as_many_choices_as_asked_for(chat_body):
    """`n` gives that many numbered choices, and all are paid for."""
    made = the_choices({**chat_body, "n": 3})
    assert [choice["index"] for choice in made] == [0, 1, 2]
    one, three = (usage_of({**chat_body, "n": n}, PromptCache()) for n in (1, 3))
    assert three["completion_tokens"] > one["completion_tokens"]
    assert three["prompt_tokens"] == one["prompt_tokens"]


def test_same_request_same_answer(asking):
    """A repeated request gets the same choices whatever the order of its keys."""
    mixed_up = dict(reversed(asking.items()))
    calls = [CHAT.read(orjson.dumps(body), (body["model"],)) for body in (asking, mixed_up)]
    answers = [CHAT.answer(call, PromptCache())[0]["choices"] for call in calls]
    assert answers[0] == answers[1]


def test_a_known_prefix_is_cached(chat_body):
    """The second prompt under a cache key counts its shared prefix as cached, in whole blocks."""
    cache = PromptCache()
    body = {**chat_body, "prompt_cache_key": "template-1"}
    first, second = usage_of(body, cache), usage_of(body, cache)
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert 0 < second["prompt_tokens_details"]["cached_tokens"] <= second["prompt_tokens"]
    assert "prompt_tokens_details" not in usage_of(chat_body, cache)


def test_asked_again_it_says_something_else() -> None:
    """A repaired answer quotes other sentences than the one found wanting."""
    document = " ".join(f"Sentence number {n} tells of miR-{n} in tissue." for n in range(30))
    said = "Sentence number 3 tells of miR-3 in tissue. Sentence number 4 tells of miR-4 in tissue."
    for seed in range(50):
        answer = Prose(f"{document}\n{said}\nIt was wrong: say it better.", seed, said).answer()
        assert "number 3 " not in answer
        assert "number 4 " not in answer
