"""Parquet: streamed, and brought to what JSON can say."""

import datetime
import decimal
import gzip
import io
import tracemalloc

import pyarrow
import pytest
from pyarrow import parquet

from models.errors import RejectedFileError
from producers.readers import Format, RejectCode

UTC = datetime.UTC


def table(**columns):
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["in.parquet", "in.jsonl"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_parquet_is_known_by_its_content(desk, name, pack):
    """Rows come in order, called after their number where they have no id."""
    result = desk.read(pack(table(text=["a", "b"], n=[1, None])), name)
    assert result.format is Format.PARQUET
    assert [(row.row_id, row.line, row.data) for row in result.rows()] == [
        ("row-1", 1, {"text": "a", "n": 1}),
        ("row-2", 2, {"text": "b", "n": None}),
    ]


def test_values_become_what_json_can_say(desk):
    """Times are ISO 8601, decimals exact texts, NaN null, maps objects, nested values follow."""
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    content = table(
        moment=pyarrow.array([moment], pyarrow.timestamp("ns", "UTC")),
        day=[moment.date()],
        time=pyarrow.array([1500], pyarrow.time64("ns")),
        span=pyarrow.array([1_500_000_000], pyarrow.duration("ns")),
        money=[decimal.Decimal("1.10")],
        ratio=[float("nan")],
        raw=["naïve".encode()],
        map=pyarrow.array([[("k", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        nested=[[{"role": "user", "content": "x", "score": float("nan")}]],
    )
    assert desk.rows(content) == [
        {
            "moment": "2026-01-02T03:04:05.000006+00:00",
            "day": "2026-01-02",
            "time": "00:00:00.000001",
            "span": 1.5,
            "money": "1.10",
            "ratio": None,
            "raw": "naïve",
            "map": {"k": 1},
            "nested": [{"role": "user", "content": "x", "score": None}],
        }
    ]


@pytest.mark.parametrize(
    ("values", "code", "path"),
    [
        ([[b"ok"], [b"\xff\xfe"]], RejectCode.WRONG_TYPE, "`f[0]`"),
        ([{"x": 1.0}, {"x": float("inf")}], RejectCode.NOT_FINITE, "`f.x`"),
        (pyarrow.array([1, 2**64 - 1], pyarrow.uint64()), RejectCode.INTEGER_RANGE, "`f`"),
        (["fine", "a\0b"], RejectCode.NUL, "`f`"),
        (
            pyarrow.array([[], [(1, 1)]], pyarrow.map_(pyarrow.int64(), pyarrow.int64())),
            RejectCode.WRONG_TYPE,
            "`f`",
        ),
        (["fine", "y" * 5000], RejectCode.LINE_TOO_LONG, "bytes"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_path(desk, values, code, path):
    """One bad value costs its row alone, and the reject names where it stands."""
    result = desk.read(table(f=values), max_line_bytes=1000)
    assert result.accepted == 1
    (reject,) = result.rejects
    assert (reject.line, reject.code) == (2, code)
    assert path in reject.message


def test_a_broken_file_is_refused(desk):
    """Cut, damaged or merely so called: Parquet that does not parse is refused as a whole."""
    content = table(text=["a" * 50] * 1000)
    for broken in (content[:-9], content[:40], b"PAR1", content[:100] + b"x" * 50 + content[150:]):
        desk.refused(broken, error=RejectedFileError)


def test_two_columns_of_one_name_refuse_the_file(desk):
    """No row can hold a field twice."""
    stream = io.BytesIO()
    columns = [pyarrow.array([1]), pyarrow.array([2])]
    parquet.write_table(pyarrow.Table.from_arrays(columns, names=["a", "a"]), stream)
    assert "`a`" in desk.refused(stream.getvalue(), error=RejectedFileError)


def test_parquet_is_streamed(desk):
    """A table much larger than a batch never lies in memory as Python objects."""
    content = desk.file(table(text=[f"{n}" + "t" * 1500 for n in range(20_000)]))
    tracemalloc.start()
    assert desk.read(content).accepted == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
