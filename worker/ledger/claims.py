"""Claims on call keys in Redis: the same request is not paid for by two processes at once.

A claim is a hint like every message in Redis: without Redis everyone wins, and the worst case is
one call paid twice. Claims of a dead process run out after `TTL_S`.
"""

import logging
from collections.abc import Sequence
from importlib import resources

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TTL_S = 15.0
REFRESH_S = 5.0
PREFIX = "maestrale:call:"


class Claims:
    """The claims of one process (`owner`)."""

    def __init__(self, redis: "Redis | None", owner: str) -> None:
        self._owner = owner
        source = resources.files(__package__).joinpath("claim.lua").read_text("utf-8")
        self._script = redis.register_script(source) if redis is not None else None
        self._mine: set[str] = set()

    async def take(self, keys: Sequence[str]) -> set[str]:
        """Claims `keys` and answers those that another process holds just now."""
        lost = await self._set(keys)
        self._mine.update(key for key in keys if key not in lost)
        return lost

    def drop(self, key: str) -> None:
        """The call ended; its claim runs out by itself (by then the ledger has the answer)."""
        self._mine.discard(key)

    async def refresh(self) -> None:
        """Prolongs the claims of calls still wanted; call every `REFRESH_S`."""
        await self._set(sorted(self._mine))

    async def _set(self, keys: Sequence[str]) -> set[str]:
        if self._script is None or not keys:
            return set()
        names = [PREFIX + key for key in keys]
        try:
            places = await self._script(keys=names, args=[self._owner, int(TTL_S * 1000)])
        except (RedisError, OSError):
            return set()
        return {keys[place - 1] for place in places}
