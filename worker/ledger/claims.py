"""Claims on call keys in Redis: the same request is not paid for by two processes at once.

A claim is a hint like every message in Redis: without Redis everyone wins, and the worst case is
one call paid twice. Claims of a dead process run out after `TTL_S`.
"""

import asyncio
import logging
from collections.abc import Sequence
from importlib import resources

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

TTL_S = 15.0
REFRESH_S = 5.0
GROUP = 500
PREFIX = "maestrale:call:"


class Claims:
    """The claims of one process (`owner`)."""

    def __init__(self, redis: "Redis | None", owner: str) -> None:
        self._owner = owner
        self._claim, self._release = (
            redis.register_script(resources.files(__package__).joinpath(name).read_text("utf-8"))
            if redis is not None
            else None
            for name in ("claim.lua", "release.lua")
        )
        self._mine: set[str] = set()
        self._freed: set[str] = set()
        self._freeing: asyncio.Task[None] | None = None

    async def take(self, keys: Sequence[str]) -> set[str]:
        """Claims `keys` and answers those that another process holds just now."""
        if self._freeing is not None and not self._freed.isdisjoint(keys):
            await asyncio.shield(self._freeing)  # else what frees them would free this claim
        lost = await self._set(keys)
        self._mine.update(key for key in keys if key not in lost)
        return lost

    def drop(self, key: str) -> None:
        """The call ended; its claim runs out by itself (by then the ledger has the answer)."""
        self._mine.discard(key)

    def free(self, key: str) -> None:
        """The call was not made after all (its job stopped, its shard yielded): others may.

        Else the next process to run the row would wait for `TTL_S`. Keys are freed in groups.
        """
        if key in self._mine:
            self._mine.discard(key)
            self._freed.add(key)
            if self._freeing is None:
                self._freeing = asyncio.get_running_loop().create_task(self._free_all())

    async def refresh(self) -> None:
        """Prolongs the claims of calls still wanted; call every `REFRESH_S`."""
        await self._set(sorted(self._mine))

    async def _set(self, keys: Sequence[str]) -> set[str]:
        if self._claim is None or not keys:
            return set()
        names = [PREFIX + key for key in keys]
        try:
            places = await self._claim(keys=names, args=[self._owner, int(TTL_S * 1000)])
        except (RedisError, OSError):
            return set()
        return {keys[place - 1] for place in places}

    async def _free_all(self) -> None:
        await asyncio.sleep(0)  # a job that stops gives up many at once
        try:
            while self._freed and self._release is not None:
                keys = sorted(self._freed)[:GROUP]
                await self._release(keys=[PREFIX + key for key in keys], args=[self._owner])
                self._freed.difference_update(keys)
        except (RedisError, OSError):
            log.debug("claims are left to run out by themselves")
        finally:
            self._freed.clear()
            self._freeing = None
