"""Whatever the bytes are, a reading stays within memory and time that the kernel grants it."""

import gzip
import zlib
from pathlib import Path

import pyarrow
import zstandard
from confined import Limits, confined, out_of_memory
from drawn import some
from hypothesis import example, given
from hypothesis import strategies as st
from test_reader_fuzz import LINES, PACKED, SEEDS, TABLE, TOKENS

from models.errors import MaestraleError
from producers.readers import ReadOptions, read

ZEROS = bytes(1 << 20)
CUT = zlib.compressobj(wbits=31)
BOMBS = {
    "gzip of zeros": gzip.compress(ZEROS * 200, 9),
    "gzip of lines": gzip.compress(b'{"id":1}\n' * 200_000, 1),
    "zstd of zeros": zstandard.compress(ZEROS * 400),
    "zstd with a huge window": zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters(window_log=27)
    ).compress(LINES),
    "gzip in gzip": gzip.compress(gzip.compress(ZEROS * 50)),
    "gzip cut short": CUT.compress(LINES) + CUT.flush(zlib.Z_SYNC_FLUSH),
    "a line without an end": b'{"id": "' + b"a" * 60_000_000,
    "deep lists": b'{"id": 1, "x": ' + b"[" * 200_000,
    "deep objects": b'{"a":' * 200_000,
    "a long number": b'{"id": 1, "x": ' + b"9" * 3_000_000 + b"}\n",
    "many keys": b"{" + b",".join(b'"%d":1' % n for n in range(200_000)) + b"}\n",
    "a wide header": b",".join(b"c%d" % n for n in range(200_000)) + b"\n1\n",
    "an open quote": b'id,text\n1,"' + b"a,\n" * 2_000_000,
    "only commas": b"," * 3_000_000 + b"\n" + b"," * 3_000_000,
    "blank lines": b"\n" * 5_000_000,
    "a parquet with a huge footer": b"PAR1" + b"\0" * 40 + b"\xff\xff\xff\x7fPAR1",
    "a parquet that is none": b"PAR1"
    + b"\x15" * 200_000
    + (200_000).to_bytes(4, "little")
    + b"PAR1",
}
ROUGH = st.tuples(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.integers(0, 400), st.binary(max_size=3) | st.sampled_from(TOKENS)), max_size=5
    ),
)


def _battered(rough: tuple[bytes, list[tuple[int, bytes]]]) -> bytes:
    content = bytearray(rough[0])
    for at, piece in rough[1]:
        content[at : at + len(piece)] = piece
    return bytes(content)


def outcome(path: Path, staging: Path) -> str:
    """What a reading comes to; every row is looked at."""
    options = ReadOptions(max_rejected_share=1.0)
    try:
        with read(path, options, staging) as result:
            return f"{sum(1 for _ in result.rows())} rows"
    except MaestraleError as error:
        assert not out_of_memory(error), f"the memory was full: {error}"
        assert len(str(error)) < 5000
        return "refused"


def test_no_bytes_eat_memory_or_time(tmp_path: Path) -> None:
    """300 MB beyond what the libraries hold, and twenty seconds, for each of them."""
    path = tmp_path / "in"

    def work(limits: Limits) -> dict[str, str]:
        pyarrow.set_cpu_count(1)
        pyarrow.set_io_thread_count(1)
        found = {}
        for name, content in BOMBS.items():
            path.write_bytes(content)
            limits.begin(name)
            found[name] = outcome(path, tmp_path / "staging")

        @some(150)
        @given((ROUGH.map(_battered)) | st.binary(max_size=200))
        @example(LINES)
        @example(TABLE)
        @example(PACKED[0])
        def each(content: bytes) -> None:
            path.write_bytes(content)
            limits.begin(content)
            outcome(path, tmp_path / "staging")

        each()
        return found

    found = confined(work, memory_mb=300, cpu_s=20)
    assert isinstance(found, dict)
    assert found["zstd with a huge window"] in ("30 rows", "refused")
    assert found["only commas"] == found["a wide header"] == "refused", found
    assert found["gzip of zeros"] == found["deep lists"] == found["blank lines"] == "refused", found
