"""Bodies off the wire: read up to a cap, parsed as JSON with a second look before money is lost."""

import json

import aiohttp
import orjson

MOST_BYTES = 16 * 1024 * 1024
"""An answer above this is no answer: 64 vectors of 4,096 dimensions are 6 MB."""
MOST_ERROR_BYTES = 64 * 1024


def is_answer(status: int) -> bool:
    """Whether a response with this status holds what was asked for (2xx)."""
    return 200 <= status < 300


async def read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or its first bytes when there are more than `most` (then more than `most` of them,
    and the connection is closed). Raises what aiohttp raises."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            response.close()
            break
    return b"".join(pieces)


def parse(body: bytes) -> object:
    """The JSON value, or None if it is none. What orjson refuses and an answer may hold (a lone
    surrogate cut by `max_tokens`, NaN) is mended: the value can always be written as JSON again."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _mended(body)


def _mended(body: bytes) -> object:
    try:
        loose = json.loads(body.decode("utf-8", "replace"), parse_constant=lambda _: None)
        return orjson.loads(json.dumps(loose, ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
