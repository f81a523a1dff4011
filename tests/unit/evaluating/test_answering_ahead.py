"""What contestants will be asked, told before anything is paid; and stores found."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from retrieval_builders import OPTIONS, RETRIEVAL, a_store, an_exam

from models.errors import BadInputError
from models.recipes.problems import RowProblem
from models.suites import Evaluation
from models.suites.loading import parse_suite
from models.suites.retrieving import TYPICAL_DOCUMENT
from models.vectors import describe
from producers.embedding import stores
from producers.evaluating import searching
from producers.evaluating.previewing import Previewer, Requested

ROW = {"id": "r1", "question": "Where is miR-21?", "options": OPTIONS, "answer": "B"}
OBJECT = {"type": "object"}
TOOL = {**RETRIEVAL, "tool": {"prompts": ["bare"]}}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return a_store(tmp_path)


def requests(evaluation: Evaluation, row: dict[str, Any] = ROW) -> list[Requested]:
    return list(Previewer(evaluation).requests(row))


def test_options_and_documents_are_counted_at_their_likely_size(store: Path) -> None:
    """As many documents as a question gets, and each option of the row; the vector once."""
    vector, asked = requests(an_exam(store, attempts=3))
    assert vector.body == {"model": "embedder", "input": ["Where is miR-21?"]}
    assert (vector.count, asked.count) == (1, 3)
    text = asked.body["messages"][0]["content"]
    assert all(option in text for option in OPTIONS.values())
    assert TYPICAL_DOCUMENT * 0.8 * 3 < len(text) < TYPICAL_DOCUMENT * 1.2 * 3


@pytest.mark.parametrize("named", ["m", "m@bare"])
def test_what_is_asked_first_has_nothing_made_up(store: Path, named: str) -> None:
    """A row is too long by its own text alone: no documents, and no turn after a look-up."""
    evaluation = an_exam(store, named, retrieval=TOOL if named == "m@bare" else RETRIEVAL)
    bodies = list(Previewer(evaluation).first_requests(ROW))
    assert all(len(str(body)) < TYPICAL_DOCUMENT for body in bodies)
    asked = [body for body in bodies if "messages" in body]
    assert ["tools" in body for body in asked] == [named == "m@bare"]
    assert all(option in str(asked) for option in OPTIONS.values())


def test_a_prompt_may_name_the_first_document(store: Path) -> None:
    """What is asked first has empty ones, or a row too long by its own text would pass."""
    prompts = {"open": {"prompt": "<{{ context[0] }}> {{ row.question }}"}}
    _, asked = Previewer(an_exam(store, prompts=prompts)).first_requests(ROW)
    assert asked["messages"] == [{"role": "user", "content": f"<> {ROW['question']}"}]


def test_whoever_is_shown_nothing_costs_no_vector(store: Path) -> None:
    """Only the prompt with its options."""
    (asked,) = requests(an_exam(store, "m@bare"))
    assert len(str(asked.body)) < 500
    assert Previewer(an_exam(store, "m@bare")).rounds == 1
    assert Previewer(an_exam(store)).rounds == 2


def test_a_look_up_is_counted_with_what_it_brings(store: Path) -> None:
    """The call, the vector, and the answer with documents in the conversation."""
    evaluation = an_exam(store, "m@bare", attempts=2, retrieval=TOOL)
    call, vector, answer = requests(evaluation)
    assert [one.count for one in (call, vector, answer)] == [2, 2, 2]
    assert call.body["tools"] == answer.body["tools"]
    assert len(str(answer.body)) > len(str(call.body)) + TYPICAL_DOCUMENT
    assert Previewer(evaluation).rounds == 3


def test_rows_have_to_have_what_is_read(store: Path) -> None:
    """Options, the right one, and what the query reads."""
    assert Previewer(an_exam(store)).required_fields == {"question", "options", "answer"}


def test_a_row_without_a_right_answer_cannot_be_asked(store: Path) -> None:
    """The estimate says how many there are."""
    with pytest.raises(RowProblem, match="none of the options"):
        requests(an_exam(store), {**ROW, "answer": "E"})


@pytest.fixture
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client whose one store is called `papers`."""

    def find(_: object, named: str) -> stores.Found:
        if named != "papers":
            raise BadInputError(f"there is no store {named!r}")
        return stores.Found(store, describe(store))

    monkeypatch.setattr(stores, "find", find)
    return SimpleNamespace()


def wished(**changes: Any) -> Evaluation:
    return an_exam(None, **changes).model_copy(update={"store": "papers"})


def test_a_store_is_planned_with_its_content_and_its_model(store: Path, here: Any) -> None:
    """Both are part of what the evaluation is: its hash tells another content."""
    found = searching.with_store(wished(), here)
    facts = describe(store)
    assert (found.store, found.store_hash) == (str(store), facts.hash)
    assert found.models == ["m", "embedder"]
    assert found.hash != an_exam(None).hash


def test_a_store_that_cannot_be_searched_is_refused(here: Any) -> None:
    """Missing, unnamed, or by another model: before anything is paid, and with what to do."""
    with pytest.raises(BadInputError, match="no store 'other'"):
        searching.with_store(wished().model_copy(update={"store": "other"}), here)
    with pytest.raises(BadInputError, match="--store"):
        searching.with_store(an_exam(None), here)
    strict = wished(retrieval={**RETRIEVAL, "model": "mistral-embed"})
    with pytest.raises(BadInputError, match=r"embedded by embedder.*mistral-embed"):
        searching.with_store(strict, here)
    with pytest.raises(BadInputError, match="leave --store out"):
        searching.with_store(wished(retrieval=None, prompts={"open": {"prompt": "?"}}), here)


def test_whoever_needs_no_store_names_none(here: Any) -> None:
    """A suite may search for some and not for others."""
    evaluation = an_exam(None, contestant := "m@bare")
    assert evaluation.contestants[0].label == contestant
    assert searching.with_store(evaluation, here).store is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"retrieval": {**RETRIEVAL, "tool": {"prompts": ["other"]}}}, "no prompt 'other'"),
        (
            {"prompts": {"open": {"prompt": "?", "schema": {"schema": {"type": "object"}}}}},
            "answers by a function",
        ),
        (
            {
                "prompts": {
                    "open": {"prompt": "?", "function": {"name": "look_up", "parameters": OBJECT}}
                }
            },
            "has that name already",
        ),
    ],
)
def test_a_suite_whose_look_ups_cannot_work_is_refused(
    changes: dict[str, Any], complaint: str
) -> None:
    """When it is loaded."""
    told = {
        "name": "exam",
        "kind": "choice",
        "prompts": {"open": {"prompt": "?"}},
        "choice": {},
        "retrieval": {**RETRIEVAL, "tool": {}},
        **changes,
    }
    with pytest.raises(BadInputError, match=complaint):
        parse_suite(told, "suite.toml")
