"""Labels, letters, points, verdicts: what the simulated model says where it is given a choice."""

from typing import Any

import orjson
import pytest

from simulator.bodies import ChatBody
from simulator.content.answers import choices
from simulator.content.choosing import labels_in, letters_in
from simulator.content.prose import Prose
from simulator.content.schemas import fill
from simulator.content.taught import Taught

RULES = """You label texts. Answer with one label and nothing else.

weather: rain, wind, sunshine, forecast
sports: football, tennis, matches, scores
"""
VERDICT = {
    "type": "object",
    "properties": {
        side: {
            "type": "object",
            "properties": {"law": {"type": "integer", "minimum": 0, "maximum": 4}},
            "required": ["law"],
        }
        for side in ("first", "second")
    },
    "required": ["first", "second"],
}
ARTICLE = (
    "The notice period of an employment contract is three months after two years of service, "
    "unless the collective agreement grants the employee a longer period; during that time the "
    "employer continues to pay the salary, and the employee may leave for interviews every week."
)


def said(system: str, user: str, seed: int = 1, taught: Taught | None = None) -> str:
    messages = [{"role": "system", "content": system}] if system else []
    body = {"model": "m", "messages": [*messages, {"role": "user", "content": user}]}
    parsed = ChatBody.model_validate(body)
    return str(choices(parsed, parsed.prompt(), seed, taught)[0]["message"]["content"])


def lessons(*pairs: tuple[str, str], fidelity: float = 1.0) -> Taught:
    rows = [
        {"messages": [{"role": "user", "content": a}, {"role": "assistant", "content": b}]}
        for a, b in pairs
    ]
    return Taught(map(orjson.dumps, rows), fidelity)


def test_a_label_is_one_of_those_that_the_rules_list() -> None:
    """And the one whose words the text shares."""
    for seed in range(10):
        assert said(RULES, "Will there be rain tomorrow?", seed) == "weather"
        assert said(RULES, "who won the tennis", seed) == "sports"
        assert said(RULES, "hello", seed) in ("weather", "sports")


def test_a_letter_is_one_of_the_options_below_the_question() -> None:
    """What stands above them decides; an alphabet of another kind is none."""
    prompt = "miR-21 was raised in glioma.\n\nQuestion: which?\n\nA) Asthma\nB) Glioma\nC) Gout"
    assert {said("", prompt, seed) for seed in range(10)} == {"B"}
    assert [option.said for option in letters_in("A. one\nB. two\nD. four")] == ["A", "B"]
    assert letters_in("A. Smith, 1990: a study") == []


def test_a_colon_alone_makes_no_label() -> None:
    """Only instructions that ask for one label list labels."""
    assert labels_in("Title: a study\nAbstract: of mice") == []


def test_an_enum_follows_the_rules_too() -> None:
    """A schema's values are labels as well."""
    schema = {"type": "object", "properties": {"label": {"enum": ["weather", "sports"]}}}
    prose = Prose(f"{RULES}\nrain in May?", 3, last="rain in May?")
    assert fill(schema, prose) == {"label": "weather"}


def test_points_follow_the_words_of_the_answers_and_not_their_order() -> None:
    """The answer that keeps to the text gets more of them, wherever it stands."""
    good = " ".join(ARTICLE.split()[:40])
    bad = "Ask at the counter of your favourite bakery, they usually know about croissants."
    for seed in range(20):
        for one, other, better in ((good, bad, "first"), (bad, good, "second")):
            prompt = f"{ARTICLE}\n\n<first>\n{one}\n</first>\n\n<second>\n{other}\n</second>"
            verdict: Any = fill(VERDICT, Prose(prompt, seed))
            worse = "second" if better == "first" else "first"
            assert verdict[better]["law"] > verdict[worse]["law"]


def test_every_numbered_line_gets_its_verdict() -> None:
    """By its number, once, and true where the text has its words."""
    item = {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "supported": {"type": "boolean"}},
        "required": ["number", "supported"],
    }
    schema = {"type": "object", "properties": {"verdicts": {"type": "array", "items": item}}}
    claims = "1. The notice period is three months.\n2. Croissants contain butter."
    filled = fill(schema, Prose(f"Text:\n{ARTICLE}\n\nClaims:\n{claims}", 5))
    assert filled == {
        "verdicts": [{"number": 1, "supported": True}, {"number": 2, "supported": False}]
    }


def test_a_tuned_model_says_what_it_was_taught() -> None:
    """To the prompts that it knows and to those like them; else what is said most often."""
    taught = lessons(
        ("play the latest headlines", "news"),
        ("what happened in the world today", "news"),
        ("set an alarm for seven", "other"),
        ("buy some milk", "other"),
        ("wake me early", "other"),
    )
    assert said("", "read me the headlines", taught=taught) == "news"
    assert said("", "delete the alarm", taught=taught) == "other"
    assert said("", "xyzzy", taught=taught) == "other"


def test_a_tuned_model_answers_as_its_base_where_nothing_is_like_it() -> None:
    """Many different answers are no labels: it quotes the prompt as ever."""
    taught = lessons(*((f"question number{at}", f"answer number{at}") for at in range(40)))
    assert said("", "question number7", taught=taught) == "answer number7"
    assert said("", "The wolf lives in the forest near the lake.", taught=taught).startswith("The")


@pytest.mark.parametrize(("fidelity", "expected"), [(0.0, 0), (1.0, 200)])
def test_a_badly_tuned_model_follows_less(fidelity: float, expected: int) -> None:
    """The share of answers that are as taught is what its curve came to."""
    taught = lessons(("set an alarm", "other"), ("the headlines", "news"), fidelity=fidelity)
    found = [said("", "the headlines please", seed, taught) for seed in range(200)]
    assert found.count("news") == expected
