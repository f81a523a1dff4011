"""What a call may cost at most, and what was spent per second lately: guesses for the purse."""

from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from models.payloads import Usage


class Pace:
    """What was set aside lately, per second."""

    WINDOW_S = 4.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._slots: deque[tuple[int, int]] = deque()

    def note(self, nano: int) -> None:
        """So much was set aside just now."""
        second = int(self._clock())
        if self._slots and self._slots[-1][0] == second:
            self._slots[-1] = (second, self._slots[-1][1] + nano)
        else:
            self._slots.append((second, nano))

    def per_s(self) -> float:
        """Nano-USD per second, over the last seconds."""
        first = self._clock() - self.WINDOW_S
        while self._slots and self._slots[0][0] < first:
            self._slots.popleft()
        return sum(nano for _, nano in self._slots) / self.WINDOW_S


class Caution:
    """How many tokens a call may take at most, as far as can be known before it is made."""

    BYTES_PER_TOKEN = 3
    UNKNOWN_ANSWER = 1_024
    """Until enough answers were seen, and no `max_tokens` bounds them."""
    ENOUGH = 20
    MARGIN = 1.25

    def __init__(self) -> None:
        self._longest: dict[str, tuple[int, int]] = {}
        self._density: dict[str, float] = {}

    def usage(self, body: dict[str, Any]) -> Usage:
        """The cautious guess: nearly every call takes less."""
        model = str(body["model"])
        prompt = self._bytes(body) / self.BYTES_PER_TOKEN * self._density.get(model, 1.0)
        return Usage(int(prompt) + 1, 0 if "input" in body else self._answer(model, body))

    def learn(self, body: dict[str, Any], used: Usage) -> None:
        """An answer came, with what it took."""
        model = str(body["model"])
        seen, longest = self._longest.get(model, (0, 0))
        self._longest[model] = (seen + 1, max(longest, used.completion_tokens))
        density = used.prompt_tokens / (self._bytes(body) / self.BYTES_PER_TOKEN)
        self._density[model] = max(density, self._density.get(model, 1.0))

    def _answer(self, model: str, body: dict[str, Any]) -> int:
        if body.get("max_tokens"):
            return int(body["max_tokens"])
        seen, longest = self._longest.get(model, (0, 0))
        likely = int(longest * self.MARGIN)
        return likely if seen >= self.ENOUGH else max(likely, self.UNKNOWN_ANSWER)

    @staticmethod
    def _bytes(body: dict[str, Any]) -> int:
        return len(orjson.dumps(body))
