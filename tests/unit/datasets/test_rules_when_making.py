"""What `make` lets in keeps the trainers' rules: the rest is left out by name, or too much."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from dataset_builders import a_chat, a_dataset, read_rows, some_chats, write_rows

from models.errors import BadInputError
from models.settings import Settings
from producers.client import Maestrale
from producers.datasets import Dataset, open_dataset
from producers.datasets.making import Wish, make
from producers.datasets.manifest import Filters, Shape
from producers.datasets.rules import is_plain, library_check, problems_of
from producers.datasets.splitting import checked_shares, split
from producers.datasets.validating import validate

USER = {"role": "user", "content": "what is the weather?"}
ANSWER = {"role": "assistant", "content": "rain"}
TOOL = {"role": "tool", "content": "x", "tool_call_id": "abcdefgh1"}
PLAIN = [{"id": f"p{n}", "q": f"what is {n}?", "a": str(n)} for n in range(60)]


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"role": "robot", "content": "x"}, ANSWER], "role"),
        ([USER, {"role": "robot", "content": "x"}, ANSWER], "role"),
        ([{"role": "system", "content": "x"}, ANSWER], "no_user"),
        ([USER, ANSWER, USER], "last_message"),
        ([ANSWER, USER], "last_message"),
        ([USER, TOOL, ANSWER], "mistral_common"),
        ([], "no_messages"),
        ([USER, {"role": "assistant", "content": None}], "empty"),
    ],
)
def test_a_conversation_that_trainers_refuse_is_left_out(
    settings: Settings, messages: list[Any], code: str
) -> None:
    """With its reason and what to do; what came in is valid, and the manifest says so."""
    rows = [*some_chats(30), {"id": "bad", "messages": messages}]
    dataset = a_dataset(settings, rows, max_rejected_share=0.05)
    assert (dataset.manifest.rows, dataset.manifest.left_out) == (30, {code: 1})
    (entry,) = read_rows(dataset.folder / "rejects.jsonl")
    assert (entry["code"], entry["place"]) == (code, "data.jsonl line 31")
    assert ": " in entry["message"]
    assert validate(settings, "data").is_good
    assert dataset.manifest.checked == dataset.manifest.hash


def test_labels_are_held_to_their_rules_too(settings: Settings) -> None:
    """A label that is a number is left out."""
    rows = [{"id": str(n), "text": f"text {n}", "labels": {"a": "b"}} for n in range(3)]
    dataset = a_dataset(settings, [*rows, {**rows[0], "id": "x", "labels": {"a": 5}}])
    assert (dataset.manifest.rows, dataset.manifest.left_out) == (3, {"label_value": 1})


def test_a_broken_row_is_no_reason_to_leave_out_a_good_one(settings: Settings) -> None:
    """The rules come before the search for duplicates."""
    good = a_chat("good", "one question", "an answer")
    bad = {"id": "bad", "messages": [{**good["messages"][0], "extra": 1}, good["messages"][1]]}
    dataset = a_dataset(settings, [bad, good], dedupe="near")
    assert [row["id"] for row in dataset.rows("rows")] == ["good"]
    assert dataset.manifest.left_out == {"unknown_field": 1}


@pytest.mark.parametrize(
    ("bad", "shape", "code"),
    [
        ({"id": "bad", "messages": [USER]}, Shape(), "last_message"),
        ({"id": "bad", "title": "t"}, Shape(), "shape"),
        ({"id": "bad"}, Shape(prompt="{{ row.messages | tojson }}", answer="x"), "template"),
    ],
)
def test_too_many_broken_rows_stop_it(
    settings: Settings, bad: dict[str, Any], shape: Shape, code: str
) -> None:
    """By the share of --max-rejected; the first is named, and nothing is made."""
    rows = [*some_chats(18), bad, {**bad, "id": "worse"}]
    told = rf"2 of 20 rows are broken \(10\.0%; 5\.0% are allowed\): 2 {code}; the first, data"
    with pytest.raises(BadInputError, match=told + r"\.jsonl line 19: .*--max-rejected"):
        a_dataset(settings, rows, shape=shape, max_rejected_share=0.05)
    assert not list((settings.home / "datasets").iterdir())
    assert a_dataset(settings, rows, shape=shape, max_rejected_share=0.1).manifest.rows == 18


def test_what_was_asked_to_be_left_out_is_not_counted(settings: Settings, tmp_path: Path) -> None:
    """Filters, duplicates, ids that came twice: none of them is a broken row."""
    rows = [*some_chats(4), some_chats(1)[0], {**some_chats(2)[1], "id": "twin"}]
    source = write_rows(tmp_path / "x.jsonl", [*rows, a_chat("short", "?", "!")])
    wish = Wish(
        [source], Filters(min_chars=5), dedupe="exact", max_rejected_share=0, on_duplicate="first"
    )
    with Maestrale(settings) as maestrale:
        dataset = make(maestrale, "data", wish)
    assert dataset.manifest.left_out == {"duplicate_id": 1, "duplicate": 1, "too_short": 1}


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (
            Shape(prompt="{{ row.text }}", answer="{{ row.a }}"),
            "template; the first: the field `text` is missing; the row has `id`, `q`, `a`): name",
        ),
        (
            Shape(prompt="{{ q }}", answer="{{ row.a }}"),
            "no variable `q`; the row has `id`, `q`, `a`): write {{ row.q }}",
        ),
        (
            Shape(prompt="{{ text }}", answer="{{ row.a }}"),
            "no variable `text`; the row has `id`, `q`, `a`): write {{ row.FIELD }}",
        ),
        (
            Shape(prompt="{{ row.q.x.y }}", answer="a"),
            "has no attribute 'x'; the row has `id`, `q`",
        ),
        (
            Shape(),
            "the first: the row has neither `messages` nor `labels`, but `id`, `q`, `a`): "
            "--prompt and --answer make a conversation of it",
        ),
    ],
)
def test_where_no_row_is_left_the_true_reason_is_told(
    settings: Settings, shape: Shape, told: str
) -> None:
    """By the fields that there are, not by filters that nobody gave."""
    with pytest.raises(BadInputError, match=re.escape(told)) as caught:
        a_dataset(settings, PLAIN, shape=shape, max_rejected_share=0.05)
    assert str(caught.value).startswith("no row is left (60 ")
    assert "loosen" not in str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_what_the_library_is_not_asked_about_it_lets_pass(seed: int) -> None:
    """Plain conversations of all orders: those that keep our rules, and its own as well."""
    chance, check, asked = random.Random(seed), library_check(), 0
    assert check
    for _ in range(500):
        roles = chance.choices(["system", "user", "assistant"], [1, 4, 4], k=chance.randint(2, 6))
        messages = [{"role": role, "content": chance.choice(["hi", "¿", " x"])} for role in roles]
        own = problems_of({"messages": messages})
        if is_plain(messages) and not own:
            asked += 1
            assert check(messages, None) == ""
    assert asked > 50
    assert not is_plain([{**USER, "content": [{"type": "text", "text": "x"}]}])
    assert not is_plain([USER, {"role": "system", "content": "x"}, ANSWER])
    assert not is_plain([USER, TOOL, {**ANSWER, "weight": 1}])


@pytest.fixture
def divided(settings: Settings) -> Dataset:
    """A dataset of three parts."""
    a_dataset(settings, some_chats(100))
    return split(settings, "data", checked_shares(0.5, 0.3), count_tokens=False)


def test_a_split_is_as_checked_as_what_it_divides(settings: Settings, divided: Dataset) -> None:
    """The rows are the same; of rows that somebody wrote since, nobody knows."""
    assert divided.is_checked()
    with divided.path("test").open("a") as file:
        file.write('{"id": "x", "messages": []}\n')
    assert not divided.is_checked()
    again = split(settings, "data", checked_shares(0.5, 0.3), count_tokens=False)
    assert (again.manifest.checked, again.is_checked()) == ("", False)


def test_a_file_of_the_same_size_that_is_newer_is_not_checked(
    settings: Settings, divided: Dataset
) -> None:
    """Nor is a dataset that an earlier version made, or one whose file is gone."""
    path = divided.path("train")
    path.write_bytes(path.read_bytes())
    assert not open_dataset(settings, "data").is_checked()
    path.unlink()
    assert not divided.is_checked()
    earlier = divided.manifest.model_copy(update={"checked": ""})
    assert not Dataset(divided.folder, earlier).is_checked()
