"""Rows of multiple choice over a store, and a server that a test makes up."""

import json
from pathlib import Path
from typing import Any

import pytest
from judged_builders import a_row, prompt_of
from retrieval_builders import DOCS, OPTIONS, RETRIEVAL, Talking, a_store, an_exam, calling

from models.payloads import Failed, Snoozed
from models.recipes.problems import RowProblem
from models.states import FailureCode
from models.suites import Evaluation
from models.suites.outcomes import Answer, to_outcomes, to_record
from worker.evaluating import libraries
from worker.evaluating.answering import answers
from worker.evaluating.row import EvaluationRow, together

TOOL = {**RETRIEVAL, "tool": {"name": "look_up", "max_turns": 2, "prompts": ["bare"]}}
LETTER = {
    "name": "save",
    "parameters": {"type": "object", "properties": {"answer": {"enum": list("ABCD")}}},
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return a_store(tmp_path)


def a_question(evaluation: Evaluation, asker: Talking, **data: Any) -> EvaluationRow:
    told = {"question": "Where is miR-21?", "options": OPTIONS, "answer": "B", **data}
    return a_row(evaluation, asker, **told)


async def found(evaluation: Evaluation, asker: Talking, **data: Any) -> list[Answer]:
    said = await answers(a_question(evaluation, asker, **data))
    assert isinstance(said, list), said
    return said


def told(answer: Answer) -> list[tuple[object, object]]:
    return [(one["id"], one["why"]) for one in answer.retrieved]


async def test_documents_that_name_the_molecule_come_first_and_are_told(store: Path) -> None:
    """Then the nearest; what was shown, how near and why is in the record, which survives JSON."""
    asker = Talking("The answer is B")
    (answer,) = await found(an_exam(store), asker)
    assert prompt_of(asker.bodies[0]).startswith(
        "<miR-21 in the liver><miR-21-3p in the heart><Nothing in particular>"
    )
    assert told(answer) == [("p1", "entity"), ("p2", "entity"), ("p4", "cosine")]
    assert 0.99 < float(answer.retrieved[0]["score"]) <= 1.0  # type: ignore[arg-type] # a number
    assert asker.sought == ["Where is miR-21?"]
    record = json.loads(json.dumps(to_record(answer)))
    assert list(to_outcomes([record])) == [answer]


async def test_options_are_shuffled_alike_for_all_models_and_mapped_back(store: Path) -> None:
    """Every attempt has its order; the answer and the right one are in the row's letters."""
    asker = Talking("A")
    evaluation = an_exam(store, "m", "n", "m@bare", attempts=6)
    said = await found(evaluation, asker)
    orders = {model: [a.order for a in said if a.model == model] for model in ("m", "n", "m@bare")}
    assert orders["m"] == orders["n"] == orders["m@bare"]
    assert len(set(orders["m"])) > 2
    assert all(one.value == one.order[0] for one in said), "A is what was shown first"
    assert {one.gold for one in said} == {"B"}
    for one, body in zip(said, asker.bodies, strict=True):
        texts = [OPTIONS[letter] for letter in one.order]
        shown = [f"{letter}) {text}" for letter, text in zip("ABCD", texts, strict=True)]
        assert " ".join(shown) in prompt_of(body)


async def test_a_prompt_that_reads_no_documents_is_shown_none(store: Path) -> None:
    """Nor is the record said to have any; the vector is asked for once, for those who do."""
    asker = Talking("B")
    open_book, bare = await found(an_exam(store, "m", "m@bare"), asker)
    assert len(open_book.retrieved) == 3
    assert bare.retrieved == []
    assert len(asker.sought) == 1
    closed = Talking("B")
    await found(an_exam(None, "m@bare"), closed)
    assert closed.sought == [], "and without a store nobody misses it"


async def test_what_has_no_room_is_left_out_whole_and_told(tmp_path: Path) -> None:
    """A long document gives way to those that fit."""
    docs = {**DOCS, "p1": ("miR-21 " + "liver " * 300, ["miR-21"], [1.0, 0.0, 0.0])}
    store = a_store(tmp_path, docs=docs)
    asker = Talking("B")
    (answer,) = await found(an_exam(store, retrieval={**RETRIEVAL, "context_tokens": 100}), asker)
    left = {one["id"]: one.get("left_out", False) for one in answer.retrieved}
    assert left == {"p1": True, "p2": False, "p4": False}
    assert "liver liver" not in prompt_of(asker.bodies[0])


async def test_an_answer_that_cannot_be_used_is_an_answer_with_a_problem(store: Path) -> None:
    """Two letters, none, or cut off: counted, and named."""
    for text, code in (("A or B", "invalid_answer"), ("", "empty_answer")):
        (answer,) = await found(an_exam(store), Talking(text))
        assert (answer.value, answer.problem, answer.gold) == (None, code, "B")
        assert answer.order


@pytest.mark.parametrize(("text", "problem"), [("The answer is A", ""), ("It may", "truncated")])
async def test_a_cut_answer_counts_if_it_said_its_letter(
    store: Path, text: str, problem: str
) -> None:
    """Else it was cut off, which says more than that it has no letter."""

    class Cut(Talking):
        async def ask(self, *given: Any, **named: Any) -> Any:
            found = await super().ask(*given, **named)
            if given[1] == "chat":
                found.answer["choices"][0]["finish_reason"] = "length"
            return found

    (answer,) = await found(an_exam(store), Cut(text))
    assert answer.problem == problem


@pytest.mark.parametrize(
    ("data", "why"),
    [({"answer": "E"}, "none of the options"), ({"options": ["x"]}, "1 options")],
)
async def test_a_row_without_a_right_answer_is_not_paid_for(
    store: Path, data: dict[str, Any], why: str
) -> None:
    """It fails by name before its query is."""
    asker = Talking("B")
    with pytest.raises(RowProblem, match=why):
        await answers(a_question(an_exam(store), asker, **data))
    assert asker.asked == []


async def test_a_row_that_asks_nothing_is_a_bad_row(store: Path) -> None:
    """There is nothing to search for."""
    with pytest.raises(RowProblem, match=r"retrieval\.query"):
        await answers(a_question(an_exam(store), Talking("B"), question=" "))


async def test_a_stop_ends_the_row(store: Path) -> None:
    """While the vector is asked for as well."""

    class Stopped(Talking):
        async def ask(self, *_: Any, **__: Any) -> Any:
            return Snoozed("told to stop")

    assert await answers(a_question(an_exam(store), Stopped("B"))) == Snoozed("told to stop")


async def test_another_content_pauses_the_job_by_name(store: Path, tmp_path: Path) -> None:
    """Nothing is searched that the evaluation was not planned with, and nothing is paid."""
    evaluation = an_exam(store)
    a_store(tmp_path, docs={**DOCS, "p6": ("New", [], [0.5, 0.5, 0.5])})
    asker = Talking("B")
    row = a_question(evaluation, asker)
    paused: list[tuple[str, str]] = []
    row.run.shard.job.pausing = lambda _, reason, detail: paused.append((reason, detail))
    assert isinstance(await answers(row), Snoozed)
    ((reason, detail),) = paused
    assert reason == "store"
    assert "another content" in detail
    assert asker.asked == []


async def test_a_missing_store_pauses_and_is_looked_for_again(store: Path) -> None:
    """Brought back, it is opened: a failure is not remembered."""
    evaluation = an_exam(store)
    away = store.rename(store.with_name("away"))
    row = a_question(evaluation, Talking("B"))
    assert isinstance(await answers(row), Snoozed)
    assert "there is no embedded store" in row.run.shard.stop_reason
    away.rename(store)
    again = a_question(evaluation, Talking("B"))
    again.stores = row.stores
    assert isinstance(await answers(again), list)


async def test_vectors_of_another_length_pause_the_job(store: Path) -> None:
    """The model of that name is not what it was."""
    row = a_question(an_exam(store), Talking("B", space=[1.0, 0.0]))
    assert isinstance(await answers(row), Snoozed)
    assert "3 numbers" in row.run.shard.stop_reason


async def test_a_store_is_opened_once_for_all_rows(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where many ask at the same time."""
    opened: list[Path] = []
    read = libraries.read_store
    monkeypatch.setattr(libraries, "read_store", lambda path: opened.append(path) or read(path))
    evaluation = an_exam(store)
    rows = [a_question(evaluation, Talking("B")) for _ in range(5)]
    for row in rows:
        row.stores = rows[0].stores
    assert all(isinstance(one, list) for one in await together(map(answers, rows)))
    assert opened == [store]


def an_exam_with_tool(store: Path, **changes: Any) -> Evaluation:
    return an_exam(store, "m@bare", retrieval=TOOL, **changes)


async def test_a_model_looks_things_up_and_then_answers(store: Path) -> None:
    """Each turn is a call of its own; what was sought and shown is told, and kept for judges."""
    asker = Talking(calling(("look_up", {"query": "in bone", "entity": "miR-23a"})), "B")
    row = a_question(an_exam_with_tool(store), asker)
    said = await answers(row)
    assert isinstance(said, list)
    (answer,) = said
    assert answer.paid.calls == 2
    assert len(answer.paid.keys) == 2
    assert answer.lookups == [
        {"turn": 1, "query": "in bone", "entity": "miR-23a", "found": 3},
    ]
    assert answer.retrieved[0]["id"] == "p5", "named by the entity, however far"
    assert {(one["why"], one["turn"]) for one in answer.retrieved} == {("tool", 1)}
    tool = asker.bodies[1]["messages"][-1]
    assert tool["content"].startswith("[p5]\nA family, miR-23, in bone\n\n[")
    assert asker.bodies[1]["tools"] == asker.bodies[0]["tools"]
    assert row.shown["m@bare", 1][0] == "A family, miR-23, in bone"


async def test_what_was_shown_is_not_shown_again(store: Path) -> None:
    """It is named, so that the model knows that it was found."""
    again = calling(("look_up", {"query": "miR-21"}))
    asker = Talking(again, again, "B")
    (answer,) = await found(an_exam_with_tool(store), asker)
    assert len(answer.retrieved) == 3
    assert [one["found"] for one in answer.lookups] == [3, 0]
    assert "Shown before: p1, p2, p4" in asker.bodies[2]["messages"][-1]["content"]


async def test_a_model_that_keeps_calling_is_asked_once_more_without_the_function(
    store: Path,
) -> None:
    """And told that it was the last time; after that its calls are no answer."""
    asker = Talking(calling(("look_up", {"query": "x"})))
    (answer,) = await found(an_exam_with_tool(store), asker)
    assert [("tools" in body) for body in asker.bodies] == [True, True, False]
    assert "last look-up" in asker.bodies[2]["messages"][-1]["content"]
    assert "last look-up" not in asker.bodies[1]["messages"][-1]["content"]
    assert answer.problem == FailureCode.INVALID_ANSWER
    assert answer.paid.calls == 3


async def test_malformed_calls_are_told_to_the_model(store: Path) -> None:
    """They look nothing up, and the turn goes on; what it was told is in the record."""
    asker = Talking(calling(("look_up", "{oh"), ("find", {}), ("look_up", {"query": "miR-9"})), "B")
    (answer,) = await found(an_exam_with_tool(store), asker)
    errors = [str(one.get("error", "")) for one in answer.lookups]
    assert ["not JSON" in errors[0], "no function 'find'" in errors[1]] == [True, True]
    results = [one["content"] for one in asker.bodies[1]["messages"] if one["role"] == "tool"]
    assert [one.startswith("Error: ") for one in results] == [True, True, False]
    assert answer.value == answer.order[1]


async def test_room_is_shared_by_all_look_ups(store: Path) -> None:
    """What is left out for want of room is told to the model and in the record."""
    small = {**TOOL, "context_tokens": 100}
    prompts = {
        "bare": {"prompt": "{{ row.question }}{% for o in options %}{{ o.text }}{% endfor %}"}
    }
    docs = {f"p{no}": (f"Document number {no} " * 5, [], [1.0, no / 10, 0.0]) for no in range(6)}
    wide = a_store(store.parent, docs=docs)
    look = calling(("look_up", {"query": "documents"}))
    asker = Talking(look, look, "B")
    evaluation = an_exam(wide, "m@bare", retrieval=small, prompts=prompts)
    (answer,) = await found(evaluation, asker)
    shown = [one for one in answer.retrieved if not one.get("left_out")]
    assert 0 < len(shown) < len(answer.retrieved)
    assert [one["found"] for one in answer.lookups] == [len(shown), 0]
    assert "There was no room for" in asker.bodies[1]["messages"][-1]["content"]


async def test_an_answer_by_function_is_not_taken_for_a_look_up(store: Path) -> None:
    """Both functions are offered, and one is demanded; without look-ups left, its own alone."""
    prompts = {"bare": {"prompt": "{{ row.question }}", "function": LETTER}}
    look = calling(("look_up", {"query": "x"}))
    asker = Talking(look, look, calling(("save", {"answer": "A"})))
    evaluation = an_exam(store, "m@bare", retrieval=TOOL, prompts=prompts)
    (answer,) = await found(evaluation, asker)
    assert answer.value == answer.order[0]
    names = [[one["function"]["name"] for one in body["tools"]] for body in asker.bodies]
    assert names == [["look_up", "save"], ["look_up", "save"], ["save"]]
    assert {body["tool_choice"] for body in asker.bodies} == {"required"}


async def test_a_failed_call_between_two_look_ups_is_nobodys_answer(store: Path) -> None:
    """It fails the row by name, which is retried from the ledger."""

    class Failing(Talking):
        async def ask(self, *given: Any, **named: Any) -> Any:
            if len(self.bodies) == 1 and given[1] == "chat":
                return Failed(FailureCode.SERVER_ERROR, "502")
            return await super().ask(*given, **named)

    asker = Failing(calling(("look_up", {"query": "x"})), "B")
    said = await answers(a_question(an_exam_with_tool(store), asker))
    assert said == Failed(FailureCode.SERVER_ERROR, "502")
