"""`maestrale dataset ...` over a home of the test's own: what it prints, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_builders import Ended

from producers.cli.rendering import dataset_words
from producers.datasets.row_statistics import Bucket, figures_of, histogram

Run = Callable[..., Ended]
SHAPE = ("--prompt", "News? {{ row.query }}", "--answer", "{{ row.label }}")


@pytest.fixture
def queries(home: Path) -> str:
    """Sixty queries with labels and topics."""
    path = home.parent / "queries.jsonl"
    rows = [
        {"id": f"q{n}", "query": f"what of {n * 7919 % 10007}", "label": str(n % 2), "topic": n % 9}
        for n in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def made(run: Run, queries: str) -> Any:
    """The facts of the dataset `news`."""
    return run("dataset", "make", "news", queries, *SHAPE, "--json").facts


def test_from_a_file_to_a_split_that_is_valid(run: Run, made: Any) -> None:
    """make, split, validate, tokens, show: each in words."""
    assert made["parts"]["rows"]["rows"] == 60
    ended = run("dataset", "split", "news", "--group-by", "topic")
    assert ended.code == 0
    assert "9 groups by `topic`" in ended.out
    assert "maestrale train news" in ended.out
    assert (
        "60 rows checked by mistral-common: all are good" in run("dataset", "validate", "news").out
    )
    assert "mistral-common (tekken" in run("dataset", "tokens", "news").out
    shown = run("dataset", "show", "news").out
    for told in (
        "train: characters of a row",
        "█",
        "train: answers",
        "News? what of",
        "queries.js",
    ):
        assert told in shown


def test_programs_get_facts(run: Run, made: Any) -> None:
    """With --json stdout is JSON alone."""
    split = run("dataset", "split", "news", "--train", "0.5", "--json").facts
    assert sum(split["shares"].values()) == pytest.approx(1)
    assert split["hash"] != made["hash"]
    shown = run("dataset", "show", "news", "--samples", "1", "--json").facts
    assert len(shown["figures"]["train"]["samples"]) == 1
    tokens = run("dataset", "tokens", "news", "--json").facts
    assert tokens["parts"] == split["tokens"]["parts"]
    assert run("dataset", "validate", "news", "--json").facts["is_good"]


def test_a_broken_row_ends_with_2(run: Run, home: Path) -> None:
    """Each problem with file, line, code and what to do."""
    path = home.parent / "bad.jsonl"
    path.write_text('{"id": "a", "messages": [{"role": "user", "content": "and then?"}]}\n')
    ended = run("dataset", "validate", str(path))
    assert ended.code == 2
    for told in ("bad.jsonl:1", "last_message", "end the row with the answer"):
        assert told in ended.out
    facts = run("dataset", "validate", str(path), "--json").facts
    assert facts["problems"][0]["line"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("make", "news", "nothing.jsonl"), "there is no file nothing.jsonl"),
        (("split", "nothing"), "there is no dataset 'nothing'"),
        (("show", "nothing"), "there is no dataset 'nothing'"),
        (("tokens", "nothing"), "there is no dataset 'nothing'"),
        (("validate", "nothing"), "or check the path of the file"),
        (("split", "nothing", "--train", "0.9", "--test", "0.9"), "must sum to 1"),
    ],
)
def test_what_is_wrong_is_said_and_ends_with_2(
    run: Run, arguments: tuple[str, ...], told: str
) -> None:
    """Without a traceback."""
    ended = run("dataset", *arguments)
    assert ended.code == 2
    assert told in ended.err


def test_nothing_of_a_row_reaches_the_terminal_raw(run: Run, home: Path) -> None:
    """Control characters of data are escaped, its markup is text."""
    path = home.parent / "evil.jsonl"
    messages = [
        {"role": "user", "content": "[red]hello\u202e"},
        {"role": "assistant", "content": "[/nope]"},
    ]
    path.write_text(json.dumps({"id": "a", "messages": messages}) + "\n")
    run("dataset", "make", "evil", str(path))
    shown = run("dataset", "show", "evil").out
    assert "[red]hello" in shown
    assert "\u202e" not in shown


@pytest.mark.parametrize(
    ("part", "drawn"), [(0, ""), (1, "█" * 30), (0.5, "█" * 15), (1 / 240, "▏"), (1e-6, "▏")]
)
def test_bars_are_as_long_as_their_share(part: float, drawn: str) -> None:
    """In eighths of a column; what is there is seen."""
    assert dataset_words.bar(part) == drawn


def test_histograms_have_round_buckets() -> None:
    """Ten or so from the shortest to the longest, none of them lost."""
    buckets = histogram([3, 12, 13, 99])
    assert buckets[0] == Bucket(0, 10, 1)
    assert buckets[1].rows == 2
    assert sum(bucket.rows for bucket in buckets) == 4
    assert histogram([]) == []
    assert [bucket.rows for bucket in histogram([5, 5])] == [2]


def test_samples_are_the_same_for_the_same_rows() -> None:
    """In the order of the file."""
    rows = [{"id": str(n), "text": "x", "labels": {"a": "b"}} for n in range(100)]
    one, same = (figures_of(rows, samples=5).samples for _ in range(2))
    assert one == same
    assert sorted(one, key=lambda row: int(row["id"])) == one
    assert len(one) == 5


def test_many_problems_are_counted_not_listed(run: Run, home: Path) -> None:
    """Twenty on the screen, the rest as a number."""
    path = home.parent / "bad.jsonl"
    rows = [{"id": str(n), "messages": []} for n in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run("dataset", "validate", str(path)).out
    assert "30 no_messages" in out
    assert "and 10 more" in out
