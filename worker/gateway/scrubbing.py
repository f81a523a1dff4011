"""Foreign words made safe to store and show: no key, no token, no echo of what was asked."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

LONGEST_MESSAGE = 300
HIDDEN = "[…]"
_READ = 600  # characters of a foreign text that are looked at
_ECHO = 16  # a run this long that also stands in the request is taken for an echo of it
_SHORTEST_PROMPT = 6
_SHORTEST_KEY = 8  # `none`, `EMPTY`: what servers without keys are given
_ASKED = ("messages", "input", "prompt", "suffix", "prediction")
"""Request fields that hold the user's text; tools and schemas are the recipe's and may be named."""
_TOKENS = re.compile(
    r"bearer\s+\S+"
    r"|eyJ[\w-]{8,}[\w.-]*"
    r"|\b(?:sk|pk|key|token)[-_](?=[\w-]*\d)[\w-]{12,}"
    r"|(?:api[-_ ]?key|authorization|token)[\"']?\s*[:=]\s*\S+"
    r"|\b(?-i:(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d))\w{24,}",
    re.IGNORECASE,
)


def scrub(text: str, *, key: str = "", request: Mapping[str, Any] | None = None) -> str:
    """`text` cut to 300 printable characters, with `key`, anything that looks like a token and
    every run of 16 characters that `request` holds as well replaced by `[…]`."""
    seen = text[:_READ]
    if len(key) >= _SHORTEST_KEY:
        seen = seen.replace(key, HIDDEN)
    seen = _TOKENS.sub(HIDDEN, seen)
    if request:
        seen = _without_echo(seen, request)
    if len(text) > _READ:  # the edge may hold a piece of a key or prompt too short to know
        seen = seen[: -max(_ECHO, len(key))]
    return _printable(seen)[:LONGEST_MESSAGE]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _without_echo(text: str, request: Mapping[str, Any]) -> str:
    asked = [request[name] for name in _ASKED if request.get(name)]
    for short in _short_texts(asked):
        text = text.replace(short, HIDDEN)
    return _hide(text, _echoes(text, orjson.dumps(asked)))


def _echoes(text: str, spoken: bytes) -> list[int]:
    """Where windows begin that `spoken` holds. Each holds an aligned piece of half its length, so
    only the surroundings of pieces that are found are looked at: prompts may be long."""

    def is_said(start: int, length: int) -> bool:
        return orjson.dumps(text[start : start + length])[1:-1] in spoken

    step = _ECHO // 2
    last = len(text) - _ECHO
    near = {
        start
        for piece in range(0, len(text) - step + 1, step)
        if is_said(piece, step)
        for start in range(max(piece - step, 0), min(piece, last) + 1)
    }
    return [start for start in sorted(near) if is_said(start, _ECHO)]


def _hide(text: str, starts: list[int]) -> str:
    """Replace each run covered by the windows beginning at `starts` (ascending)."""
    pieces: list[str] = []
    end = 0
    for start in starts:
        if start > end or not pieces:
            pieces += [text[end:start], HIDDEN]
        end = start + _ECHO
    return "".join([*pieces, text[end:]])


def _short_texts(value: object) -> list[str]:
    """Whole texts too short for a window: a prompt of 6 to 15 characters."""
    if isinstance(value, str):
        return [value] if _SHORTEST_PROMPT <= len(value) < _ECHO else []
    if isinstance(value, dict):
        return _short_texts([value[name] for name in ("content", "text") if name in value])
    if isinstance(value, list):
        return [text for item in value for text in _short_texts(item)]
    return []
