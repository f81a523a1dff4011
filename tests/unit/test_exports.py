"""Exports are whole or absent, safe to open, and lose nothing."""

import csv
import io
import json
import os
import tracemalloc

import pytest
from pyarrow import parquet

from models.errors import BadInputError, SetupError
from producers import exports, parquet_export
from producers.exports import check_target, export, provenance_path, write_provenance

CHAT = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}


def rows(*records):
    return [(f"r{n}", [record]) for n, record in enumerate(records)]


def names(folder):
    return [path.name for path in folder.iterdir()]


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("form", ["chat", "jsonl", "csv", "parquet"])
def test_records_are_written_in_order_and_counted(tmp_path, form):
    """Rows may give no, one or several records; counts tell of both."""
    done = export(
        [("a", [CHAT, CHAT]), ("b", []), ("c", [CHAT])], tmp_path / "out", form, overwrite=False
    )
    assert (done.path, done.rows, done.records) == (tmp_path / "out", 2, 3)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("form", ["chat", "jsonl"])
def test_json_lines_hold_the_records_as_they_are(tmp_path, form):
    """What is read back equals what was given, U+2028 and all."""
    record = {"messages": [*CHAT["messages"][:1], {"role": "assistant", "content": "x\u2028\ny"}]}
    path = export(rows(record, CHAT), tmp_path / "out.jsonl", form).path
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [record, CHAT]


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (None, "`messages` is not a list"),
        ([], "`messages` is not a list with messages"),
        (["hi"], r"`messages\[0\]` is not an object"),
        ([{"role": "bot", "content": "x"}], r"`messages\[0\].role` is 'bot'"),
        ([{"content": "x"}], r"`messages\[0\].role` is None"),
        ([{"role": "user", "content": "x"}], "last message is by `user`"),
        ([{"role": "assistant", "content": " "}], r"`messages\[0\].content` is empty"),
        ([{"role": "assistant", "content": 3}], r"`messages\[0\].content` is neither"),
        ([{"role": ["assistant"], "content": "x"}], r"role` is \['assistant'\]"),
    ],
)
def test_what_is_no_conversation_is_refused(tmp_path, messages, words):
    """A record that cannot be trained on is named by row and path, and nothing is written."""
    with pytest.raises(BadInputError, match=f"row 'r1' .*{words}"):
        export(rows(CHAT, {"messages": messages}), tmp_path / "out", "chat")
    assert names(tmp_path) == []


def test_a_call_of_a_tool_needs_no_text(tmp_path):
    """An assistant's message may hold tool calls in place of content."""
    message = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    assert export(rows({"messages": [message]}), tmp_path / "out", "chat").records == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_cells_that_look_like_formulas_are_disarmed(tmp_path, start):
    """Texts and headers that a spreadsheet would run are prefixed; numbers stay numbers."""
    record = {"a": start + "cmd|'/c calc'!A0", start + "h": "x", "n": -5, "t": "a=b"}
    header, cells = table(export(rows(record), tmp_path / "out.csv", "csv").path)
    assert header == ["a", "'" + start + "h", "n", "t"]
    assert cells == ["'" + start + "cmd|'/c calc'!A0", "x", "-5", "a=b"]


def test_csv_has_all_fields_and_nested_values_as_json(tmp_path):
    """The header is the union of all fields; what is absent or null is empty."""
    records = rows({"a": 'q"\n,é', "b": [1, {"x": None}]}, {"c": True, "a": None}, {"b": 1.5})
    assert table(export(records, tmp_path / "out.csv", "csv").path) == [
        ["a", "b", "c"],
        ['q"\n,é', '[1,{"x":null}]', ""],
        ["", "", "true"],
        ["", "1.5", ""],
    ]


def test_parquet_keeps_nested_types(tmp_path):
    """Messages are lists of structs that can be queried, also where later rows have more keys."""
    more = {"messages": [{"role": "user", "content": "q", "tool_calls": [{"id": "7"}]}], "n": 1}
    path = export(rows(CHAT, more, {"n": 2.5}), tmp_path / "out", "parquet").path
    content = parquet.read_table(path)
    assert str(content.schema.field("n").type) == "double"
    assert content.to_pylist()[0]["messages"][1] == {
        "role": "assistant",
        "content": "a",
        "tool_calls": None,
    }
    assert content.to_pylist()[1]["messages"][0]["tool_calls"] == [{"id": "7"}]


@pytest.mark.parametrize(
    "values",
    [
        [1, "a"],
        ["a", ["a"]],
        [{"x": 1}, {"x": "1"}],
        [{}],
        [[{}]],
        [2**53 + 1, 1.5],
        [1, 2**64 - 1],
        [1.5, True],
        [True, 1],
        [{f"k{n}": n for n in range(500)}],
    ],
)
@pytest.mark.parametrize("batch_bytes", [1, 1 << 20])
def test_parquet_columns_without_a_common_type_hold_json(
    tmp_path, values, batch_bytes, monkeypatch
):
    """Where types differ, within a batch or between batches, no value is changed or lost."""
    monkeypatch.setattr(parquet_export, "_BATCH_BYTES", batch_bytes)
    path = export(rows(*({"v": v, "k": "x"} for v in values)), tmp_path / "out", "parquet").path
    content = parquet.read_table(path).to_pylist()
    assert [json.loads(row["v"]) for row in content] == values or content == [
        {"v": v, "k": "x"} for v in values
    ]
    assert [row["k"] for row in content] == ["x"] * len(values)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_nothing_to_export_makes_an_empty_file(tmp_path, form):
    """No records are no error: the file is there, valid and empty."""
    done = export([("a", [])], tmp_path / "out", form)
    assert (done.rows, done.records) == (0, 0)
    if form == "parquet":
        assert parquet.read_table(done.path).num_rows == 0
    else:
        assert done.path.read_bytes() == b""
    nulls = export(rows({"a": None}), tmp_path / "nulls", form)
    assert nulls.records == 1


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_failure_midway_leaves_what_was_there(tmp_path, form):
    """If the records stop with an error, the old file is untouched and no draft is left."""
    path = tmp_path / "out"
    path.write_text("old")

    def broken():
        yield from rows(CHAT)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        export(broken(), path, form, overwrite=True)
    assert (names(tmp_path), path.read_text()) == (["out"], "old")


def test_a_file_is_overwritten_only_if_told(tmp_path):
    """An existing file is refused before any record is asked for, and replaced on demand."""
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(BadInputError, match="there already"):
        export(iter(lambda: 1 / 0, 1), path, "jsonl")
    export(rows({"a": 1}), path, "jsonl", overwrite=True)
    assert path.read_text() == '{"a":1}\n'


def test_a_file_that_comes_in_the_meantime_is_kept(tmp_path):
    """A file made by another between the check and the end is not overwritten."""
    path = tmp_path / "out"

    def slow():
        yield from rows({"a": 1})
        path.write_text("theirs")

    with pytest.raises(BadInputError, match="meanwhile"):
        export(slow(), path, "jsonl")
    assert (names(tmp_path), path.read_text()) == (["out"], "theirs")


def test_paths_that_cannot_be_written_are_named(tmp_path):
    """No folder, a directory, a FIFO, a device or a NUL in the path: said before anything else."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/null")
    for path, words in {
        tmp_path / "no" / "out": "make it first",
        tmp_path: "not a regular file",
        tmp_path / "fifo": "not a regular file",
        tmp_path / "link": "not a regular file",
        "/dev/null": "not a regular file",
        "a\0b": "no path",
    }.items():
        with pytest.raises(BadInputError, match=words):
            check_target(path, overwrite=True)


def test_a_link_is_written_through(tmp_path):
    """A link to a file stays a link; the file it names is replaced."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    export(rows({"a": 1}), tmp_path / "link", "jsonl", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == '{"a":1}\n'


def test_a_full_disk_is_a_matter_of_setup(tmp_path, monkeypatch):
    """ENOSPC names the path and what to do, and leaves no draft."""

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exports.os, "fsync", full)
    with pytest.raises(SetupError, match=r"No space left .* free some space"):
        export(rows({"a": 1}), tmp_path / "out", "jsonl")
    assert names(tmp_path) == []


def test_what_json_cannot_hold_is_named_by_row(tmp_path):
    """A lone surrogate or an int beyond 64 bits in a record names its row."""
    for value in ("\ud800", 2**70):
        with pytest.raises(BadInputError, match="row 'r0' cannot be written as JSON"):
            export(rows({"a": value}), tmp_path / "out", "jsonl")


def test_an_unknown_format_is_refused_with_those_there_are(tmp_path):
    """The message lists the formats."""
    with pytest.raises(BadInputError, match="chat, jsonl, csv, parquet"):
        export([], tmp_path / "out", "xlsx")


def test_provenance_is_written_beside_the_export(tmp_path):
    """The side file is named after the export, whatever its suffix, and holds one line an entry."""
    assert provenance_path("a/train.jsonl").name == "train.provenance.jsonl"
    assert provenance_path("train.v2").name == "train.v2.provenance.jsonl"
    done = write_provenance(({"row": n} for n in range(3)), tmp_path / "train.csv")
    assert done.path == tmp_path / "train.provenance.jsonl"
    assert [json.loads(line) for line in io.BytesIO(done.path.read_bytes())] == [
        {"row": 0},
        {"row": 1},
        {"row": 2},
    ]


@pytest.mark.parametrize("form", ["chat", "jsonl", "csv", "parquet"])
def test_memory_does_not_grow_with_the_records(tmp_path, form):
    """60 MB of records are written with a fraction of that in memory."""

    def many():
        for n in range(20_000):
            answer = {"role": "assistant", "content": f"{n}" + "x" * 3000}
            yield f"r{n}", [{"messages": [{"role": "user", "content": "q"}, answer]}]

    export(rows(CHAT), tmp_path / "warm", form)
    tracemalloc.start()
    assert export(many(), tmp_path / "out", form).records == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


def test_a_name_of_many_bytes_is_as_good_as_any(tmp_path):
    """Eighty letters of three bytes each: the file, and nothing of a draft."""
    path = tmp_path / ("語" * 80 + ".jsonl")
    assert export(rows({"a": 1}), path, "jsonl").path == path
    assert names(tmp_path) == [path.name]
