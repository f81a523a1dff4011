"""Fields, ids, shares and limits: what holds for rows of any format."""

import json
import unicodedata

import pytest

from models.errors import RejectedFileError
from producers.readers import KEEP_ONE, RejectCode


def lines(*rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_a_missing_field_is_named_with_those_present(desk):
    """The reject says what is missing, or null, and what is there instead."""
    rows = lines({"id": 1, "text": "x"}, {"id": 2, "Text": "x"}, {"id": 3, "text": None})
    missing, null = desk.read(rows, required=frozenset({"text"})).rejects
    assert missing.code is null.code is RejectCode.MISSING_FIELD
    assert missing.message == "the field `text` is missing; the row has `id`, `Text`"
    assert "is null" in null.message


@pytest.mark.parametrize(
    ("value", "wanted", "found"),
    [
        ("x", "list", "a text"),
        (1, "text", "a number"),
        (True, "number", "a boolean"),
        ([], "object", "a list"),
        ({}, "boolean", "an object"),
    ],
)
def test_a_wrong_type_is_named_with_its_path(desk, value, wanted, found):
    """A field of another type than needed is refused; null and absence are not its business."""
    rows = lines({"f": value}, {"f": None}, {})
    result = desk.read(rows, types={"f": wanted})
    assert result.accepted == 2
    assert result.rejects[0].code is RejectCode.WRONG_TYPE
    assert result.rejects[0].message == f"`f` is {found} where a {wanted} is needed"


def test_unknown_fields_are_carried(desk):
    """Fields that nobody asked for stay in the row, and are counted."""
    row = {"id": "a", "text": "x", "licence": {"by": "me"}}
    result = desk.read(lines(row), required=frozenset({"text"}))
    assert [staged.data for staged in result.rows()] == [row]
    assert result.fields["licence"] == 1


def test_rows_without_an_id_are_called_after_their_line(desk, ids):
    """A generated id is the line's number, so the same file gives the same ids."""
    result = desk.read('{"x": 1}\n\n{"x": 2, "id": null}\n{"id": "own"}\n')
    assert ids(result) == ["line-1", "line-3", "own"]
    assert result.generated_ids == 2


def test_the_id_field_is_chosen(desk, ids):
    """Any field can hold the id, as text or integer."""
    assert ids(desk.read(lines({"k": 7}, {"k": "x y"}), id_field="k")) == ["7", "x y"]


@pytest.mark.parametrize("pair", [("a", "a"), (1, "1"), ("caf\u00e9", "cafe\u0301")])
def test_equal_ids_stop_the_file_with_both_lines(desk, pair):
    """The same id twice, also as number and text or after NFC, refuses the file."""
    rows = lines({"id": pair[0]}, {"id": "other"}, {"id": pair[1]})
    words = desk.refused(rows, error=RejectedFileError)
    assert "lines 1 and 3" in words
    assert "on_duplicate" not in words, "not everybody can be told it"
    assert "on_duplicate" in desk.refused(rows, error=RejectedFileError, on_stop=KEEP_ONE)


@pytest.mark.parametrize(("policy", "kept"), [("first", [1, 4]), ("last", [3, 4])])
def test_of_equal_ids_one_is_kept_if_asked(desk, policy, kept):
    """`first` and `last` keep one row and list the others, not counting them as bad."""
    rows = lines({"id": "caf\u00e9"}, {"id": "cafe\u0301"}, {"id": "caf\u00e9"}, {"id": "z"})
    result = desk.read(rows, on_duplicate=policy, max_rejected_share=0.0)
    assert [row.line for row in result.rows()] == kept
    assert (result.accepted, result.rejected) == (2, 2)
    assert result.codes == {RejectCode.DUPLICATE_ID: 2}
    assert f"line {kept[0]}" in result.rejects[0].message
    assert result.rejects[0].byte_offset is not None
    assert next(result.rows()).row_id == unicodedata.normalize("NFC", "caf\u00e9")


def test_too_many_bad_rows_refuse_the_file(desk):
    """Above the share the file is refused with counts by code, and its rejects stay."""
    rows = lines(*[{"id": n, "text": "x"} for n in range(18)])
    bad = rows + 'oops\n{"id": 99}\n'
    words = desk.refused(
        bad, error=RejectedFileError, max_rejected_share=0.05, required=frozenset({"text"})
    )
    assert "2 of 20 rows of in.jsonl are bad (10.0%; 5.0% are allowed)" in words
    assert "1 broken_json" in words and "1 missing_field" in words and "line 19" in words
    (kept,) = desk.staging.iterdir()
    assert str(kept) in words
    assert [json.loads(line)["line"] for line in kept.read_text().splitlines()] == [19, 20]
    assert desk.read(rows, max_rejected_share=0.05).accepted == 18


def test_no_good_row_at_all_refuses_the_file(desk):
    """Whatever share is allowed, a file without one good row is refused."""
    words = desk.refused("oops\nno\n", error=RejectedFileError)
    assert "no row of in.jsonl can be used: 2 broken_json" in words


def test_a_limit_takes_the_first_rows_and_still_knows_the_whole_file(desk):
    """With a limit the rest is not looked at, but the fingerprint is that of all bytes."""
    rows = lines(*[{"id": n} for n in range(100)]) + "never looked at"
    limited, whole = desk.read(rows, limit=3), desk.read(rows)
    assert (limited.accepted, limited.rejected) == (3, 0)
    assert limited.fingerprint == whole.fingerprint


def test_closing_deletes_what_was_staged(desk):
    """After close, and after a refusal without rejects, nothing of ours lies on the disk."""
    result = desk.read(lines({"id": 1}) + "oops\n")
    assert result.rejects_path.exists()
    assert result.rejects_path.stat().st_mode & 0o77 == 0
    assert desk.staging.stat().st_mode & 0o77 == 0
    result.close()
    result.close()
    desk.refused(lines({"id": 1}, {"id": 1}))
    assert list(desk.staging.iterdir()) == []
