"""CSV as spreadsheets and data frames write it, whatever the file is called."""

import gzip

import pytest

from models.errors import RejectedFileError
from producers.readers import Format, RejectCode


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_the_delimiter_is_found(desk, delimiter, name):
    """Comma, semicolon, tab and bar are told apart by the records, not by the name."""
    table = f"id|text|note\n1|a, b; c|x\n2|{'d' * 9}|\n".replace("|", delimiter)
    table = table.replace("a, b; c", '"a, b; c"')
    result = desk.read(table, name)
    assert result.format is Format.CSV
    assert [row.data for row in result.rows()] == [
        {"id": "1", "text": "a, b; c", "note": "x"},
        {"id": "2", "text": "d" * 9, "note": ""},
    ]


def test_quoted_newlines_keep_their_lines_counted(desk):
    """A quoted cell may hold newlines, quotes and CRLF; rows are named after their first line."""
    table = '\xef\xbb\xbfid,text\r\n1,"a\nb ""q"" \r\nc"\r\n\r\n2,plain\r\n'.encode("latin-1")
    result = desk.read(table)
    assert [(row.line, row.data["text"]) for row in result.rows()] == [
        (2, 'a\nb "q" \r\nc'),
        (6, "plain"),
    ]
    assert result.blank == 1


def test_other_line_separators_do_not_split_a_cell(desk):
    """U+2028, U+0085 and form feeds stay inside their cell."""
    assert desk.rows("id,text\n1,a\u2028b\u0085c\fd\n")[0]["text"] == "a\u2028b\u0085c\fd"


@pytest.mark.parametrize(
    ("record", "code", "words"),
    [
        (b"1,a,b,c", RejectCode.RAGGED_ROW, "4 cells where the header has 2"),
        (b"1", RejectCode.RAGGED_ROW, "1 cells"),
        (b'1,"a"b', RejectCode.BROKEN_CSV, "quotes"),
        (b"1,caf\xe9", RejectCode.INVALID_UTF8, "byte 6 of the line (0xe9)"),
        (b"1,a\0b", RejectCode.NUL, "`text`"),
        (b"1,\x1b[31m", RejectCode.CONTROL_CHARACTER, "`text`"),
        (b"1,a\rb,c", RejectCode.LONE_CR, "tr "),
        (b",empty id", RejectCode.BAD_ID, "empty"),
        (b"NaN,", RejectCode.MISSING_FIELD, "is null"),
        (b"1," + b"y" * 3000, RejectCode.LINE_TOO_LONG, "bytes"),
    ],
)
def test_a_bad_record_is_named_and_the_others_go_on(desk, record, code, words):
    """Each fault of a record gets its code and its line, and costs no other record."""
    table = b"id,text\na,x\n" + record + b"\nb,y\n"
    result = desk.read(table, max_line_bytes=2000, required=frozenset({"id"}))
    assert [row.row_id for row in result.rows()] == ["a", "b"]
    (reject,) = result.rejects
    assert (reject.line, reject.byte_offset, reject.code) == (3, 12, code)
    assert words in reject.message and reject.excerpt.isprintable()


def test_a_quote_left_open_cannot_swallow_the_memory(desk):
    """An unclosed quote costs at most one limit of bytes, or is named at the end of the file."""
    rows = "".join(f"{n},text\n" for n in range(1000))
    result = desk.read('id,text\nx,"open\n' + rows, max_line_bytes=1000)
    assert result.rejects[0].code is RejectCode.LINE_TOO_LONG
    assert "quote" in result.rejects[0].message
    assert result.accepted > 800
    result = desk.read("id,text\n1,a\n2,b\n" + 'x,"open\nmore\n')
    assert result.rejects[0].code is RejectCode.TRUNCATED_LINE
    assert (result.accepted, result.rejects[0].line) == (2, 4)


def test_cells_that_mean_nothing_are_none(desk):
    """NaN, NULL and a spreadsheet's errors are None; empty cells and words like NA are texts."""
    assert desk.rows("a,b,c,d,e\nNaN,#N/A,NULL,,NA\n") == [
        {"a": None, "b": None, "c": None, "d": "", "e": "NA"}
    ]


@pytest.mark.parametrize("cell", ["", '""', "  ", "NULL"])
def test_an_empty_cell_of_a_field_that_must_be_filled_is_a_missing_one(desk, cell):
    """A job would be paid for nothing; other fields may be empty, and JSON says "" on purpose."""
    content = f"id,text,note\n1,one,\n2,{cell},two\n"
    options = {"required": frozenset({"text", "note"}), "filled": frozenset({"text"})}
    result = desk.read(content, **options)
    assert [row.data["note"] for row in result.rows()] == [""]
    (reject,) = result.rejects
    assert (reject.line, reject.code) == (3, RejectCode.MISSING_FIELD)
    assert "`text` is" in reject.message
    content = '{"text": ""}\n'
    options = dict.fromkeys(("required", "filled"), frozenset({"text"}))
    assert desk.read(content, **options).accepted == 1


def test_columns_without_a_name_get_one(desk):
    """The index column that pandas writes has no name, and is carried as `column_1`."""
    assert desk.rows(",text\n0,x\n1,y\n")[0] == {"column_1": "0", "text": "x"}


def test_one_column_is_csv_only_by_its_name(desk):
    """Without a delimiter only the name tells CSV from broken JSON lines."""
    assert desk.rows("text\nhello\n", "in.csv") == [{"text": "hello"}]
    assert desk.rows(gzip.compress(b"text\nhello\n"), "in.csv.gz") == [{"text": "hello"}]
    desk.refused("text\nhello\n", "in.txt", error=RejectedFileError)


def test_broken_json_lines_are_not_taken_for_csv(desk):
    """A first line of rubbish with commas does not make a table of JSON lines."""
    result = desk.read('oops, this, is\n{"id": 1}\n{"id": 2, "x": "a,b"}\n')
    assert (result.format, result.accepted, result.rejected) == (Format.JSON_LINES, 2, 1)


def test_a_header_is_needed_and_names_each_column_once(desk):
    """Two columns of one name refuse the file, as does a header with no rows below."""
    assert "`a` twice" in desk.refused("a,b,a\n1,2,3\n", error=RejectedFileError)
    wide = ",".join(["c"] * 6000)
    assert "`c` twice" in desk.refused(f"{wide}\n{wide}\n", error=RejectedFileError)
    assert "no rows" in desk.refused("a,b\n", error=RejectedFileError)
    assert "header" in desk.refused(b"a,\xff\n1,2\n", "in.csv", error=RejectedFileError)
