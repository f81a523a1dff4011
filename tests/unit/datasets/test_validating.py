"""The trainers' rules: each broken one is found, by line, code and advice."""

from pathlib import Path
from typing import Any, Literal

import pytest
from dataset_builders import a_chat, a_dataset, some_chats, write_rows

from models.errors import BadInputError
from models.settings import Settings
from models.training.advice import warnings
from models.training.plan import Length
from producers import Maestrale
from producers.datasets.rules import problems_of
from producers.datasets.splitting import checked_shares, split
from producers.datasets.validating import validate
from producers.training import Training, Wish

USER = {"role": "user", "content": "what is the weather?"}
ANSWER = {"role": "assistant", "content": "rain"}
SYSTEM = {"role": "system", "content": "be brief"}


def a_call(call_id: str = "abcdefgh1", arguments: Any = '{"city": "Paris"}') -> dict[str, Any]:
    """An assistant's message with one tool call."""
    function = {"name": "weather", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": call_id, "function": function}]}


def a_result(call_id: str = "abcdefgh1") -> dict[str, Any]:
    """A tool's answer."""
    return {"role": "tool", "content": "rain", "tool_call_id": call_id}


@pytest.mark.parametrize(
    "messages",
    [
        [USER, ANSWER],
        [SYSTEM, USER, ANSWER],
        [USER, {**ANSWER, "weight": 0}, USER, {**ANSWER, "weight": 1}],
        [USER, a_call(), a_result(), ANSWER],
        [USER, a_call()],
    ],
)
def test_good_conversations_pass(messages: list[Any]) -> None:
    """Plain, with a system message, with weights, with tools."""
    assert problems_of({"messages": messages}) == []


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (None, "no_messages"),
        ([], "no_messages"),
        (["hello"], "message"),
        ([USER], "last_message"),
        ([ANSWER], "no_user"),
        ([SYSTEM, SYSTEM, USER, ANSWER], "system_messages"),
        ([{"role": "robot", "content": "x"}, USER, ANSWER], "role"),
        ([USER, {"role": "assistant", "content": " "}], "empty"),
        ([USER, {"role": "assistant", "content": 5}], "content"),
        ([USER, {**ANSWER, "score": 5}], "unknown_field"),
        ([USER, {**ANSWER, "weight": 0.5}], "weight"),
        ([USER, a_call("abc"), a_result("abc"), ANSWER], "tool_call_id"),
        ([USER, a_call(arguments={"city": "Paris"}), a_result(), ANSWER], "tool_arguments"),
        ([USER, a_call(arguments="{"), a_result(), ANSWER], "tool_arguments"),
        ([USER, {"role": "assistant", "tool_calls": [1]}], "tool_call"),
        ([USER, a_call(), a_result("zzzzzzzz9"), ANSWER], "mistral_common"),
    ],
)
def test_each_broken_rule_has_a_code(messages: Any, code: str) -> None:
    """And says what to do."""
    found = problems_of({"messages": messages})
    assert code in [problem.code for problem in found]
    assert all(problem.advice and problem.message for problem in found)


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        ({"text": "t", "labels": {"a": "b", "c": ["d"]}}, []),
        ({"messages": [USER], "labels": {"a": "b"}}, []),
        ({"text": "t", "labels": {}}, ["labels"]),
        ({"text": "t", "labels": "news"}, ["labels"]),
        ({"text": "t", "labels": {"a": 5}}, ["label_value"]),
        ({"text": " ", "labels": {"a": "b"}}, ["no_input"]),
    ],
)
def test_rows_with_labels_have_rules_of_their_own(row: dict[str, Any], codes: list[str]) -> None:
    """A text or messages, and a text for each label."""
    assert [problem.code for problem in problems_of(row)] == codes


def test_a_file_is_checked_to_its_end(settings: Settings, tmp_path: Path) -> None:
    """Lines that are no JSON, ids that come twice, rows that break rules: each with its line."""
    rows = [*some_chats(3), {"id": "r0", "messages": []}, {"id": "x", "messages": [USER]}]
    path = Path(write_rows(tmp_path / "mine.jsonl", rows))
    path.write_text(path.read_text() + "{broken\n")
    report = validate(settings, str(path))
    assert {(one.line, one.problem.code) for one in report.problems} == {
        (4, "duplicate_id"),
        (5, "last_message"),
        (6, "broken_json"),
    }
    assert (report.rows, report.is_good) == (6, False)


def test_a_file_of_two_kinds_is_named(settings: Settings, tmp_path: Path) -> None:
    """Conversations and labels do not mix."""
    rows = [a_chat("a", "q", "a"), {"id": "b", "text": "t", "labels": {"x": "y"}}]
    report = validate(settings, write_rows(tmp_path / "mine.jsonl", rows))
    assert dict(report.codes) == {"mixed_kinds": 1}


def _warned_of(settings: Settings, trainer: Literal["local", "mistral"]) -> list[str]:
    """What the plan of a training on that dataset says."""
    with Maestrale(settings) as maestrale:
        wish = Wish("data", "open-mistral-nemo", trainer, length=Length(steps=2))
        return warnings([Training(maestrale).plan(wish)])


def test_a_dataset_is_checked_as_a_whole(settings: Settings) -> None:
    """A large validation set only warns; rows that are not the manifest's are an error."""
    a_dataset(settings, some_chats(100))
    assert [one.problem.code for one in validate(settings, "data").warnings] == ["not_split"]
    dataset = split(settings, "data", checked_shares(0.5, 0.4), count_tokens=False)
    report = validate(settings, "data")
    assert [one.problem.code for one in report.warnings] == ["validation_too_large"]
    assert _warned_of(settings, "mistral")[-1] == report.warnings[0].problem.message
    assert not any("hosted" in said for said in _warned_of(settings, "local"))
    assert (report.rows, report.is_good) == (100, True)
    lines = dataset.path("test").read_bytes()
    dataset.path("test").write_bytes(lines + dataset.path("train").read_bytes())
    assert validate(settings, "data").codes["changed"] == 1


def test_a_group_on_two_sides_is_found(settings: Settings) -> None:
    """Whatever the manifest says."""
    rows = [a_chat(f"r{n}", f"q {n}", f"a {n}", molecule=n % 9) for n in range(90)]
    a_dataset(settings, rows)
    dataset = split(
        settings, "data", checked_shares(0.5, 0.3), group_by="molecule", count_tokens=False
    )
    one = next(dataset.rows("train"))
    stray = write_rows(settings.home / "stray.jsonl", [{**one, "id": "stray"}])
    with dataset.path("validation").open("ab") as file:
        file.write(Path(stray).read_bytes())
    assert validate(settings, "data").codes["straddling"] == 1


def test_a_line_that_somebody_broke_is_found(settings: Settings) -> None:
    """By line; and whoever reads the rows hears of it."""
    a_dataset(settings, some_chats(100))
    dataset = split(settings, "data", checked_shares(0.5, 0.3), count_tokens=False)
    with dataset.path("test").open("ab") as file:
        file.write(b"{broken\n")
    report = validate(settings, "data")
    assert dict(report.codes) == {"broken_json": 1, "changed": 1}
    with pytest.raises(BadInputError, match="dataset validate data"):
        list(dataset.rows("test"))
