"""Rows that are no rows: left out with a reason, or named by file and line, never a crash."""

import json
from pathlib import Path
from typing import Any

import pytest
from dataset_builders import a_chat, a_dataset, read_rows, some_chats, write_rows

from models.errors import BadInputError
from models.settings import Settings
from producers.datasets import Dataset
from producers.datasets.rules import problems_of
from producers.datasets.splitting import checked_shares, split
from producers.datasets.validating import validate

USER = {"role": "user", "content": "what is the weather?"}
GOOD = a_chat("good", "what is it?", "rain")


@pytest.mark.parametrize("count_tokens", [True, False])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": "hi"}, "`messages` is not a list of objects"),
        ({"messages": ["hi"]}, "`messages` is not a list of objects"),
        ({"messages": 5}, "`messages` is not a list of objects"),
        ({"messages": None}, "neither `messages` nor `labels`"),
        ({"labels": {"a": "b"}, "text": "t", "messages": 5}, "`messages` is not a list of objects"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": 5}]}, "`messages[1].tool_calls`"),
        ({**GOOD, "tools": 5}, "`tools` is not a list of objects"),
    ],
)
def test_a_malformed_row_is_left_out_with_its_reason(
    settings: Settings, row: dict[str, Any], reason: str, *, count_tokens: bool
) -> None:
    """As a line is that cannot be read; the other rows come in."""
    dataset = a_dataset(settings, [{**row, "id": "bad"}, GOOD], count_tokens=count_tokens)
    assert [one["id"] for one in dataset.rows("rows")] == ["good"]
    (entry,) = read_rows(dataset.folder / "rejects.jsonl")
    assert (entry["code"], reason in entry["message"]) == ("shape", True)
    with pytest.raises(BadInputError, match="no row is left") as caught:
        a_dataset(settings, [row], name="nothing")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"messages": [USER, {"role": "assistant", "tool_calls": 5}]}, "tool_calls"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": "call"}]}, "tool_calls"),
        ({"messages": [USER, {"role": ["assistant"], "content": "x"}]}, "role"),
        ({"labels": {"a": "b"}, "text": "t", "messages": 5}, "messages"),
        ({"messages": "hi"}, "no_messages"),
    ],
)
def test_validating_names_it(settings: Settings, tmp_path: Path, row: Any, code: str) -> None:
    """By the rule it breaks, in a file as anywhere."""
    assert code in [problem.code for problem in problems_of(row)]
    report = validate(settings, write_rows(tmp_path / "mine.jsonl", [row]))
    assert report.codes[code] == 1


@pytest.fixture
def divided(settings: Settings) -> Dataset:
    """A dataset of three parts."""
    a_dataset(settings, some_chats(100))
    return split(settings, "data", checked_shares(0.5, 0.3), count_tokens=False)


BROKEN_LINES = [
    ("[1]", "it is no object", {"not_an_object"}),
    (json.dumps({"messages": GOOD["messages"]}), "it has no `id`", {"not_a_row"}),
    (json.dumps({**GOOD, "meta": []}), "its `meta` is no object", {"not_a_row"}),
    ('{"id": "x", "messages": 5}', "`messages` is not a list", {"no_messages"}),
    ("{broken", "it is no JSON", {"broken_json"}),
]


@pytest.mark.parametrize(("line", "reason", "codes"), BROKEN_LINES)
def test_a_dataset_s_broken_line_is_named(
    settings: Settings, divided: Dataset, line: str, reason: str, codes: set[str]
) -> None:
    """Whoever reads the rows hears of file and line; `validate` reports it as a broken row."""
    path = divided.path("test")
    place = len(path.read_bytes().splitlines()) + 1
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadInputError) as caught:
        list(divided.rows("test"))
    assert f"test.jsonl, line {place}: {reason}" in str(caught.value)
    assert "maestrale dataset validate data" in str(caught.value)
    report = validate(settings, "data")
    assert report.codes.keys() - {"changed"} == codes
    assert place in [one.line for one in report.problems]


def test_a_file_that_is_gone_is_named(divided: Dataset) -> None:
    """As a broken line is."""
    divided.path("test").unlink()
    with pytest.raises(BadInputError, match=r"test\.jsonl"):
        list(divided.rows("test"))
