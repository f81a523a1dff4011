"""Sharing between jobs, in one process: looks who wants slots and who has them, and gives way."""

from models import shares
from models.shares import Verdict, Wanting
from models.store import shards as shard_store
from worker.database import Database
from worker.limiter import Limiter
from worker.shards import Shards


class Sharing:
    """Once a second, as a duty of the clock: shards to yield, and shares of the limits."""

    def __init__(
        self, database: Database, here: Shards, limiter: Limiter, owner: str, slots: int
    ) -> None:
        self._database = database
        self._here = here
        self._limiter = limiter
        self._owner = owner
        self._slots = slots

    async def look(self) -> None:
        """Reads who wants what, and does this process's part."""
        is_at_work = self._here.held or self._here.hushed
        wanting = await self._database.read(shard_store.wanting) if is_at_work else []
        self._weigh(wanting)
        self._give_way(wanting)
        for job_id in self._here.hushed - self._here.full:
            self._here.hushed.discard(job_id)
            await self._here.ring_for(job_id)

    def _weigh(self, wanting: list[Wanting]) -> None:
        """Tells the limiter how much of each job, and of all, runs here."""
        portions, share = shares.portions(wanting, self._owner)
        for job_id, job in self._here.jobs.items():
            # nothing of it here: its first shard came just now
            job.portion = portions.get(job_id) or 1.0
        self._limiter.portion.share = share

    def _give_way(self, wanting: list[Wanting]) -> None:
        is_full = len(self._here.held) >= self._slots
        # with a slot free, whoever waits gets it: nobody gives way to messages that were lost
        verdict = shares.verdict(wanting, self._owner) if is_full else Verdict()
        self._here.full = verdict.full
        for job_id, count in verdict.yields.items():
            self._here.yield_shards(job_id, count)
