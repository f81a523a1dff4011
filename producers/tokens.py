"""Tokens counted offline with the tokenizer that `mistral-common` carries, or guessed and said so.

The data file is Tekken of September 2024: later Tekken versions (v7, v11, v13) differ from it in
their special tokens, not in how they cut text. Imported and loaded (a second) at the first count.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

CHARS_PER_TOKEN = 4
"""The rule of thumb where there is no tokenizer; English prose has 4 to 5."""
_DATA_FILE = "tekken_240911.json"
_PIECE_CHARS = 20_000
"""Texts are cut here: the tokenizer's regular expression gives up on runs of a million blanks."""
_STEP_CHARS = 4000
_COUNTED_AT_LEAST = 200
_Encode = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Tokens of many texts. `exact`: each was counted, by the tokenizer itself."""

    tokens: int
    texts: int
    characters: int
    counted: int
    """How many of the texts were counted; the others were scaled by their characters."""
    exact: bool


@dataclass(slots=True)
class _Tally:
    characters: int = 0
    counted_characters: int = 0
    counted_tokens: int = 0

    def tokens(self, otherwise: float) -> float:
        """Counted tokens, scaled to all characters (at `otherwise` a character if none were)."""
        if self.counted_characters:
            return self.counted_tokens * self.characters / self.counted_characters
        return self.characters * otherwise


class TokenCounter:
    """Counts the tokens of texts. `exact` is False if it only divides characters by four."""

    def __init__(self, encode: _Encode | None) -> None:
        self.exact = encode is not None
        self._encode = encode or _guess

    def count(self, text: str) -> int:
        """Tokens of one text without any template around it; linear in its length."""
        return sum(
            self._count_piece(text[start : start + _PIECE_CHARS])
            for start in range(0, len(text), _PIECE_CHARS)
        )

    def above(self, text: str, most: int) -> int | None:
        """Its tokens if they are more than `most`; else None, as soon as that is sure.

        A token has a byte or more, so that texts of few bytes are not counted at all.
        """
        tokens, left, start = 0, len(text.encode()), 0
        while tokens + left > most and left:
            space = text.rfind(" ", start + 1, start + _STEP_CHARS)  # a word and its blank are one
            piece = text[start : space if space > 0 else start + _STEP_CHARS]
            start += len(piece)
            left -= len(piece.encode())
            tokens += self._count_piece(piece)
        return tokens if tokens > most else None

    def sample(self, texts: Iterable[str], share: float = 0.01) -> TokenEstimate:
        """Tokens of all texts: the first 200 counted, then one in `1 / share` of the others.

        Reads `texts` once and keeps none; the choice is the same for the same texts.
        """
        chance = random.Random(0)  # noqa: S311 # which texts are counted is no secret
        first, others, place, counted = _Tally(), _Tally(), 0, 0
        for place, text in enumerate(texts, 1):
            tally = first if place <= _COUNTED_AT_LEAST else others
            tally.characters += len(text)
            if tally is first or chance.random() < share:
                counted += 1
                tally.counted_characters += len(text)
                tally.counted_tokens += self.count(text)
        tokens = first.tokens(0) + others.tokens(first.tokens(0) / max(1, first.characters))
        return TokenEstimate(
            tokens=round(tokens),
            texts=place,
            characters=first.characters + others.characters,
            counted=counted,
            exact=self.exact and counted == place,
        )

    def _count_piece(self, piece: str) -> int:
        try:
            return self._encode(piece)
        except ValueError:  # the tokenizer's regular expression gave up
            return _guess(piece)


def count(text: str) -> int:
    """Tokens of one text; `token_counter().exact` says whether they are counted or guessed."""
    return token_counter().count(text)


@cache
def token_counter() -> TokenCounter:
    """The process's counter: the bundled tokenizer, or a guess where it is not to be had."""
    try:
        return TokenCounter(_load_tekken())
    except (ImportError, OSError, ValueError, KeyError):
        return TokenCounter(None)


def _load_tekken() -> _Encode:
    spec = find_spec("mistral_common")
    if spec is None or spec.origin is None:
        raise ImportError("mistral-common is not installed")
    path = Path(spec.origin).parent / "data" / _DATA_FILE
    path.stat()  # Tekkenizer only asserts that it is there
    tekken = tekkenizer(path)
    return lambda text: len(tekken.encode(text, bos=False, eos=False))


@cache
def tekkenizer(path: Path) -> "Tekkenizer":
    """Of a file, once a process: it takes seconds, and templates share it with counters."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer  # noqa: PLC0415 # 0.6 s

    return Tekkenizer.from_file(path)


def _guess(text: str) -> int:
    return -(-len(text) // CHARS_PER_TOKEN)
