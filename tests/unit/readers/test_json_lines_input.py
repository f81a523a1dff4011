"""Each way in which a line of JSON can be wrong, or look wrong and be right."""

import json
import shutil
from errno import ENOSPC
from pathlib import Path

import pytest

from models.errors import BadInputError, RejectedFileError, SetupError
from producers.readers import RejectCode

PLAIN = '{"id": "a", "text": "x"}\n'


def test_clean_rows_come_back_as_they_were(desk):
    """What goes in comes out: ids, lines, nested values, in order, as often as asked."""
    rows = [{"id": f"r{n}", "n": -n, "x": [1.5, None, True, {"é": "ü\n\t\f"}]} for n in range(50)]
    result = desk.read("".join(json.dumps(row) + "\n" for row in rows))
    for _ in range(2):
        assert [row.data for row in result.rows()] == rows
    assert [(row.row_id, row.line) for row in result.rows()][:2] == [("r0", 1), ("r1", 2)]
    assert (result.accepted, result.rejected, result.blank) == (50, 0, 0)
    assert result.fields == {"id": 50, "n": 50, "x": 50}
    assert result.rejects_path is None and result.write_rejects(desk.folder / "r") is None


def test_two_readers_of_the_rows_do_not_disturb_each_other(desk):
    """Rows can be iterated twice at once."""
    result = desk.read("".join(f'{{"id": {n}}}\n' for n in range(9)))
    assert [(a.row_id, b.row_id) for a, b in zip(result.rows(), result.rows(), strict=True)] == [
        (str(n), str(n)) for n in range(9)
    ]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ('{"id": 1, "x": }', RejectCode.BROKEN_JSON, "column 16"),
        ('{"id": 1} {"id": 2}', RejectCode.BROKEN_JSON, "column 11"),
        ('{"id": 1,}', RejectCode.BROKEN_JSON, "column"),
        ("not json at all", RejectCode.BROKEN_JSON, "column 1"),
        ("[1, 2]", RejectCode.NOT_AN_OBJECT, "a list"),
        ('"text"', RejectCode.NOT_AN_OBJECT, "a text"),
        ("17", RejectCode.NOT_AN_OBJECT, "a number"),
        ("null", RejectCode.NOT_AN_OBJECT, "null"),
        (b'{"id": "\xff"}', RejectCode.INVALID_UTF8, "byte 9 of the line (0xff)"),
        (b'{"id": "\xed\xa0\x80"}', RejectCode.INVALID_UTF8, "byte 9"),
        (b'{"id": "\xc0\xaf"}', RejectCode.INVALID_UTF8, "byte 9"),
        (b'{"id": "\x00"}', RejectCode.NUL, "byte 9"),
        (r'{"id": 1, "a": {"b": ["x\u0000"]}}', RejectCode.NUL, "`a.b[0]`"),
        (b'{"id": 1, "a": "\x1b[31m"}', RejectCode.CONTROL_CHARACTER, r"\x1b"),
        (r'{"id": 1, "a": "\u001b[31m"}', RejectCode.CONTROL_CHARACTER, r"`a` holds"),
        (r'{"id": 1, "a\b": 1}', RejectCode.CONTROL_CHARACTER, r"\x08"),
        (r'{"id": 1, "m": [{"c": "\ud800"}]}', RejectCode.LONE_SURROGATE, "`m[0].c`"),
        (r'{"id": 1, "\udc00": 1}', RejectCode.LONE_SURROGATE, "lone surrogate"),
        (r'{"id": "\udc00"}', RejectCode.LONE_SURROGATE, "`id`"),
        ('{"id": 1, "x": NaN}', RejectCode.NOT_FINITE, "NaN"),
        ('{"id": 1, "x": [-Infinity]}', RejectCode.NOT_FINITE, "-Infinity"),
        ('{"id": 1, "x": 1e999}', RejectCode.NOT_FINITE, "1e999"),
        ('{"id": 1, "x": 9223372036854775808}', RejectCode.INTEGER_RANGE, "9223372036854775808"),
        ('{"id": 1, "x": -9223372036854775809}', RejectCode.INTEGER_RANGE, "64 bits"),
        ('{"id": 1, "x": ' + "9" * 10_000 + "}", RejectCode.INTEGER_RANGE, "64 bits"),
        ('{"id": 1, "id": 2}', RejectCode.DUPLICATE_KEY, "`id` occurs twice"),
        ('{"id": 1, "a": [{"k": 1, "k": 1}]}', RejectCode.DUPLICATE_KEY, "`k`"),
        (r'{"id": 1, "k": 1, "\u006b": 1}', RejectCode.DUPLICATE_KEY, "`k`"),
        ('{"id": 1, "x": ' + "[" * 100 + "]" * 100 + "}", RejectCode.TOO_DEEP, "100"),
        ('{"id": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", RejectCode.TOO_DEEP, "100"),
        ('{"id":' * 100_000 + "1" + "}" * 100_000, RejectCode.TOO_DEEP, "100"),
        ("[" * 100_000, RejectCode.TOO_DEEP, "100"),
        ('{"id": [1]}', RejectCode.WRONG_TYPE, "`id` is a list"),
        ('{"id": true}', RejectCode.WRONG_TYPE, "`id` is a boolean"),
        ('{"id": 1.5}', RejectCode.WRONG_TYPE, "`id` is a number"),
        ('{"id": ""}', RejectCode.BAD_ID, "empty"),
        ('{"id": "' + "x" * 300 + '"}', RejectCode.BAD_ID, "256"),
        (r'{"id": "a\nb"}', RejectCode.BAD_ID, r"a\nb"),
    ],
)
def test_a_bad_line_is_named_and_the_others_go_on(desk, line, code, words):
    """Each fault gets its code and its place, and costs no other row."""
    reject = desk.bad_line(line)
    assert reject.code is code
    assert words in reject.message


@pytest.mark.parametrize(
    "line",
    [
        '{"x": 9223372036854775807, "y": -9223372036854775808}',
        '{"x": 1e308, "y": -0.0, "z": 5e-324}',
        '{"x": ' + "[" * 99 + "]" * 99 + "}",
        '{"x": "' + "[{" * 500 + '"}',
        r'{"x": "\ud83d\ude00 \\u0000 \\ud800 \\beta \t\n\r\f\u007f\u0085"}',
        '{"x": "a\u2028b\u2029c\u0085d"}',
        '{"x": "{{ not.a.template }} {0} %s ${HOME}"}',
        '{"k": 1, "K": 2, "o": {"k": 3}}',
        '{"": "empty key"}',
    ],
)
def test_what_only_looks_wrong_is_kept_exactly(desk, line):
    """Limits themselves, pairs, escaped backslashes, U+2028 and braces pass unchanged."""
    assert desk.rows(line + "\n" + PLAIN)[0] == json.loads(line)


def test_a_cut_last_line_is_told_from_a_broken_one(desk):
    """Without its newline the last line is suspected of having been cut; a whole one is fine."""
    result = desk.read(PLAIN + '{"id": "b", "text": "and th')
    assert result.rejects[0].code is RejectCode.TRUNCATED_LINE
    assert desk.read(PLAIN + '{"id": "b"}').accepted == 2


def test_a_byte_order_mark_is_dropped(desk):
    """A UTF-8 BOM is no part of the first row, nor of one where files were joined."""
    assert desk.rows(b'\xef\xbb\xbf{"a": 1}\n\xef\xbb\xbf{"a": 2}\n') == [{"a": 1}, {"a": 2}]


def test_line_ends_of_windows_pass_and_those_of_old_macs_are_hinted(desk):
    """CRLF is as good as LF; lines ended by CR alone are one line, and the reject says so."""
    assert desk.rows('{"a": 1}\r\n\r\n{"a": 2}\r\n') == [{"a": 1}, {"a": 2}]
    assert "tr '\\r' '\\n'" in desk.refused('{"a": 1}\r{"a": 2}\r', error=RejectedFileError)
    reject = desk.bad_line('{"id": 1}\r{"id": 2}')
    assert reject.code is RejectCode.LONE_CR
    assert desk.bad_line('{"id": "x\ry"}').code is RejectCode.LONE_CR


def test_blank_lines_are_skipped_and_counted(desk):
    """Blank lines are neither rows nor rejects, and lines keep their numbers."""
    result = desk.read('\n{"id": 1}\n  \t\n\r\n{"id": 2}\n\n')
    assert [row.line for row in result.rows()] == [2, 5]
    assert (result.accepted, result.rejected, result.blank) == (2, 0, 4)


def test_a_long_line_is_skipped_where_it_ends(desk):
    """A line above the limit is refused, whatever it holds; one at the limit passes."""
    fits = '{"id": "%s"}'
    line = '{"id": 1, "x": "' + "y" * 5000 + '"}'
    reject = desk.bad_line(line, max_line_bytes=1000)
    assert reject.code is RejectCode.LINE_TOO_LONG
    assert f"{len(line) + 1:,} bytes" in reject.message
    exact = fits % ("z" * 90)
    assert desk.read(exact + "\n" + exact[:-3] + '"}\n', max_line_bytes=len(exact)).accepted == 2
    assert desk.read(exact + "\n" + fits % 1, max_line_bytes=len(exact) - 1).rejected == 1


def test_an_excerpt_shows_the_place_and_cannot_move_the_cursor(desk):
    """Excerpts are cut around the fault, and ANSI and bidi characters are escaped."""
    reject = desk.bad_line('{"id": 1, "x": "' + "y" * 1000 + '" oops \x1b[2J\u202e}')
    assert "oops \\x1b[2J\\u202e" in reject.excerpt


def test_rejects_are_written_as_json_lines(desk):
    """The rejects file holds line, offset, code, message and excerpt of each."""
    result = desk.read(PLAIN + "oops\n" * 30)
    path = result.write_rejects(desk.folder / "rejects.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 30 > len(result.rejects)
    assert lines[0] == {
        "line": 2,
        "byte_offset": len(PLAIN),
        "code": "broken_json",
        "message": "not JSON in column 1: Expecting value",
        "excerpt": "oops\\n",
    }
    assert result.codes == {RejectCode.BROKEN_JSON: 30}


def test_a_list_of_rejects_is_there_whole_or_not_at_all(desk, monkeypatch):
    """A full disk, and whoever fails while it is a draft, leave the list that was there."""
    result = desk.read(PLAIN + "oops\n")
    (place := desk.folder / "rejects.jsonl").write_text("old")

    def fill_up(_source, target):
        Path(target).write_text("ha")
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as full, pytest.raises(SetupError, match="No space left"):
        full.setattr(shutil, "copyfile", fill_up)
        result.write_rejects(place)
    with pytest.raises(RuntimeError), result.listing_rejects(place):
        raise RuntimeError
    assert place.read_text() == "old"
    assert [path for path in desk.folder.iterdir() if path.suffix == ".part"] == []
    with pytest.raises(BadInputError, match="make it first"):
        result.write_rejects(desk.folder / "none" / "rejects.jsonl")
    assert "broken_json" in result.write_rejects(place).read_text()


@pytest.mark.timeout(20)
def test_hostile_keys_cost_neither_time_nor_long_messages(desk):
    """A repeat among 200,000 keys is found in linear time; a key of 1 MB fills no message."""
    keys = ",".join(f'"k{n}":1' for n in range(200_000))
    assert desk.bad_line("{" + keys + ',"k199999":1}').code is RejectCode.DUPLICATE_KEY
    reject = desk.bad_line('{"id": 1, "' + "a\u202e" * 200_000 + r'": ["\u0001"]}')
    assert reject.code is RejectCode.CONTROL_CHARACTER
    assert len(reject.message) <= 500 and reject.message.isprintable()
