"""Room for calls under way: bounded, shared between models, woken for when it comes back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import fakeredis
import pytest

from models.limits import Limit
from worker.gateway.faults import Fault, FaultKind
from worker.limiter import Flow, Limiter, Permit
from worker.limiter.adaptive import UNPACED_RATE
from worker.limiter.limiter import SERVED
from worker.limiter.room import Room
from worker.limiter.shared import Grant
from worker.limiter.waiting import Slot

MOST = 4
FREE = Limit()


@pytest.fixture
async def limiter() -> AsyncIterator[Limiter]:
    """Without a limit, but for the model `slow`; with room for a few calls."""
    redis: Any = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    told = {
        "*": FREE,
        "slow": Limit(requests_per_minute=6_000),
        "tokens": Limit(requests_per_minute=100 * UNPACED_RATE, tokens_per_minute=60_000),
    }
    async with Limiter(redis, "account", told, calls_in_flight=MOST, random=Random(1)) as opened:
        yield opened
    await redis.aclose()


class Callers:
    """Many calls that want to be under way at once; each stays until it is ended."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self.permits: list[tuple[str, Permit]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def call(self, count: int, model: str = "free", flow: str = "") -> None:
        """So many calls more."""
        self.tasks += [asyncio.create_task(self._one(model, flow)) for _ in range(count)]

    async def _one(self, model: str, flow: str) -> None:
        permit = await self._limiter.acquire(model, 10, flow=Flow(flow))
        self.permits.append((flow or model, permit))

    async def under_way(self, count: int) -> list[str]:
        """Whose calls are under way, once they are so many."""
        async with asyncio.timeout(30):
            while len(self.permits) < count:
                await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert len(self.permits) == count, "no more than there is room for"
        return [name for name, _ in self.permits]

    def end(self, count: int = 1) -> None:
        """The eldest end."""
        for _, permit in self.permits[:count]:
            permit.settle(tokens=10, limits=None)
        del self.permits[:count]

    async def gone(self) -> None:
        """Nobody waits any more."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def callers(limiter: Limiter) -> AsyncIterator[Callers]:
    """Of this limiter."""
    callers = Callers(limiter)
    yield callers
    await callers.gone()


@pytest.mark.parametrize("model", ["free", "slow"])
async def test_no_more_calls_are_under_way_than_there_is_room_for(
    callers: Callers, model: str
) -> None:
    """Each that ends lets one begin, until all were under way."""
    callers.call(3 * MOST, model)
    await callers.under_way(MOST)
    callers.end()
    await callers.under_way(MOST)
    callers.end(MOST)
    await callers.under_way(MOST)
    callers.end(MOST)
    await callers.under_way(3 * MOST - 2 * MOST - 1)


@pytest.mark.parametrize("ending", ["settle", "refused", "abandon"])
async def test_room_comes_back_with_every_ending_and_once(callers: Callers, ending: str) -> None:
    """An answer, a fault, and a call that was never sent."""
    callers.call(MOST + 2)
    await callers.under_way(MOST)
    _, permit = callers.permits.pop()
    for _ in range(2):
        if ending == "settle":
            permit.settle(tokens=1, limits=None)
        elif ending == "refused":
            permit.refused(Fault(FaultKind.REJECTED, "no"))
        else:
            permit.abandon()
    await callers.under_way(MOST)


async def test_who_leaves_the_line_takes_no_room(callers: Callers) -> None:
    """Calls that are cancelled while they wait, or at the moment they may go, cost the others
    nothing."""
    callers.call(2 * MOST)
    await callers.under_way(MOST)
    waiting = [task for task in callers.tasks if not task.done()]
    callers.end(2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    callers.end(MOST - 2)
    callers.call(MOST)
    await callers.under_way(MOST)


async def test_another_model_is_let_in_though_one_has_taken_all(callers: Callers) -> None:
    """It gets its fair part at once: the first one's calls may stand there for minutes."""
    callers.call(5 * MOST)
    await callers.under_way(MOST)
    callers.call(MOST, "slow")
    found = await callers.under_way(MOST + MOST // 2)
    assert found.count("slow") == MOST // 2


async def test_jobs_share_the_room(callers: Callers) -> None:
    """A job that comes later does not wait for all that another has in line."""
    callers.call(10 * MOST, flow="first")
    await callers.under_way(MOST)
    callers.call(MOST, flow="second")
    await asyncio.sleep(0)
    callers.end(MOST)
    found = await callers.under_way(MOST)
    assert found.count("second") == MOST // 2


async def test_models_served_here_have_seats_and_need_no_room(callers: Callers) -> None:
    """And they take none from the others."""
    callers.call(MOST)
    await callers.under_way(MOST)
    callers.call(3, f"{SERVED}mine")
    await callers.under_way(MOST + 3)


def test_who_lacked_room_is_woken_once_for_each_time() -> None:
    """And nobody who did not."""
    woken: list[str] = []
    room = Room(1)
    first, second = (room.part(lambda name=name: woken.append(name)) for name in ("a", "b"))
    first.take()
    assert not first.has_room()
    first.leave()
    first.take()
    first.leave()
    assert (woken, second.has_room()) == (["a"], True)


@pytest.mark.parametrize(("most", "models"), [(1, 2), (2, 3), (2, 7)])
async def test_models_take_turns_in_a_room_for_fewer(most: int, models: int) -> None:
    """Though those that came first never cease to want more."""
    redis: Any = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer())
    async with Limiter(redis, "account", {"*": FREE}, calls_in_flight=most) as limiter:
        callers = Callers(limiter)
        names = [f"m{number}" for number in range(models)]
        for name in names:
            callers.call(9 * models, name)
            await asyncio.sleep(0.01)
        begun: Counter[str] = Counter(name for name, _ in callers.permits)
        for _ in range(4 * models):
            callers.end()
            before = len(callers.permits)
            await asyncio.sleep(0.01)
            begun.update(name for name, _ in callers.permits[before:])
        assert all(begun[name] >= 2 for name in names), begun
        await callers.gone()
    await redis.aclose()


async def test_at_most_twice_as_many_are_under_way(callers: Callers) -> None:
    """However many models come one after another; the next one has its turn when one ends."""
    for number in range(6):
        callers.call(3 * MOST, f"m{number}")
        await asyncio.sleep(0.01)
    found = await callers.under_way(2 * MOST)
    assert "m5" not in found
    for _ in range(2):
        callers.end()
        await callers.under_way(2 * MOST)
    assert "m5" in [name for name, _ in callers.permits]


async def test_a_slot_is_not_kept_for_when_there_is_room(
    callers: Callers, limiter: Limiter
) -> None:
    """Where only tokens are limited it goes back with them: it would be used late, and all other
    processes wait for as long."""
    callers.call(MOST)
    await callers.under_way(MOST)
    callers.call(MOST // 2 + 1, "tokens")
    await callers.under_way(MOST + MOST // 2)
    pacer = limiter._pacers["tokens"]
    long_ago = asyncio.get_running_loop().time() - 5
    kept = Slot(long_ago, pacer._server.to_server(long_ago), 10)
    pacer._slots.add(kept)
    callers.end(MOST)
    await callers.under_way(MOST // 2 + 1)
    assert all(permit._slot is not kept for _, permit in callers.permits)


async def test_no_more_slots_are_asked_for_than_there_is_room(
    callers: Callers, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in hand, whose time has not come, are counted; when a call ends one more is."""
    callers.call(MOST - 1)
    await callers.under_way(MOST - 1)
    callers.call(1, "tokens")
    await callers.under_way(MOST)
    callers.end(1)
    pacer = limiter._pacers["tokens"]
    soon = asyncio.get_running_loop().time() + 60
    pacer._slots.add(Slot(soon, soon, 10))
    callers.call(MOST, "tokens")
    await asyncio.sleep(0)
    assert (pacer._wanted() > 0, pacer._room.left) == (False, 1)
    woken: list[str] = []
    monkeypatch.setattr(pacer, "_poke", lambda: woken.append("it asks"))
    callers.end(1)
    assert (pacer._wanted() > 0, pacer._room.left, woken) == (True, 2, ["it asks"])
    pacer._slots.drop_before(soon + 1)
    pacer._slots.add(Slot(soon - 60, soon - 60, 10))
    assert (pacer._wanted(), pacer._block()) == (3, 1)


async def test_a_slot_that_comes_late_is_used(
    callers: Callers, limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that has become slow delays calls under a limit on tokens, and stops none."""
    callers.call(1, "tokens")
    await callers.under_way(1)
    reserve, asked = limiter._reservations.reserve, []

    async def slow(*args: Any) -> Grant:
        grant = await reserve(*args)
        asked.append(len(grant.starts))
        await asyncio.sleep(0.05)
        return grant

    monkeypatch.setattr(limiter._reservations, "reserve", slow)
    callers.call(2, "tokens")
    await callers.under_way(3)
    assert sum(asked) == 2, "no slot was thrown away"
