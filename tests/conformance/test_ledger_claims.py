"""Claims on call keys: the same tests over a fake and a real Redis-protocol server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from builders import a_key, eventually_on_loop
from redis.asyncio import BlockingConnectionPool, Redis

from proving.servers import Valkey, free_port
from worker.ledger import claims as claiming
from worker.ledger.claims import PREFIX, Claims

Make = Callable[[str], Claims]


@pytest.fixture(params=["fake", "real"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "fake":
        from fakeredis import FakeAsyncRedis  # noqa: PLC0415 # slow to import

        client: Any = FakeAsyncRedis()
    else:
        client = Redis.from_url(request.getfixturevalue("redis_url"))
    yield client
    await client.aclose()


@pytest.fixture
def owner(redis: Any) -> Make:
    """Makes one process's claims."""
    return lambda name: Claims(redis, name)


async def test_two_owners_never_both_win(redis: Any, owner: Make) -> None:
    """Of five processes that want the same hundred calls at once, each call has one payer."""
    keys = [a_key(number) for number in range(100)]
    owners = [owner(f"process {number}") for number in range(5)]
    orders = [keys, keys[::-1], keys[50:] + keys[:50], keys, keys[::-1]]
    lost = await asyncio.gather(
        *(one.take(order) for one, order in zip(owners, orders, strict=True))
    )
    for key in keys:
        assert sum(key not in missed for missed in lost) == 1


async def test_an_owner_may_take_its_own_again(owner: Make) -> None:
    """Rows of one process that want the same call do not wait for each other here."""
    one = owner("one")
    assert await one.take([a_key("k")]) == set()
    assert await one.take([a_key("k"), a_key("l")]) == set()
    assert await owner("two").take([a_key("l"), a_key("m")]) == {a_key("l")}
    assert await one.take([]) == set()


async def test_claims_have_a_time_to_live(redis: Any, owner: Make) -> None:
    """No claim outlives a dead process by more than the TTL, and taking it again prolongs it."""
    one = owner("one")
    for _ in range(2):
        await one.take([a_key("k")])
        assert 0 < await redis.pttl(PREFIX + a_key("k")) <= claiming.TTL_S * 1000
    await redis.pexpire(PREFIX + a_key("k"), 5000)
    await one.refresh()
    assert await redis.pttl(PREFIX + a_key("k")) > 5000


async def test_an_expired_claim_can_be_taken(redis: Any, owner: Make) -> None:
    """A dead process's calls are free; the late refresh of a slow one takes nothing back."""
    slow, fast = owner("slow"), owner("fast")
    await slow.take([a_key("k")])
    assert await fast.take([a_key("k")]) == {a_key("k")}
    await redis.pexpire(PREFIX + a_key("k"), 1)
    await asyncio.sleep(0.1)
    assert await fast.take([a_key("k")]) == set()
    await slow.refresh()
    assert await slow.take([a_key("k")]) == {a_key("k")}


async def test_dropped_claims_are_refreshed_no_more(redis: Any, owner: Make) -> None:
    """A call that ended keeps its claim to the end of the TTL and not longer."""
    one = owner("one")
    await one.take([a_key("k"), a_key("l")])
    one.drop(a_key("k"))
    one.drop(a_key("never taken"))
    for key in ("k", "l"):
        await redis.pexpire(PREFIX + a_key(key), 5000)
    await one.refresh()
    assert await redis.pttl(PREFIX + a_key("k")) <= 5000 < await redis.pttl(PREFIX + a_key("l"))


async def test_a_freed_claim_can_be_taken_at_once(redis: Any, owner: Make) -> None:
    """A job that stops leaves its calls to others; claims of others and kept ones stay."""
    one, two, other = owner("one"), owner("two"), owner("other")
    await one.take([a_key("k"), a_key("kept")])
    await other.take([a_key("theirs")])
    for name in ("k", "never taken", "theirs"):
        one.free(a_key(name))
    await eventually_on_loop(lambda: not one._freed, "they are freed")
    keys = [a_key(name) for name in ("k", "kept", "theirs")]
    assert await two.take(keys) == {a_key("kept"), a_key("theirs")}


async def test_what_is_wanted_again_while_it_is_freed_stays_ours(owner: Make) -> None:
    """Freeing an old claim never takes a new one of the same process away."""
    one, two = owner("one"), owner("two")
    for _ in range(20):
        await one.take([a_key("k")])
        one.free(a_key("k"))
        assert await one.take([a_key("k")]) == set()
        assert await two.take([a_key("k")]) == {a_key("k")}


async def test_lost_claims_are_not_refreshed(redis: Any, owner: Make) -> None:
    """Waiting for another's call does not prolong its claim."""
    one, two = owner("one"), owner("two")
    await one.take([a_key("k")])
    await two.take([a_key("k")])
    one.drop(a_key("k"))
    await redis.pexpire(PREFIX + a_key("k"), 500)
    await two.refresh()
    assert await redis.pttl(PREFIX + a_key("k")) <= 500


async def test_without_redis_everyone_wins() -> None:
    """No server configured, or none that answers: a call may be paid twice, nobody waits."""
    nowhere = Redis(
        connection_pool=BlockingConnectionPool(
            port=free_port(), socket_connect_timeout=0.5, max_connections=2, timeout=1
        )
    )
    for one in (Claims(None, "one"), Claims(nowhere, "one")):
        assert await asyncio.wait_for(one.take([a_key("k")]), 30) == set()
        await asyncio.wait_for(one.refresh(), 30)
    await nowhere.aclose()


async def test_a_server_that_comes_back_is_used_again(own_redis: Valkey) -> None:
    """Restarted empty (no script, no claims), it decides again from the next claim on."""
    client = Redis.from_url(own_redis.url, socket_timeout=1, socket_connect_timeout=1)
    one, two = Claims(client, "one"), Claims(client, "two")
    await one.take([a_key("k")])
    own_redis.stop(9)
    assert await two.take([a_key("k")]) == set()
    own_redis.start()
    await one.refresh()
    assert await two.take([a_key("k")]) == {a_key("k")}
    await client.aclose()


async def test_a_claim_can_be_waited_for(owner: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lost asks again until the claim ran out, and then has it."""
    monkeypatch.setattr(claiming, "TTL_S", 0.1)
    one, two = owner("one"), owner("two")
    await one.take([a_key("k")])
    won = []

    async def wait() -> None:
        while await two.take([a_key("k")]):
            await asyncio.sleep(0.02)
        won.append(True)

    waiting = asyncio.ensure_future(wait())
    await eventually_on_loop(lambda: won, "the claim ran out")
    await waiting
