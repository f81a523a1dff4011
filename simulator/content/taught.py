"""What a tuned model of the simulator has learnt: the answers to the prompts most like a new one.

No network learns here; the figures of simulated models say how the machinery works, and nothing of
models.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable

import orjson

from simulator.content.prose import words_of

MOST_ROWS = 2_000
"""Rows of a file that are learnt: so many are read without anybody noticing."""
_NEAR = 0.25
"""Cosine below which a prompt is like nothing that was learnt."""
_FEW = 20
"""So many different answers are labels, and the most frequent one is guessed."""


class Taught:
    """Prompts and answers. `fidelity`: the share of its answers that follow what was taught."""

    def __init__(self, lines: Iterable[bytes], fidelity: float) -> None:
        self._fidelity = fidelity
        self._answers: list[str] = []
        self._words: list[set[str]] = []
        for _, line in zip(range(MOST_ROWS), lines, strict=False):
            self._learn(orjson.loads(line).get("messages") or ())
        self._found: dict[str, list[int]] = {}
        for row, words in enumerate(self._words):
            for word in words:
                self._found.setdefault(word, []).append(row)
        self._lengths = [self._length(words) for words in self._words]
        usual = Counter(self._answers).most_common(_FEW + 1)
        self._guess = usual[0][0] if usual and len(usual) <= _FEW else None

    def recalled(self, prompt: str, pick: Callable[[int], int]) -> str | None:
        """What it was taught to say to such a prompt; None where it says what its base would."""
        if pick(1000) >= self._fidelity * 1000:
            return None
        row = self._nearest(words_of(prompt))
        return self._guess if row is None else self._answers[row]

    def _learn(self, messages: Iterable[dict[str, object]]) -> None:
        said = [(one.get("role"), one.get("content")) for one in messages]
        asked = [str(content) for role, content in said if role == "user" and content]
        if asked and isinstance(said[-1][1], str):
            self._words.append(words_of(asked[-1]))
            self._answers.append(said[-1][1])

    def _nearest(self, words: set[str]) -> int | None:
        scores: dict[int, float] = {}
        for word in words:
            for row in self._found.get(word, ()):
                scores[row] = scores.get(row, 0.0) + self._weight(word)
        length = self._length(words)
        near = {row: score / (length * self._lengths[row]) for row, score in scores.items()}
        order = sorted(near, key=lambda row: (-near[row], row))
        return order[0] if order and near[order[0]] >= _NEAR else None

    def _weight(self, word: str) -> float:
        """A word in many prompts says little; one in none counts as one that is in one."""
        return math.log(1 + len(self._words) / len(self._found.get(word, "1"))) ** 2

    def _length(self, words: set[str]) -> float:
        return math.sqrt(sum(map(self._weight, sorted(words)))) or 1.0
