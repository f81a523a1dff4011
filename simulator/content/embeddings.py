"""Embeddings as hashed words: texts that share words are near each other, and nothing is learnt."""

import base64
import math
import re
import struct
import zlib
from functools import lru_cache
from typing import Any

from simulator.bodies import EmbeddingBody
from simulator.content.answers import tokens_in

USUAL_DIMENSION = 1024
MOST_TEXTS = 512
MOST_TOKENS = 16_384
LONGEST_TEXT = 8_192
"""Tokens."""
_WORD = re.compile(r"\w+")
# A little of everything, so that vectors are dense and as long on the wire as real ones.
_FLOOR = 0.01


def too_much(body: EmbeddingBody) -> str | None:
    """Why the request is more than one may hold, in the API's words."""
    sizes = [tokens_in(text) for text in body.texts()]
    if len(sizes) > MOST_TEXTS:
        return "Too many inputs in request, split into more batches."
    longest = max(sizes, default=0)
    if longest > LONGEST_TEXT:
        place = sizes.index(longest)
        return f"Input id {place} has {longest} tokens, exceeding max {LONGEST_TEXT} tokens."
    return "Too many tokens overall, split into more batches." if sum(sizes) > MOST_TOKENS else None


def embeddings(body: EmbeddingBody) -> list[dict[str, Any]]:
    """The `data` of an answer: one embedding per text, in order."""
    size = body.output_dimension or USUAL_DIMENSION
    return [
        {"object": "embedding", "index": index, "embedding": _encoded(body, vector(text, size))}
        for index, text in enumerate(body.texts())
    ]


def vector(text: str, size: int = USUAL_DIMENSION) -> list[float]:
    """The unit vector of `text`."""
    raw = list(_ground(size))
    for word in _WORD.findall(text.lower()):
        code = zlib.crc32(word.encode())
        raw[code % size] += 1.0 if code >> 31 else -1.0
        raw[(code >> 8) % size] += 1.0
    scale = 1 / math.sqrt(sum(map(float.__mul__, raw, raw)))
    return [value * scale for value in raw]


@lru_cache(maxsize=8)
def _ground(size: int) -> tuple[float, ...]:
    return tuple(_FLOOR * math.sin(place + 1) for place in range(size))


def _encoded(body: EmbeddingBody, values: list[float]) -> list[float] | list[int] | str:
    """The vector in the asked-for type; binary ones pack eight signs into a byte."""
    offset = 128 if body.output_dtype.startswith("u") else 0
    if body.output_dtype == "float":
        return _packed(values, "f") if body.encoding_format == "base64" else values
    if body.output_dtype.endswith("binary"):
        numbers = [_byte(values[at : at + 8]) - 128 + offset for at in range(0, len(values), 8)]
    else:
        numbers = [round(value * 127) + offset for value in values]
    return _packed(numbers, "B" if offset else "b") if body.encoding_format == "base64" else numbers


def _byte(values: list[float]) -> int:
    return sum((value > 0) << (7 - place) for place, value in enumerate(values))


def _packed(values: list[float] | list[int], kind: str) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}{kind}", *values)).decode()
