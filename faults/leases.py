"""Who holds which shard, as the database has it: to say how long a dead worker's work waited."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from faults.world import World
from models.states import ShardState
from models.store.shards import Held, shards


def held_by(world: World, pid: int) -> list[Held]:
    """The leases of a process."""
    owned = shards.c.owner.contains(f":{pid}:")
    query = select(shards.c.job_id, shards.c.no, shards.c.token)
    with world.on.client.store.read() as connection:
        found = connection.execute(query.where(owned, shards.c.state == ShardState.LEASED))
        return [(one.job_id, one.no, one.token) for one in found]


def all_of(world: World, job_id: str) -> list[Any]:
    """The job's shards, with claims (`token`) and `deaths`."""
    with world.on.client.store.read() as connection:
        return list(connection.execute(select(shards).where(shards.c.job_id == job_id)))


def taken_up(world: World, lost: Sequence[Held]) -> bool:
    """Whether somebody else claimed every one of them since."""
    now = {(job, one.no): one.token for job in {h[0] for h in lost} for one in all_of(world, job)}
    return all(now[job_id, no] > token for job_id, no, token in lost)
