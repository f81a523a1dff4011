"""Models of our own are kept from the provider."""

from typing import Any

import pytest

from models.errors import StoreBusyError
from worker.ours import OurModels


class Registry:
    """Answers for names, and counts how often it was asked."""

    def __init__(self, trainer: str = "local") -> None:
        self.trainer = trainer
        self.asked = 0

    async def read(self, _function: Any, name: str) -> Any:
        self.asked += 1
        if name == "away":
            raise StoreBusyError("busy")
        return self if name == "tuned" else None


@pytest.mark.parametrize(
    ("base_url", "model", "trainer", "is_withheld"),
    [
        ("https://api.mistral.ai", "tuned", "local", True),
        ("https://api.mistral.ai", "tuned", "mistral", False),
        ("https://api.mistral.ai", "mistral-small-latest", "local", False),
        ("http://127.0.0.1:8080", "tuned", "local", False),
        ("https://api.mistral.ai", "away", "local", False),
    ],
)
async def test_what_was_trained_here_is_not_sent_to_the_provider(
    base_url: str, model: str, trainer: str, *, is_withheld: bool
) -> None:
    """A server of the user's may have it; without the database no call begins anyway."""
    assert await OurModels(Registry(trainer).read, base_url).withholds(model) is is_withheld


async def test_the_registry_is_asked_now_and_then() -> None:
    """Not for every call."""
    registry = Registry()
    ours = OurModels(registry.read, "https://api.mistral.ai")
    assert [await ours.has("tuned") for _ in range(3)] == [True] * 3
    assert registry.asked == 1
