"""Where records go and in which format."""

from pathlib import Path

import pytest

from models.errors import BadInputError
from producers.cli import outputs

CHAT = {"messages": []}
OTHER = {"text": "{{ answer }}"}


@pytest.mark.parametrize(
    ("asked", "out", "record", "chosen"),
    [
        (None, None, CHAT, "chat"),
        (None, None, OTHER, "jsonl"),
        (None, Path("x.csv"), CHAT, "csv"),
        (None, Path("x.PARQUET"), CHAT, "parquet"),
        (None, Path("x.jsonl"), CHAT, "chat"),
        (None, Path("x.txt"), OTHER, "jsonl"),
        ("jsonl", Path("x.csv"), CHAT, "jsonl"),
    ],
)
def test_the_format_is_what_was_asked_for_or_what_fits(asked, out, record, chosen):
    """By option, by ending, by what the recipe makes."""
    assert outputs.choose_format(asked, out, record) == chosen


def test_chat_is_refused_before_anything_is_paid():
    """Records without messages can never become conversations."""
    with pytest.raises(BadInputError, match="no conversations"):
        outputs.choose_format("chat", None, OTHER)


@pytest.mark.parametrize(
    ("source", "form", "name"),
    [
        ("papers.jsonl", "chat", "papers.amira.jsonl"),
        ("/data/papers.v2.jsonl.gz", "jsonl", "papers.v2.amira.jsonl"),
        ("table.csv", "parquet", "table.amira.parquet"),
        ("-", "csv", "stdin.amira.csv"),
        ("<stdin>", "csv", "stdin.amira.csv"),
        ("noending", "chat", "noending.amira.jsonl"),
        (".jsonl", "chat", ".jsonl.amira.jsonl"),
    ],
)
def test_the_output_is_named_after_the_input_and_the_recipe(source, form, name):
    """In the current folder, never beside the input."""
    assert outputs.default_name(source, "amira", form) == Path(name)


def test_rejects_lie_beside_the_output():
    """Under the output's own name, so that two runs do not mix."""
    assert outputs.rejects_path(Path("d/train.csv")) == Path("d/train.rejects.jsonl")


def test_neither_the_records_nor_their_provenance_replace_a_file(tmp_path: Path):
    """Both places are looked at before the job is submitted."""
    outputs.check_free(tmp_path / "a.jsonl", overwrite=False)
    (tmp_path / "a.provenance.jsonl").touch()
    with pytest.raises(BadInputError, match="--overwrite"):
        outputs.check_free(tmp_path / "a.jsonl", overwrite=False)
    outputs.check_free(tmp_path / "a.jsonl", overwrite=True)


def test_variables_are_read_from_key_value():
    """Everything after the first `=` is the value."""
    assert outputs.read_variables(["a=1=2", " b = x"]) == {"a": "1=2", "b": " x"}
    for wrong in ("a", "=1"):
        with pytest.raises(BadInputError, match="--set"):
            outputs.read_variables([wrong])


def test_standard_output_is_no_place_for_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--out -` makes no file of that name; the message says what to do."""
    monkeypatch.chdir(tmp_path)
    for check in (outputs.check_named, lambda out: outputs.check_free(out, overwrite=False)):
        with pytest.raises(BadInputError, match="give it a name"):
            check(Path("-"))
