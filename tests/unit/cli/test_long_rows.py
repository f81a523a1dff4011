"""A row whose prompt is over the model's context window is rejected before anything is paid."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from bad_rows import GOOD, ROWS, lines, row
from cli_builders import Ended

from models.settings import Settings
from models.store.engine import Store
from producers import Maestrale, offered
from producers.embedding import Embeddings
from producers.embedding import Wish as EmbeddingWish
from producers.tokens import TokenCounter
from simulator.catalogue import model_card

Run = Callable[..., Ended]
SMALL, EMBED = "mistral-small-latest", "mistral-embed"
RECIPE = """
name = "test"
model = "mistral-small-latest"
[[steps]]
name = "answer"
system = "Be brief."
prompt = "{{ row.text }} {{ row.text }}"
[output.record]
answer = "{{ answer }}"
"""
SUITE = """
name = "moods"
kind = "classification"
[classification]
labels = ["happy", "sad"]
gold = "label"
[prompts.default]
prompt = "{{ row.text }} {{ row.text }}"
"""
WINDOW = 6000
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "generate": ("generate", "rows.jsonl", "-r", "r.toml"),
    "embed": ("embed", "rows.jsonl", "--text", "{{ row.text }} {{ row.text }}"),
    "evaluate": ("evaluate", "s.toml", "-m", SMALL, "--data", "rows.jsonl"),
}
LONG = row(99, text="word " * 3_010)
"""6,020 words of its prompt, each a token."""
FULL = row(98, text="word " * 2_990)
"""Of more bytes than the window has tokens, and of fewer tokens."""


@pytest.fixture(autouse=True)
def files(home: Path, user_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe and a suite that print the text twice, and a key to ask with."""
    Path("r.toml").write_text(RECIPE)
    Path("s.toml").write_text(SUITE)
    monkeypatch.setenv("MISTRAL_API_KEY", "k")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A server with windows that are easily passed, and how often it was asked."""
    times: list[Any] = []

    def told(*how: Any) -> list[Any]:
        times.append(how)
        cards = [model_card(SMALL), model_card(EMBED)]
        return [{**card, "max_context_length": WINDOW} for card in cards]

    monkeypatch.setattr(offered, "cards", told)
    return times


def written(*more: dict[str, Any]) -> None:
    """The input: good rows, and these."""
    Path("rows.jsonl").write_bytes(lines([*ROWS, *more]))


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("name", COMMANDS)
def test_it_is_listed_with_its_place_and_both_counts(run: Run, name: str) -> None:
    """What is as long and fits goes on; a dry run says the same."""
    written(FULL, LONG)
    dry = run(*COMMANDS[name], "--dry-run", "--json")
    assert dry.facts["input"]["rejected_by_code"] == {"too_long": 1}, dry.err
    ended = run(*COMMANDS[name], "--detach", "--json")
    assert ended.facts["input"]["rejected_by_code"] == {"too_long": 1}, ended.err
    assert ended.facts["input"]["accepted"] == GOOD + 1
    (reject,) = map(json.loads, Path(ended.facts["rejects"]).read_bytes().splitlines())
    before = Path("rows.jsonl").read_bytes().splitlines(keepends=True)[: GOOD + 1]
    assert (reject["line"], reject["byte_offset"]) == (GOOD + 2, sum(map(len, before)))
    assert "6,000" in reject["message"]
    assert "has 6,0" in reject["message"], "how many it has"
    assert (EMBED if name == "embed" else SMALL) in reject["message"]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize("name", COMMANDS)
def test_with_many_of_them_the_file_is_refused(run: Run, name: str) -> None:
    """As with other bad rows: exit code 2, and no job."""
    written(*(row(200 + n, text=LONG["text"]) for n in range(3)))
    for how in ("--detach", "--dry-run"):
        ended = run(*COMMANDS[name], how)
        assert ended.code == 2
        assert "3 too_long" in ended.err
    assert json.loads(run("jobs", "--json").out) == []
    assert run(*COMMANDS[name], "--dry-run", "--max-rejected-share", "0.5").code == 0


@pytest.mark.parametrize(
    ("cards", "key"),
    [
        (OSError("away"), "k"),
        ([{"id": SMALL}, {"id": EMBED}], "k"),
        ([{"id": SMALL, "max_context_length": "6000"}, {"id": EMBED}], "k"),
        ([{"id": SMALL, "max_context_length": True}, {"id": EMBED}], "k"),
        ([{**model_card(SMALL), "max_context_length": 10}], ""),
    ],
    ids=["away", "of another maker", "a text", "no number", "no key"],
)
def test_where_the_window_is_not_known_nothing_is_checked(
    run: Run, monkeypatch: pytest.MonkeyPatch, cards: Any, key: str
) -> None:
    """The server then refuses the row, unpaid."""

    def told(*_: Any) -> Any:
        if isinstance(cards, Exception):
            raise cards
        return cards

    monkeypatch.setattr(offered, "cards", told)
    monkeypatch.setenv("MISTRAL_API_KEY", key)
    written(LONG)
    for command in COMMANDS.values():
        ended = run(*command, "--dry-run", "--json")
        assert ended.facts["input"]["accepted"] == GOOD + 1, ended.err


def test_python_checks_as_the_commands_do(home: Path, asked: list[Any]) -> None:
    """It asks the server itself, once, and not for rows that any model takes."""
    with Maestrale(Settings(_env_file=None)) as maestrale:
        written()
        with maestrale.plan("rows.jsonl", "r.toml") as plan:
            assert (plan.found.rejected, len(asked)) == (0, 0)
        written(LONG, FULL, row(97, text="word " * 1_500))
        with maestrale.plan("rows.jsonl", "r.toml") as plan:
            assert (plan.found.codes, len(asked)) == ({"too_long": 1}, 1)
        wish = EmbeddingWish("rows.jsonl", "{{ row.text }}{{ row.text }}", model="of-mine")
        with Embeddings(maestrale).plan(wish) as embedding:
            assert embedding.found.rejected == 0, "a model that is not listed"


def test_texts_of_few_bytes_are_not_counted() -> None:
    """And of others no more than has to be."""
    counted: list[int] = []

    def encode(text: str) -> int:
        counted.append(len(text))
        return len(text) // 5

    counter = TokenCounter(encode)
    assert counter.above("word " * 2_000, 10_000) is None
    assert counted == []
    assert counter.above("word " * 20_000, 50_000) is None
    assert 0 < sum(counted) < 70_000
    assert counter.above("word " * 20_000, 15_000) in range(19_900, 20_001)
    assert counter.above("\U0001f600" * 20, 79) is None, "few, though of many bytes"
    assert counter.above("", 0) is None


@pytest.mark.usefixtures("asked")
def test_a_row_of_few_bytes_is_long_where_it_is_printed_twice(run: Run) -> None:
    """Digits are a token each: 3,500 of them twice are over the window, once they are not."""
    written(row(99, text="7" * 3_500))
    for command in COMMANDS.values():
        ended = run(*command, "--dry-run", "--json")
        assert ended.facts["input"]["rejected_by_code"] == {"too_long": 1}, ended.err
        once = [word.replace("{{ row.text }} {{ row.text }}", "{{ row.text }}") for word in command]
        for file in (Path("r.toml"), Path("s.toml")):
            file.write_text(file.read_text().replace("{{ row.text }} {{ row", "{{ row"))
        assert run(*once, "--dry-run", "--json").facts["input"]["rejected"] == 0
        Path("r.toml").write_text(RECIPE)
        Path("s.toml").write_text(SUITE)
