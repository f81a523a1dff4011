"""The tools that a conversation may call: kept up to the trainer, and seen by every check."""

from pathlib import Path
from typing import Any

import pytest
from dataset_builders import a_chat, a_dataset, read_rows, some_chats

from models.settings import Settings
from producers.datasets.counting import MistralTokens
from producers.datasets.likeness import fingerprint, normalised
from producers.datasets.rules import library_check, problems_of
from producers.datasets.shaping import content_id
from producers.datasets.splitting import checked_shares, split
from worker.remote.training_files import prepare

CHAT = a_chat("a", "What is the weather?", "Rain.")


def a_tool(name: str = "weather", **changes: Any) -> dict[str, Any]:
    """A function that a model may call."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters, **changes}}


def test_tools_reach_the_trainers_files(settings: Settings, tmp_path: Path) -> None:
    """make, split, prepare: each row has them beside its messages, and not in `meta`."""
    a_dataset(settings, [{**row, "tools": [a_tool()]} for row in some_chats(30)])
    dataset = split(settings, "data", checked_shares(0.5, 0.3), count_tokens=False)
    rows = list(dataset.rows("train"))
    assert all(row["tools"] == [a_tool()] and "meta" not in row for row in rows)
    sent = prepare(dataset.folder, tmp_path / "sent")
    assert [row["tools"] for row in read_rows(sent.train)] == [[a_tool()]] * len(rows)


def test_other_tools_make_another_row() -> None:
    """Of another id, and no duplicate; a row without tools is called as it always was."""
    one, other = ({**CHAT, "tools": [a_tool(name)]} for name in ("weather", "calendar"))
    assert len({content_id(row) for row in (CHAT, one, other)}) == 3
    assert len({fingerprint(normalised(row)) for row in (CHAT, one, other)}) == 3
    assert content_id(CHAT) == content_id({**CHAT, "tools": None}) == "sha-700b1d23cb9edc2c"


def test_tools_are_read_by_the_model_and_counted() -> None:
    """Mistral's template puts them before the last question."""
    tokens = MistralTokens()
    plain, answered = tokens.count(CHAT)
    assert tokens.count({**CHAT, "tools": [a_tool()]}) > (plain + 10, answered)
    assert tokens.count({**CHAT, "tools": [a_tool()]})[1] == answered


@pytest.mark.parametrize(
    ("tools", "codes"),
    [
        ([a_tool()], []),
        (None, []),
        (5, ["tools"]),
        ([], []),
        (["weather"], ["tools"]),
        ([{"type": "function"}], ["tools"]),
        ([a_tool("no name at all")], ["mistral_common"]),
        ([a_tool(parameters={"type": "nonsense"})], ["mistral_common"]),
    ],
)
def test_tools_are_checked(tools: Any, codes: list[str]) -> None:
    """By our rule, and by the library's."""
    assert library_check() is not None
    found = problems_of({**CHAT, "tools": tools})
    assert [problem.code for problem in found] == codes
    assert all(problem.advice for problem in found)
