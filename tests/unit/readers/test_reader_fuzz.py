"""Whatever the bytes are, a reading ends in a result or in one of our own errors."""

import gzip
import io
import json
import random

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from models.errors import MaestraleError
from producers.readers import ReadOptions, read
from producers.readers.jsonlines import _parse_quickly, _parse_strictly

LINES = b"".join(
    json.dumps({"id": n, "t": "t\u00e9\u2028 \ud83d\ude00", "m": [{"a": 1.5}, None]}).encode()
    + b"\n"
    for n in range(30)
)
TABLE = b'id,text,note\n1,"a\n""b""",x\n2,c,d\n' + b"".join(b"%d,x,y\n" % n for n in range(9, 40))


def _parquet() -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": list(range(30)), "x": [{"a": [1]}] * 30}), stream)
    return stream.getvalue()


PACKED = [gzip.compress(LINES), zstandard.compress(LINES)]
SEEDS = [LINES, TABLE, *PACKED, _parquet(), b"", b"[1,{}]"]
TOKENS = [b"\0", b"\r", b"\n", b'"', b"{", b"]", b"\\u", b"\\ud800", b"\xff", b"\xef\xbb\xbf"]


def _mutated(chance: random.Random) -> bytes:
    """A seed with a few bytes changed, cut, doubled or replaced by what parsers trip over."""
    content = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randrange(6)):
        at = chance.randrange(len(content) + 1)
        match chance.randrange(5):
            case 0:
                content[at : at + 1] = chance.randbytes(1)
            case 1:
                del content[at : at + chance.randrange(40)]
            case 2:
                content[at:at] = chance.choice(TOKENS)
            case 3:
                content[at:at] = content[: chance.randrange(60)]
            case 4:
                del content[at:]
    return bytes(content)


def _noise(chance: random.Random) -> bytes:
    alphabet = chance.choice([bytes(range(256)), b'{}[]",:\\u0dn\r\n\t1eN-. ', b'a,;"\r\n\t\0|'])
    return bytes(chance.choices(alphabet, k=chance.randrange(300)))


@pytest.mark.parametrize("make", [_mutated, _noise])
@pytest.mark.parametrize("seed", range(4))
def test_no_bytes_make_the_reader_fall_over(tmp_path, make, seed):
    """Only `MaestraleError`s come out, the counts add up, rows round-trip, and nothing is left."""
    chance = random.Random(seed)
    path = tmp_path / "in"
    for _ in range(300):
        path.write_bytes(make(chance))
        options = ReadOptions(
            max_rejected_share=chance.choice([0.0, 1.0]),
            on_duplicate=chance.choice(["stop", "first", "last"]),
            max_line_bytes=chance.choice([50, 1 << 20]),
        )
        try:
            with read(path, options, tmp_path / "staging") as result:
                rows = list(result.rows())
                assert len(rows) == result.accepted == len({row.row_id for row in rows}) > 0
                assert sum(result.codes.values()) == result.rejected
                assert all(reject.excerpt.isprintable() for reject in result.rejects)
        except MaestraleError as error:
            assert str(error)
    left = list((tmp_path / "staging").glob("rejects-*"))
    assert left == []


def test_the_quick_parser_agrees_with_the_strict_one():
    """Wherever orjson's word is taken, the strict parser finds the same row and no fault."""
    chance, quick = random.Random(5), 0
    tokens = ['"a"', '"a b"', '"b"', '"\\u0061"', "1", "-0", "1.0", "1e2", "18446744073709551615"]
    tokens += ["9007199254740993", "NaN", "null", "[", "]", "{", "}", ":", ":", ",", ",", " ", "\t"]
    shapes = [
        '{"a": %s, "b":%s}',
        '{"a":%s,"a":%s}',
        '{"a b":[%s],"ab":{"a":%s}}',
        "[%s,%s]",
        "%s%s",
    ]
    for _ in range(60_000):
        parts = tuple("".join(chance.choices(tokens, k=chance.choice([1, 1, 2, 5]))) for _ in "ab")
        line = (chance.choice(shapes) % parts).encode()
        value = _parse_quickly(line)
        if value is not None:
            quick += 1
            assert repr(value) == repr(_parse_strictly(line)), line
    assert quick > 500  # of 60,000 lines, most of which are not JSON: enough to mean something
