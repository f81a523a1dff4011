"""Models that were trained here: nobody's but ours to serve."""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from models.errors import MaestraleError
from models.store import registry

KNOWN_S = 5.0
PROVIDER = "mistral.ai"

Read = Callable[..., Awaitable[Any]]


class OurModels:
    """What the registry says of names, looked up once in `KNOWN_S` each."""

    def __init__(self, read: Read, base_url: str) -> None:
        self._read = read
        self._is_provider = (urlsplit(base_url).hostname or "").endswith(PROVIDER)
        self._known: dict[str, tuple[float, bool]] = {}

    async def has(self, model: str) -> bool:
        """Whether it was trained on machines of ours."""
        known = self._known.get(model)
        if known is None or time.monotonic() - known[0] > KNOWN_S:
            found = await self._read(registry.by_name, model)
            is_local = found is not None and found.trainer == "local"
            known = self._known[model] = (time.monotonic(), is_local)
        return known[1]

    async def withholds(self, model: str) -> bool:
        """Whether its prompts must not go to the API: it is ours, and the API is the provider's.

        A server of the user's may have it. Without the database no call begins, either way.
        """
        try:
            return self._is_provider and await self.has(model)
        except MaestraleError:
            return False
