"""Models that were trained here: nobody's but ours to serve."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from models.errors import MaestraleError
from models.store import registry

KNOWN_S = 5.0
ASK_AGAIN_S = 0.5
"""How often to ask a registry that does not answer."""
PROVIDER = "mistral.ai"

Read = Callable[..., Awaitable[Any]]


class OurModels:
    """What the registry says of names: one look at each for all who ask, good for `KNOWN_S`."""

    def __init__(self, read: Read, base_url: str) -> None:
        self._read = read
        self._is_provider = (urlsplit(base_url).hostname or "").endswith(PROVIDER)
        self._looks: dict[str, asyncio.Task[bool]] = {}

    async def has(self, model: str) -> bool:
        """Whether it was trained on machines of ours. Raises `MaestraleError` without an answer.

        Who asks may be cancelled: the look goes on for the others.
        """
        if model not in self._looks:
            self._looks[model] = asyncio.create_task(self._look(model))
        return await asyncio.shield(self._looks[model])

    async def withholds(self, model: str) -> bool:
        """Whether its prompts must not go to the API: it is ours, and the API is the provider's.

        A server of the user's may have it. Waits while the database is away: not to know is no
        reason to send.
        """
        while self._is_provider:
            try:
                return await self.has(model)
            except MaestraleError:
                await asyncio.sleep(ASK_AGAIN_S)
        return False

    async def _look(self, model: str) -> bool:
        try:
            found = await self._read(registry.by_name, model)
        except BaseException:
            del self._looks[model]  # the next who asks looks again
            raise
        asyncio.get_running_loop().call_later(KNOWN_S, self._looks.pop, model)
        return found is not None and found.trainer == "local"
