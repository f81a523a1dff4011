"""gzip and zstd, recognised by their first bytes, unpacked in bounded pieces with a ratio cap."""

import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard

from models.errors import RejectedFileError

FREE_BYTES = 64 << 20
"""Unpacked size below which the ratio is not looked at: small files may repeat themselves."""
HEAD_BYTES = 1 << 16
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def head_of(chunks: Iterable[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes (64 KiB where there are so many), and all chunks as if never looked at."""
    rest, head = iter(chunks), b""
    while len(head) < HEAD_BYTES and (chunk := next(rest, None)) is not None:
        head += chunk
    return head, itertools.chain([head], rest)


def unpack(chunks: Iterable[bytes], name: str, max_ratio: float) -> Iterator[bytes]:
    """The chunks unpacked if they begin as gzip or zstd, else as they are.

    Raises `RejectedFileError` for archives cut short, damaged, or growing beyond `max_ratio`.
    """
    head, chunks = head_of(chunks)
    if head.startswith(_GZIP):  # deflate grows at most 1032 times: 8 MiB a piece
        return _unpacked(_pieces(chunks, 8 << 10), _gunzip, name, max_ratio)
    if head.startswith(_ZSTD):  # four bytes can stand for a block of 128 KiB: 16 MiB a piece
        decompressor = zstandard.ZstdDecompressor()
        return _unpacked(_pieces(chunks, 512), decompressor.decompressobj, name, max_ratio)
    return chunks


def _gunzip() -> _Decoder:
    return zlib.decompressobj(wbits=31)


def _pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            yield chunk[start : start + size]


def _unpacked(
    pieces: Iterator[bytes], new: Callable[[], _Decoder], name: str, max_ratio: float
) -> Iterator[bytes]:
    packed = unpacked = 0
    decoder = new()
    for piece in pieces:
        packed += len(piece)
        while piece:
            decoder = new() if decoder.eof else decoder  # archives may be concatenated
            output = _decoded(decoder, piece, name)
            unpacked += len(output)
            _check_ratio(packed, unpacked, name, max_ratio)
            yield output
            piece = decoder.unused_data  # noqa: PLW2901 # what follows the end of one archive
    if not decoder.eof:
        raise RejectedFileError(f"{name} is an archive cut short: fetch or pack it again")


def _decoded(decoder: _Decoder, piece: bytes, name: str) -> bytes:
    try:
        return decoder.decompress(piece)
    except (zlib.error, zstandard.ZstdError) as error:
        raise RejectedFileError(
            f"{name} is a damaged archive: fetch or pack it again ({error})"
        ) from error


def _check_ratio(packed: int, unpacked: int, name: str, max_ratio: float) -> None:
    if unpacked > max(FREE_BYTES, packed * max_ratio):
        raise RejectedFileError(
            f"{name} unpacks to more than {max_ratio:g} times its size, as an archive bomb does: "
            "unpack it yourself if you trust it"
        )


class ChunkStream(io.RawIOBase):
    """Chunks as a raw stream, so that `io.BufferedReader` gives bounded `readline`s over them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # io passes one
        """Fill `buffer` from the next chunk that holds anything; 0 at the end."""
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def buffered(chunks: Iterator[bytes]) -> io.BufferedReader:
    """Chunks as a buffered stream."""
    return io.BufferedReader(ChunkStream(chunks), buffer_size=1 << 18)
