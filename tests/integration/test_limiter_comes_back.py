"""The limiter's Redis that died and is back: what lay in the pool of connections is dead."""

import asyncio

from redis.asyncio import BlockingConnectionPool, Redis

from proving.servers import Valkey
from worker.limiter.fallback import Reservations
from worker.limiter.shared import Ask, SharedState


async def test_a_dead_connection_is_no_reason_to_go_on_alone(own_redis: Valkey) -> None:
    """FAULTS 20: half a share alone beside others who have the whole limit is more than it."""
    pool = BlockingConnectionPool.from_url(own_redis.url, max_connections=8, timeout=5)
    client = Redis(connection_pool=pool)
    shared = SharedState(client, "account", "w1")
    reservations = Reservations(shared, asyncio.get_running_loop().time, timeout_s=5)
    ask = Ask(slots=1, rate=100.0)
    await asyncio.gather(*(client.ping() for _ in range(6)))
    own_redis.stop(9)
    own_redis.start()
    for _ in range(6):
        grant = await reservations.reserve("small", ask, 0.0, 2)
        assert not grant.is_local
        assert not reservations.is_away
    await reservations.close()
    await client.aclose()
    await pool.disconnect()
